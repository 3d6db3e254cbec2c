"""What the client library calls models."""

from st2client.models.action import Action, Execution, LiveAction
from st2client.models.core import Resource
from st2client.models.keyvalue import KeyValuePair
from st2client.models.reactor import Rule, Sensor, TriggerInstance, TriggerType

__all__ = [
    "Action",
    "Execution",
    "KeyValuePair",
    "LiveAction",
    "Resource",
    "Rule",
    "Sensor",
    "TriggerInstance",
    "TriggerType",
]
