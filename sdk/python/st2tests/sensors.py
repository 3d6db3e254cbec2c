"""Tests of sensors."""

from st2tests.mocks.sensor import MockSensorService, MockSensorWrapper
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseSensorTestCase"]


class BaseSensorTestCase(BasePackResourceTestCase):
    """`sensor_cls` names the class; what it dispatches is kept."""

    sensor_cls = None

    def setUp(self):
        super().setUp()
        wrapper = MockSensorWrapper(pack="tests", class_name=self.sensor_cls.__name__)
        self.sensor_service = MockSensorService(sensor_wrapper=wrapper)

    def get_sensor_instance(self, config=None, poll_interval=None):
        """A new sensor; arguments that are not given are not passed on."""
        given = {"config": config or None, "poll_interval": poll_interval}
        given = {name: value for name, value in given.items() if value is not None}
        return self.sensor_cls(sensor_service=self.sensor_service, **given)

    def get_dispatched_triggers(self):
        """All of them, the first first."""
        return self.sensor_service.dispatched_triggers

    def get_last_dispatched_trigger(self):
        """The last one; IndexError where there is none."""
        return self.get_dispatched_triggers()[-1]

    def assertTriggerDispatched(self, trigger, payload=None, trace_context=None):
        """Such a trigger was dispatched; what is not given may be anything."""
        wanted = {"payload": payload, "trace_context": trace_context}
        wanted = {name: value for name, value in wanted.items() if value}
        wanted["trigger"] = trigger
        for item in self.get_dispatched_triggers():
            if all(item[name] == value for name, value in wanted.items()):
                return True
        raise AssertionError("Trigger \"%s\" hasn't been dispatched" % trigger)
