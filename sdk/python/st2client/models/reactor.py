"""What leads from events to actions, as the client library has it."""

from st2client.models.core import Resource

__all__ = ["Rule", "Sensor", "TriggerType", "TriggerInstance"]


class Rule(Resource):
    """What is done on which event."""


class Sensor(Resource):
    """What reports events."""


class TriggerType(Resource):
    """A kind of event."""


class TriggerInstance(Resource):
    """An event."""
