"""The conversation with the host over two descriptors: one thread reads, any thread writes.

Requests are pipelined up to `in_flight`; a request is sent when `send` returns. When the host closes its
end, every open request fails with `Disconnected`, so that nobody waits for ever.
"""

from petrel_sdk import protocol, threads
from petrel_sdk.protocol import Disconnected, RequestError, TooLong

_READ_BYTES = 65536


class Pending:
    """An unanswered request; `wait` gives its result or raises its error.

    `subject` names the request in messages; `waited` tells whether anybody asks for its outcome.
    """

    def __init__(self, gate, subject, waited):
        self._gate = gate
        self.subject = subject
        self.waited = waited
        self.result = None
        self.error = None
        self.done = False

    def settle(self, result=None, error=None):
        """Record the answer; the gate is held by the caller."""
        self.result, self.error, self.done = result, error, True

    def wait(self, deadline=None):
        """The result; raises the answer's error, or TimeoutError past `deadline` (monotonic)."""
        if not self._gate.wait_until(lambda: self.done, deadline):
            raise TimeoutError("the host has not answered in time")
        if self.error is not None:
            raise self.error
        return self.result


class Connection:
    """The sensor's side of rung 2.

    `shield` is a context manager entered around every write: the sensor host keeps a stop signal from
    cutting a line in half with it. `on_message(message)` is called on the reading thread and must not block;
    nor must `on_close()`, and `on_rejected(pending, error)`, which tells of a refused request nobody waits for.
    """

    def __init__(self, read_fd, write_fd, on_message, on_close, on_rejected, shield):
        self._read_fd = read_fd
        self._write_fd = write_fd
        self._on_message = on_message
        self._on_close = on_close
        self._on_rejected = on_rejected
        self._shield = shield
        self._gate = threads.Gate()
        self._write_lock = threads.new_lock()
        self._pending = {}
        self._last_id = 0
        self._closed = None
        self.in_flight = 1
        self.line_bytes = 1 << 20

    def start(self):
        """Start the reading thread."""
        threads.start(self._read_loop, ())

    def call(self, method, params, deadline=None):
        """Send a request and wait for its result."""
        return self.send(method, params, waited=True).wait(deadline)

    def send(self, method, params, waited=False):
        """Send a request; returns its `Pending` once the line is written. Blocks at `in_flight`."""
        # Encoding comes first: a payload that cannot be said must not use up an id.
        body = protocol.encode(method, params, request_id=0)[len(b'{"id":0') :]
        pending = Pending(self._gate, params.get("trigger") or params.get("key") or method, waited)
        while True:
            with self._shield:
                if self._try_send(body, pending):
                    return pending
            self._gate.wait_until(self._has_room)

    def notify(self, method, params=None):
        """Send a notification; TooLong where the host would not read it."""
        self._write_line(self._checked(protocol.encode(method, params)))

    def answer(self, request_id, result=None, error=None):
        """Answer a request of the host."""
        self._write_line(protocol.encode_answer(request_id, result, error))

    def drain(self, deadline=None):
        """Wait until every request is answered; False if `deadline` came first."""
        return self._gate.wait_until(lambda: not self._pending, deadline)

    def abandon_in_fork(self):
        """Leave the conversation to the parent; called in a forked child, which must not hold its pipes."""
        self._write_lock = threads.new_lock()
        self._gate = threads.Gate()
        self._pending = {}
        self._closed = Disconnected("this process is a fork of the sensor; only the sensor itself can dispatch")
        threads.close(self._read_fd)
        threads.close(self._write_fd)

    # -- writing

    def _has_room(self):
        return self._closed or len(self._pending) < self.in_flight

    def _try_send(self, body, pending):
        """Write the request, unless `in_flight` are unanswered already."""
        with self._write_lock:
            request_id = self._last_id + 1
            line = self._checked(b'{"id":%d' % request_id + body)
            with self._gate.lock:
                if not self._has_room():
                    return False
                self._pending[request_id] = pending
            self._last_id = request_id
            self._write(line)
        return True

    def _write_line(self, line):
        with self._shield, self._write_lock:
            self._write(line)

    def _checked(self, line):
        if len(line) - 1 > self.line_bytes:
            raise TooLong("the message has %d bytes, the host reads lines of %d" % (len(line) - 1, self.line_bytes))
        return line

    def _write(self, line):
        if self._closed:
            raise self._closed
        view = memoryview(line)
        try:
            while view:
                view = view[threads.write(self._write_fd, view) :]
        except OSError as error:
            self._close(Disconnected("the host has closed its end: %s" % error))
            self._on_close()
            raise self._closed from None

    # -- reading

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
        self._close(Disconnected("the host has gone"))
        self._on_close()

    def _received(self, line):
        message = protocol.decode(line)
        if message is None:
            return
        if "method" in message:
            self._on_message(message)
        elif "id" in message:
            self._answered(message)

    def _answered(self, message):
        error = RequestError(message["error"]) if "error" in message else None
        with self._gate.lock:
            # An answer without an id is for a request whose id the host could not read: the oldest one.
            request_id = message["id"] if message["id"] is not None else next(iter(self._pending), None)
            pending = self._pending.pop(request_id, None)
            if pending is None:
                return
            pending.settle(message.get("result"), error)
            self._gate.changed()
        if error is not None and not pending.waited:
            self._on_rejected(pending, error)

    def _close(self, error):
        with self._gate.lock:
            self._closed = self._closed or error
            for pending in self._pending.values():
                pending.settle(error=self._closed)
            self._pending = {}
            self._gate.changed()
