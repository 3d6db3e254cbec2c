from st2reactor.sensor.base import PollingSensor


class Ticker(PollingSensor):
    def setup(self):
        self._logger = self.sensor_service.get_logger(__name__)
        self._count = 0

    def poll(self):
        self._count += 1
        self._logger.debug("tick %d", self._count)
        self.sensor_service.dispatch(trigger="@NAME@.tick", payload={"count": self._count})

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    def update_trigger(self, trigger):
        pass

    def remove_trigger(self, trigger):
        pass
