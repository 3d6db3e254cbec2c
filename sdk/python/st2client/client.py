"""`Client`: StackStorm's API by way of petrel's socket. What petrel has not yet says so."""

from st2client import models
from st2client.resources import ExecutionManager, KeyManager, ListManager, ResourceManager, WebhookManager

__all__ = ["Client"]


class Client:
    """Where to and with which token is known already: these arguments are taken and not needed."""

    def __init__(self, *args, **kwargs):
        self.keys = KeyManager()
        self.executions = self.liveactions = ExecutionManager("executions", models.LiveAction)
        self.actions = ListManager("actions", models.Action)
        self.packs = ListManager("packs", models.Resource)
        self.rules = ListManager("rules", models.Rule)
        self.ruleenforcements = ListManager("ruleenforcements", models.Resource)
        self.sensors = ResourceManager("sensortypes", models.Sensor)
        self.triggertypes = ListManager("triggertypes", models.TriggerType)
        self.triggerinstances = ResourceManager("triggerinstances", models.TriggerInstance)
        self.webhooks = WebhookManager()
        self.managers = {
            "Action": self.actions,
            "Execution": self.executions,
            "KeyValuePair": self.keys,
            "LiveAction": self.liveactions,
            "Pack": self.packs,
            "Rule": self.rules,
            "Sensor": self.sensors,
            "TriggerType": self.triggertypes,
        }

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError("st2client: petrel has no Client.%s yet" % name)
