"""The conversation with the host over two descriptors.

One thread reads. One thread, the conductor, writes, numbers the requests, keeps at most `in_flight` of them
open, matches the answers and beats. Everybody else hands it a message and waits: so a line is never cut by a
signal in the main thread, and a signal handler of the pack may dispatch.
"""

from collections import deque

from petrel_sdk import protocol, threads
from petrel_sdk.protocol import Disconnected, RequestError, TooLong

_READ_BYTES = 65536
_ID_BYTES = 26


class Pending:
    """A message under way. `written` turns on when the line is out; for a request, `wait` gives its result.

    `subject` names a request in messages; `waited` tells whether anybody asks for its outcome.
    """

    def __init__(self, line, subject=None, waited=False):
        self.line = line
        self.subject = subject
        self.waited = waited
        self.written = threads.Switch()
        self._answered = threads.Switch()
        self._result = None
        self._error = None

    def settle(self, result=None, error=None):
        """Record the outcome; called by the conductor."""
        self._result, self._error = result, error
        self.written.on()
        self._answered.on()

    def wait(self, deadline=None):
        """The result; raises the answer's error, or TimeoutError past `deadline` (monotonic)."""
        if not self._answered.wait(deadline):
            raise TimeoutError("the host has not answered in time")
        if self._error is not None:
            raise self._error
        return self._result


class Connection:
    """The sensor's side of rung 2.

    Called on the SDK's threads, and not to block: `on_message(message)`, `on_close()` when the host has gone,
    and `on_rejected(subject, error)` for a refused request that nobody waits for.
    """

    def __init__(self, read_fd, write_fd, on_message, on_close, on_rejected):
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._on_message = on_message
        self._on_close = on_close
        self._on_rejected = on_rejected
        self._forked = False
        self._inbox = threads.SimpleQueue()
        self.in_flight = 1
        #: When the poll that goes on began (monotonic); None outside of one.
        self.poll_began = None
        self.line_bytes = 1 << 20
        # From here on the conductor's own.
        self._open = {}
        self._parked = deque()
        self._drains = []
        self._last_id = 0
        self._unanswerable = None
        self._unwritable = None
        self._beat_every_s = None
        self._next_beat = None

    # -- for everybody

    def start(self):
        """Start the two threads."""
        threads.start(threads.without_signals, (self._read_loop,))
        threads.start(threads.without_signals, (self._conduct,))

    def send(self, method, params, waited=False):
        """Send a request; its `Pending` once the line is written. Blocks at `in_flight`."""
        body = protocol.encode(method, params, request_id=0)[len(b'{"id":0') :]
        pending = Pending(body, params.get("trigger") or params.get("key") or method, waited)
        self._hand_over(self._send, pending, len(body) + _ID_BYTES)
        return pending

    def call(self, method, params, deadline=None):
        """Send a request and wait for its result."""
        return self.send(method, params, waited=True).wait(deadline)

    def notify(self, method, params=None, deadline=None):
        """Send a notification; returns once it is written, or at `deadline` (monotonic)."""
        line = protocol.encode(method, params)
        self._hand_over(self._notify, Pending(line), len(line), deadline)

    def answer(self, request_id, result=None, error=None):
        """Answer a request of the host, without waiting."""
        line = protocol.encode_answer(request_id, result, error)
        self._inbox.put((self._notify, Pending(line)))

    def drain(self, deadline=None):
        """Wait until every request is answered; False if `deadline` came first."""
        self._refuse_in_fork()
        done = threads.Switch()
        self._inbox.put((self._drains.append, done))
        return done.wait(deadline)

    def beat_every(self, seconds):
        """Send `heartbeat` at this interval."""
        self._inbox.put((self._set_beat, seconds))

    def abandon_in_fork(self):
        """Leave the conversation to the parent; called in a forked child, which must not hold its pipes."""
        self._forked = True
        threads.close(self._read_fd)
        threads.close(self._write_fd)

    def _hand_over(self, function, pending, size, deadline=None):
        self._refuse_in_fork()
        if size > self.line_bytes:
            raise TooLong("the message has %d bytes, the host reads lines of %d" % (size, self.line_bytes))
        self._inbox.put((function, pending))
        pending.written.wait(deadline)

    def _refuse_in_fork(self):
        if self._forked:
            raise Disconnected("this process is a fork of the sensor; only the sensor itself can dispatch")

    # -- the conductor

    def _conduct(self):
        while True:
            try:
                function, argument = self._inbox.get(True, self._until_beat())
            except threads.Empty:
                self._beat()
                continue
            function(argument)
            if self._drains and not self._open and not self._parked:
                for done in self._drains:
                    done.on()
                del self._drains[:]

    def _send(self, pending):
        if len(self._open) >= self.in_flight or self._parked:
            self._parked.append(pending)
            return
        self._last_id += 1
        self._open[self._last_id] = pending
        self._write(b'{"id":%d' % self._last_id + pending.line)
        pending.line = None
        pending.written.on()
        if self._unanswerable:
            self._open.pop(self._last_id, pending).settle(error=self._unanswerable)

    def _notify(self, pending):
        self._write(pending.line)
        pending.written.on()

    def _set_beat(self, seconds):
        self._beat_every_s = seconds
        self._next_beat = threads.monotonic() + seconds

    def _until_beat(self):
        return None if self._next_beat is None else max(0.0, self._next_beat - threads.monotonic())

    def _beat(self):
        self._next_beat = threads.monotonic() + self._beat_every_s
        began = self.poll_began
        params = None if began is None else {"poll": round(threads.monotonic() - began, 3)}
        self._write(protocol.encode("heartbeat", params))

    def _write(self, line):
        view = memoryview(line)
        try:
            while view and not self._unwritable:
                view = view[threads.write(self._write_fd, view) :]
        except OSError as error:
            self._unwritable = Disconnected("the host has closed its end: %s" % error)
            self._end_answers(self._unwritable)

    def _answered(self, message):
        error = RequestError(message["error"]) if "error" in message else None
        # An answer without an id is for a request whose id the host could not read: the oldest one.
        request_id = message["id"] if message["id"] is not None else next(iter(self._open), None)
        pending = self._open.pop(request_id, None)
        if pending is None:
            return
        pending.settle(message.get("result"), error)
        if error is not None and not pending.waited:
            self._on_rejected(pending.subject, error)
        self._unpark()

    def _unpark(self):
        waiting, self._parked = self._parked, deque()
        for pending in waiting:
            self._send(pending)

    def _end_answers(self, error):
        """No answer comes any more; what is written may still be read."""
        self._unanswerable = self._unanswerable or error
        for pending in self._open.values():
            pending.settle(error=self._unanswerable)
        self._open.clear()
        self._unpark()
        self._on_close()

    # -- the reader

    def _read_loop(self):
        rest = bytearray()
        while True:
            try:
                chunk = threads.read(self._read_fd, _READ_BYTES)
            except OSError:
                chunk = b""
            if not chunk:
                break
            rest += chunk
            if b"\n" in chunk:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    self._received(line)
        self._inbox.put((self._end_answers, Disconnected("the host has gone")))

    def _received(self, line):
        message = protocol.decode(line)
        if message is None:
            return
        if "method" in message:
            self._on_message(message)
        elif "id" in message:
            self._inbox.put((self._answered, message))
