"""Real threads, locks and waits, captured before any pack code can replace them.

`eventlet.monkey_patch()` swaps functions inside `os`, `time`, `_thread` and `threading`. What this module
took at import time stays what it was; the rest of the SDK uses these names only.
"""

import _thread
import os
import time

start = _thread.start_new_thread
new_lock = _thread.allocate_lock
ident = _thread.get_ident
monotonic = time.monotonic
sleep = time.sleep
read = os.read
write = os.write
close = os.close

FOREVER = -1
# What a lock accepts as a timeout without overflow (threading.TIMEOUT_MAX, without its import).
_LONGEST_S = min(_thread.TIMEOUT_MAX, 1e6)


def remaining(deadline):
    """Seconds until `deadline` (monotonic), as a lock's timeout; None means no end."""
    return FOREVER if deadline is None else min(max(0.0, deadline - monotonic()), _LONGEST_S)


class Gate:
    """A condition variable of raw locks: `with gate.lock` guards state, `wait_until` waits for a change of it.

    `lock` is a raw lock on purpose: entering it is one step of the interpreter, so a signal handler that
    raises can never leave it held.
    """

    def __init__(self):
        self.lock = new_lock()
        self._waiters = []

    def wait_until(self, predicate, deadline=None):
        """Wait until `predicate()`, called under the lock, is true or `deadline` has come; what it last returned."""
        while True:
            with self.lock:
                result = predicate()
                if result or (deadline is not None and monotonic() >= deadline):
                    return result
                waiter = new_lock()
                waiter.acquire()
                self._waiters.append(waiter)
            if not waiter.acquire(True, remaining(deadline)):
                self._forget(waiter)

    def changed(self):
        """Wake every waiter; call it with the lock held, after the change."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.release()

    def _forget(self, waiter):
        with self.lock:
            if waiter in self._waiters:
                self._waiters.remove(waiter)


class Mailbox:
    """A thread that takes functions and calls them in order; it starts with the first one.

    `beat_every` has it call a function at an interval, too. `held` keeps what arrives until `release`.
    """

    def __init__(self, on_error, held=False):
        self._gate = Gate()
        self._held = held
        self._items = []
        self._busy = False
        self._started = False
        self._on_error = on_error
        self._every_s = self._beat = self._next_beat = None
        self._beat_is_new = False

    def put(self, function, *args):
        """Have `function(*args)` called on the thread."""
        with self._gate.lock:
            self._items.append((function, args))
            self._gate.changed()
            self._start()

    def flush(self, deadline):
        """Wait until everything put so far has been called; False if `deadline` came first."""
        return self._gate.wait_until(lambda: self._held or not (self._items or self._busy), deadline)

    def beat_every(self, every_s, beat):
        """Call `beat()` every `every_s` seconds, on the same thread."""
        with self._gate.lock:
            self._every_s, self._beat = every_s, beat
            self._next_beat = monotonic() + every_s
            self._beat_is_new = True
            self._gate.changed()
            self._start()

    def release(self):
        """Begin with what has been held."""
        with self._gate.lock:
            self._held = False
            if self._items:
                self._start()

    def _start(self):
        if not self._started and not self._held:
            self._started = True
            start(self._run, ())

    def _run(self):
        while True:
            self._gate.wait_until(self._work, self._next_beat)
            if self._next_beat is not None and monotonic() >= self._next_beat:
                self._next_beat = monotonic() + self._every_s
                self._call(self._beat, ())
            with self._gate.lock:
                items, self._items = self._items, []
                self._busy = bool(items)
            for function, args in items:
                self._call(function, args)
            with self._gate.lock:
                self._busy = self._beat_is_new = False
                self._gate.changed()

    def _work(self):
        return self._items or self._beat_is_new

    def _call(self, function, args):
        try:
            function(*args)
        except Exception as error:  # noqa: B902 - a callback of the pack may raise anything
            self._on_error(error)
