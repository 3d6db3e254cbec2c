"""What a sensor talks to: StackStorm's `SensorService` over the protocol.

Names, arguments and answers are StackStorm's (st2reactor/container/sensor_wrapper.py, st2common/services/
datastore.py); what is ours comes after them and has a default.
"""

import time as _time

from petrel_sdk import threads
from petrel_sdk.keyvalue import SYSTEM_SCOPE, KeyValuePair, check_scope
from petrel_sdk.protocol import RequestError, TooLong


class SensorService:
    """Dispatching, logging and the datastore for one sensor."""

    def __init__(self, connection, logs, pack, class_name):
        self._connection = connection
        self._logs = logs
        self._prefix = "%s.%s:" % (pack, class_name)
        self._poll_now = threads.Switch()
        self._gate = threads.Gate()
        self._polls = False
        #: What the sensor last stored with `set_state` or with an event, None at the first start.
        self.state = None

    # -- events

    def dispatch(self, trigger, payload=None, trace_tag=None, wait=False, id=None, time=None, state=None):
        """Report an event; it returns once the line is written, with `wait=True` once the event is on disk.

        `trigger` is the reference of a trigger type, or the dict of a trigger. Ours: `id` is an idempotency
        key, `time` an RFC 3339 text or a datetime, `state` is stored in the same commit. An event that is
        refused is logged as a warning, as in StackStorm; with `wait=True` the refusal is raised
        (RequestError, TooLong), and the answer of the host is returned.
        """
        if not self._polls:
            # A sensor that polls rests between two polls, any other when it has something to say.
            self._gate.go_through()
        params = {"payload": _checked_payload(payload), "trigger": _trigger_ref(trigger)}
        optional = (("id", id), ("time", time), ("trace_tag", trace_tag), ("state", state))
        params.update((name, value) for name, value in optional if value is not None)
        try:
            pending = self._connection.send("dispatch", params, waited=wait)
        except (TooLong, ValueError) as error:
            if wait:
                raise
            return self._logs.note("warning", 'Not dispatching a trigger "%s": %s' % (params["trigger"], error))
        return pending.wait() if wait else None

    def dispatch_with_context(self, trigger, payload=None, trace_context=None):
        """Report an event whose trace tag comes in a TraceContext (any object with `trace_tag`)."""
        if trace_context is not None and not hasattr(trace_context, "trace_tag"):
            raise TypeError("The trace context has a value that is not a TraceContext (was %s)." % type(trace_context))
        return self.dispatch(trigger, payload, getattr(trace_context, "trace_tag", None))

    def set_state(self, state):
        """Store the sensor's state; it comes back in `state` after a restart. Returns when it is on disk."""
        self._connection.call("state.set", {"state": state})
        self._connection.drain()

    # -- telling

    def get_logger(self, name):
        """A logger of the standard library whose records become log lines of this sensor."""
        return self._logs.get_logger(name)

    def status(self, text):
        """One line shown beside the sensor."""
        self._connection.notify("status", {"text": str(text)})

    def extend(self, seconds):
        """Ask for more time for the start, the poll or the stop that is going on."""
        self._connection.notify("heartbeat", {"extend": seconds})

    # -- datastore

    @property
    def datastore_service(self):
        """The object with the datastore's methods, which is this one."""
        return self

    def get_user_info(self):
        """The user that the sensor's requests count as."""
        return {"username": "sensors_container", "authentication": {"method": "none", "location": "pipe"}}

    def list_values(self, local=True, prefix=None, limit=None, offset=None):
        """Items whose name begins with `prefix`, as objects with `name` and `value`."""
        params = {"prefix": prefix or "", "scope": _scope(local)}
        if limit is not None:
            params["limit"] = limit
        if offset is not None:
            params["offset"] = offset
        lead = self._prefix if local else ""
        items = self._connection.call("kv.list", params) or []
        return [KeyValuePair(lead + item["key"], item.get("value"), item["key"], item.get("expires")) for item in items]

    def get_value(self, name, local=True, scope=SYSTEM_SCOPE, decrypt=False):
        """The value, or None where there is none or the datastore refused (which is logged)."""
        params = {"key": name, "scope": _scope(local, scope)}
        if decrypt:
            params["decrypt"] = True
        try:
            return self._connection.call("kv.get", params)
        except (RequestError, TooLong) as error:
            return self._logs.note("warning", 'Reading the value of "%s" failed: %s' % (name, error))

    def set_value(self, name, value, ttl=None, local=True, scope=SYSTEM_SCOPE, encrypt=False):
        """Store `str(value)`, for `ttl` seconds if given; True, or the refusal raised as RequestError."""
        params = {"key": name, "scope": _scope(local, scope), "value": str(value)}
        if ttl is not None:
            params["ttl"] = ttl
        if encrypt:
            params["encrypt"] = True
        self._connection.call("kv.set", params)
        self._connection.drain()
        return True

    def delete_value(self, name, local=True, scope=SYSTEM_SCOPE):
        """True, or False where there was no such value or the datastore refused (which is logged)."""
        params = {"key": name, "scope": _scope(local, scope)}
        try:
            result = self._connection.call("kv.delete", params)
        except (RequestError, TooLong) as error:
            self._logs.note("warning", 'Deleting the value of "%s" failed: %s' % (name, error))
            return False
        self._connection.drain()
        return result is not False

    # -- for the host and for PollingSensor

    def begin_poll(self):
        """A poll begins: the host is told how long it goes on."""
        self._polls = True
        self._connection.poll_began = threads.monotonic()

    def rest(self, seconds):
        """End a poll: wait until its events are on disk, then `seconds`, or until the host asks for a poll."""
        self._connection.poll_began = None
        self._connection.drain()
        self._rest(seconds)
        self._gate.go_through()

    def _rest(self, seconds):
        if _time.sleep is not threads.sleep:
            # The pack works with green threads: they run only while the patched sleep is called.
            return self._rest_green(seconds)
        return self._poll_now.wait(threads.monotonic() + seconds)

    def _rest_green(self, seconds):
        deadline = threads.monotonic() + seconds
        _time.sleep(0)
        while not self._poll_now.wait(0) and threads.monotonic() < deadline:
            _time.sleep(min(1.0, max(0.0, deadline - threads.monotonic())))

    def poll_now(self):
        """Have the next poll begin at once."""
        self._poll_now.on()

    def pause(self):
        """Begin no poll and let no event out until `resume`."""
        self._gate.close()

    def resume(self):
        """Go on; what polls does so at once."""
        self._gate.open()
        self.poll_now()


def _scope(local, scope=SYSTEM_SCOPE):
    check_scope(scope)
    return "sensor" if local else SYSTEM_SCOPE


def _checked_payload(payload):
    if not payload:
        return {}
    if not isinstance(payload, dict):
        raise TypeError("The payload has a value that is not a dictionary (was %s)." % type(payload))
    return payload


def _trigger_ref(trigger):
    """A trigger is named by its reference; the dict given to `add_trigger` carries it."""
    if not isinstance(trigger, dict):
        return trigger
    named = trigger.get("ref") or trigger.get("type")
    return named or "%s.%s" % (trigger.get("pack"), trigger.get("name"))
