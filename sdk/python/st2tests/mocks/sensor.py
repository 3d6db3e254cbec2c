"""A sensor's service that keeps what is dispatched."""

from st2common.models.api.trace import TraceContext
from st2tests.mocks._service import Service, Wrapper

__all__ = ["MockSensorWrapper", "MockSensorService"]


class MockSensorWrapper(Wrapper):
    """The pack and the class of a sensor under test."""


class MockSensorService(Service):
    """`dispatched_triggers` has a dict for each dispatch: trigger, payload, trace_context."""

    def __init__(self, sensor_wrapper):
        super().__init__(sensor_wrapper)
        self._sensor_wrapper = sensor_wrapper
        self.dispatched_triggers = []

    def dispatch(self, trigger, payload=None, trace_tag=None):
        """Keep it."""
        context = TraceContext(trace_tag=trace_tag) if trace_tag else None
        return self.dispatch_with_context(trigger=trigger, payload=payload, trace_context=context)

    def dispatch_with_context(self, trigger, payload=None, trace_context=None):
        """Keep it with its trace."""
        item = {"trigger": trigger, "payload": payload, "trace_context": trace_context}
        self.dispatched_triggers.append(item)
        return item
