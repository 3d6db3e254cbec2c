"""An action's service with a datastore in memory."""

from st2tests.mocks._service import Service, Wrapper

__all__ = ["MockActionWrapper", "MockActionService"]


class MockActionWrapper(Wrapper):
    """The pack and the class of an action under test."""


class MockActionService(Service):
    """What `self.action_service` is in a test."""

    def __init__(self, action_wrapper):
        super().__init__(action_wrapper)
        self._action_wrapper = action_wrapper
