"""Actions and their executions, as the client library has them."""

from st2client.models.core import Resource

__all__ = ["Action", "Execution", "LiveAction"]


class Action(Resource):
    """What can be run."""


class Execution(Resource):
    """One run of an action."""


class LiveAction(Execution):
    """Another name of it."""
