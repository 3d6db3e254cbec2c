"""The scripted sensor of the golden conversations: what it does comes in `config.script`."""

import contextlib
import logging
import threading

from st2reactor.sensor.base import PollingSensor, Sensor

from petrel_sdk.protocol import Fail, RequestError


class Steps:
    """The steps, by their names in the script."""

    def __init__(self, service):
        self._service = service
        self._logger = service.get_logger("script")
        self._logger.setLevel(logging.DEBUG)
        self._last = None

    def run(self, step):
        """One step; True when `run()` is to return."""
        ((name, arguments),) = step.items()
        return getattr(self, "_" + name.replace(".", "_"))(arguments)

    def _dispatch(self, arguments):
        with contextlib.suppress(RequestError):
            self._service.dispatch(**arguments)

    def _echo(self, arguments):
        self._service.dispatch(arguments["trigger"], {"value": self._last})

    def _kv_get(self, arguments):
        self._last = self._service.get_value(**arguments)

    def _kv_set(self, arguments):
        self._last = self._service.set_value(**arguments)

    def _kv_delete(self, arguments):
        self._last = self._service.delete_value(**arguments)

    def _kv_list(self, arguments):
        items = self._service.list_values(**arguments)
        self._last = [{"key": i.key, "value": i.value, "expires": i.expire_timestamp} for i in items]

    def _log(self, arguments):
        self._logger.log(getattr(logging, arguments["level"].upper()), arguments["message"])

    def _status(self, text):
        self._service.status(text)

    def _fail(self, arguments):
        raise Fail(**arguments)

    def _return(self, _):
        return True


class Callbacks:
    """What a sensor must have and the script does not use."""

    def setup(self):
        self._script = list(self.config["script"])
        self._steps = Steps(self.sensor_service)

    def cleanup(self):
        pass

    def add_trigger(self, trigger):
        pass

    update_trigger = remove_trigger = add_trigger


class Passive(Callbacks, Sensor):
    """Runs all steps in `run()`, then waits for the shutdown."""

    def run(self):
        for step in self._script:
            if self._steps.run(step):
                return
        threading.Event().wait()


class Polling(Callbacks, PollingSensor):
    """Runs one step a poll."""

    def poll(self):
        if not self._script:
            threading.Event().wait()
        self._steps.run(self._script.pop(0))
