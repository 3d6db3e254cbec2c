"""The life of one sensor: hello, load, set up, run, clean up.

The main thread runs the pack's code, one thread reads the host, one beats and does the small chores, and one
calls the trigger callbacks once the host sends any. The order of events and the exit codes are StackStorm's
(st2reactor/container/sensor_wrapper.py) where it has them; 78 means that only a change of code or
configuration can help.
"""

import os
import sys

from petrel_sdk import __version__, loading, process, protocol, threads
from petrel_sdk.connection import Connection
from petrel_sdk.logs import Logs
from petrel_sdk.protocol import Disconnected, Fail
from petrel_sdk.service import SensorService
from petrel_sdk.stop import DEFAULT_DEADLINE_S, Stop

CAPABILITIES = ["triggers", "poll", "pause", "heartbeat"]
_CALLBACKS = {
    "trigger.added": "add_trigger",
    "trigger.updated": "update_trigger",
    "trigger.removed": "remove_trigger",
}
_NOT_LOADED = 'Failed to load sensor class from file "%s"'
_SENSOR_METHODS = ("setup", "run", "cleanup", "add_trigger", "update_trigger", "remove_trigger")


class SensorHost:
    """Runs the sensor that the arguments name; `run` gives the exit code."""

    def __init__(self, args, read_fd, write_fd):
        self._args = args
        self._folder = loading.pack_dir(args.file_path)
        self._stop = Stop(give_up=lambda: process.end(self._finish(None, 0)))
        # Changes that arrive during set-up wait until the sensor knows its first set of triggers.
        self._callbacks = threads.Mailbox(self._callback_failed)
        self._connection = Connection(read_fd, write_fd, self._on_message, self._stop.request, self._on_rejected)
        debug = "--debug" in args.parent_args
        self._logs = Logs(self._connection, "SensorWrapper.%s.%s" % (args.pack, args.class_name), debug)
        self._service = SensorService(self._connection, self._logs, args.pack, args.class_name)
        self._sensor = None
        self._greeted = False
        self._set_up = False
        self._known = set()

    def run(self):
        """The whole life; never raises."""
        self._stop.install()
        os.register_at_fork(after_in_child=self._connection.abandon_in_fork)
        self._connection.start()
        try:
            fail, code = self._ending(self._live)
        except SystemExit:
            # The stop came while the end was being told.
            fail, code = None, 0
        if not self._greeted:
            print("E! ended before hello was answered; `petrel run` starts sensors and answers them", file=sys.stderr)
        return self._finish(fail, code)

    def check(self):
        """Load the sensor's class and nothing more: 0, or the code of what is wrong, told on standard error."""
        try:
            loading.prepare_path(self._args.file_path, [os.path.join(self._folder, "lib")])
            self._sensor_class()
        except Fail as fail:
            print("E! " + fail.message, file=sys.stderr)
            if fail.hint:
                print("E! hint: " + fail.hint, file=sys.stderr, flush=True)
            return fail.exit_code
        return 0

    # -- the parts of a life

    def _live(self):
        hello = self._hello()
        sensor = self._load(hello)
        self._sensor = sensor
        self._set_up = True
        sensor.setup()
        for trigger in hello.get("triggers") or []:
            self._trigger_event("trigger.added", trigger)
        self._connection.notify("ready")
        self._callbacks.open()
        _without_reloader()
        sensor.run()

    def _hello(self):
        sdk = "petrel-python/" + __version__
        params = {"protocol": protocol.PROTOCOL_VERSION, "sdk": sdk, "capabilities": CAPABILITIES}
        hello = self._connection.call("hello", params) or {}
        self._greeted = True
        limits = hello.get("limits") or {}
        self._connection.in_flight = max(1, limits.get("in_flight") or self._connection.in_flight)
        self._connection.line_bytes = limits.get("line_bytes") or self._connection.line_bytes
        self._service.state = hello.get("state")
        if hello.get("heartbeat_interval"):
            self._connection.beat_every(hello["heartbeat_interval"])
        return hello

    def _load(self, hello):
        loading.prepare_path(self._args.file_path, [os.path.join(self._folder, "lib")])
        # StackStorm gives it to actions alone, and there are sensors that count on it.
        sys.path.append(os.path.join(self._folder, "actions", "lib"))
        sensor_class = self._sensor_class()
        keywords = {"sensor_service": self._service, "config": hello.get("config") or {}}
        interval = hello.get("poll_interval")
        interval = self._args.poll_interval if interval is None else interval
        if interval is not None and _is_polling(sensor_class):
            keywords["poll_interval"] = interval
        try:
            if "logging" in sys.modules:
                self._logs.adopt()
            return sensor_class(**keywords)
        except Exception as error:
            self._raise_bug('Failed to instantiate "%s" sensor class' % self._args.class_name, error)

    def _sensor_class(self):
        path, name = self._args.file_path, self._args.class_name
        if not os.path.isfile(path):
            hint = "entry_point in the sensor's YAML is relative to the folder of that YAML"
            raise Fail("config", 'Sensor file "%s" does not exist' % path, path, hint)
        module = self._import(path)
        found = getattr(module, name, None)
        if not isinstance(found, type):
            raise self._missing_class(module, name)
        for method in _SENSOR_METHODS:
            if not callable(getattr(found, method, None)):
                message = 'Class "%s" doesn\'t implement required "%s" method from the base class' % (name, method)
                hint = "define %s(), or derive the class from st2reactor.sensor.base.Sensor" % method
                raise Fail("config", "%s (%s)" % (message, path), path, hint)
        return found

    def _import(self, path):
        try:
            module = loading.load_module(path)
        except SyntaxError as error:
            loading.print_traceback(error)
            message = "%s (%s:%s)" % (error.msg, error.filename or path, error.lineno or 0)
            hint = "the line reads: " + error.text.strip() if error.text else None
            raise Fail("config", "Syntax error: " + message, error.filename or path, hint) from None
        except ImportError as error:
            self._raise_bug(_NOT_LOADED % path, error, _import_hint(error, self._folder))
        except Exception as error:
            self._raise_bug(_NOT_LOADED % path, error)
        return module

    def _missing_class(self, module, name):
        path = self._args.file_path
        values = vars(module).items()
        own = [key for key, value in values if isinstance(value, type) and value.__module__ == module.__name__]
        near = loading.nearest(name, own) or (own[0] if len(own) == 1 else None)
        hint = 'did you mean "%s"?' % near if near else "the file defines: %s" % (", ".join(sorted(own)) or "no class")
        return Fail("config", 'Sensor module is missing a class with name "%s" (%s)' % (name, path), path, hint)

    def _raise_bug(self, what, error, hint=None):
        loading.print_traceback(error)
        raise Fail("bug", "%s: %s" % (what, loading.describe(error, self._folder)), hint=hint) from None

    # -- how a life ends

    def _ending(self, live):
        """Call `live`; the last words and the exit code that its end deserves."""
        try:
            live()
            return None, 0
        except Fail as fail:
            return fail, fail.exit_code
        except Disconnected:
            return None, 0
        except SystemExit as error:
            return None, 0 if self._stop.wanted else process.exit_code(error)
        except BaseException as error:
            loading.print_traceback(error)
            if self._stop.wanted:
                return None, 0
            return Fail("bug", loading.describe(error, self._folder)), 1

    def _finish(self, fail, code):
        self._stop.begin()
        if self._set_up:
            self._clean_up()
        self._last_words(fail)
        return code

    def _clean_up(self):
        try:
            self._sensor.cleanup()
        except BaseException as error:
            loading.print_traceback(error)

    def _last_words(self, fail):
        """Wait for what is unanswered, then say why the sensor ends."""
        deadline = self._stop.deadline or threads.monotonic() + DEFAULT_DEADLINE_S
        self._connection.drain(deadline)
        if fail is None:
            return
        print("E! " + fail.message, file=sys.stderr, flush=True)
        self._connection.notify("fail", fail.params(), deadline)

    # -- what the host says; called on the reading thread

    def _on_message(self, message):
        method, params = message["method"], message.get("params") or {}
        if method == "shutdown":
            self._stop.request(params.get("deadline"))
        elif method == "poll":
            self._service.poll_now()
        elif method == "pause":
            self._service.pause()
        elif method == "resume":
            self._service.resume()
        elif method in _CALLBACKS:
            self._callbacks.put(self._trigger_event, method, params.get("trigger") or {})
        elif message.get("id") is not None:
            self._answer(message["id"], method)

    def _answer(self, request_id, method):
        if method == "ping":
            return self._connection.answer(request_id)
        error = {"code": protocol.METHOD_NOT_FOUND, "message": "unknown method %s" % method}
        return self._connection.answer(request_id, error=error)

    def _on_rejected(self, subject, error):
        # The host knows of it already; this is for the sensor's log only.
        line = 'W! Not dispatching a trigger "%s": %s\n' % (subject, error)
        threads.write(2, line.encode("utf-8", "replace"))

    def _trigger_event(self, method, trigger):
        if method == "trigger.removed":
            if trigger.get("id") not in self._known:
                return
            self._known.discard(trigger.get("id"))
        else:
            self._known.add(trigger.get("id"))
        try:
            getattr(self._sensor, _CALLBACKS[method])(trigger=trigger)
        except Exception as error:
            self._callback_failed(error)

    def _callback_failed(self, error):
        if not isinstance(error, Disconnected):
            loading.print_traceback(error)


def _without_reloader():
    """A server in werkzeug's debug mode would run the sensor a second time, in a child that nobody answers."""
    if "werkzeug" in sys.modules:
        from werkzeug import _reloader

        _reloader.run_with_reloader = lambda main_func, *_, **__: main_func()


def _is_polling(sensor_class):
    from st2reactor.sensor.base import PollingSensor

    return issubclass(sensor_class, PollingSensor)


def _import_hint(error, folder):
    if not error.name:
        return None
    listed = os.path.join(folder, "requirements.txt")
    where = "add it to %s" % listed if os.path.isdir(folder) else "install it"
    return 'Python module "%s" is missing; %s and install it for %s' % (error.name, where, sys.executable)
