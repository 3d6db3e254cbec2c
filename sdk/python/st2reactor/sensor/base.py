"""StackStorm's base classes for sensors, under StackStorm's name.

Same constructor arguments, attributes and abstract methods as st2reactor/sensor/base.py. A poll's exception
leaves `run()`; the interval counts from the end of a poll.
"""

import time
from abc import ABCMeta, abstractmethod

__all__ = ["Sensor", "PollingSensor"]


class BaseSensor(metaclass=ABCMeta):
    """What both kinds share; not to be instantiated."""

    def __init__(self, sensor_service, config=None):
        self._sensor_service = self.sensor_service = sensor_service
        self._config = self.config = config or {}

    @abstractmethod
    def setup(self):
        """Called once, before `run`."""

    @abstractmethod
    def run(self):
        """The sensor's work; when it returns, the sensor has ended as planned."""

    @abstractmethod
    def cleanup(self):
        """Called on every ordered end."""

    @abstractmethod
    def add_trigger(self, trigger):
        """A rule uses a trigger of this sensor."""

    @abstractmethod
    def update_trigger(self, trigger):
        """A trigger of this sensor has changed."""

    @abstractmethod
    def remove_trigger(self, trigger):
        """No rule uses the trigger any more."""


class Sensor(BaseSensor):
    """A sensor that is told of events and blocks in `run`."""

    @abstractmethod
    def run(self):
        """Block until there is nothing more to do."""


class PollingSensor(BaseSensor):
    """A sensor that looks for events every `poll_interval` seconds."""

    def __init__(self, sensor_service, config=None, poll_interval=5):
        super().__init__(sensor_service=sensor_service, config=config)
        self._poll_interval = poll_interval

    @abstractmethod
    def poll(self):
        """Look once."""

    def run(self):
        """Poll, rest, poll again; the first poll happens at once."""
        begin = getattr(self._sensor_service, "begin_poll", None) or (lambda: None)
        rest = getattr(self._sensor_service, "rest", None) or time.sleep
        while True:
            begin()
            self.poll()
            rest(self._poll_interval)

    def get_poll_interval(self):
        """Seconds between the end of a poll and the next one."""
        return self._poll_interval

    def set_poll_interval(self, poll_interval):
        """Change it, from the next rest on."""
        self._poll_interval = poll_interval
