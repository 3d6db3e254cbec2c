"""Real threads, locks and waits, captured before any pack code can replace them.

`eventlet.monkey_patch()` swaps functions inside `os`, `time`, `_thread`, `threading` and `queue`. What this
module took at import time stays what it was; the rest of the SDK uses these names only.
"""

import _thread
import os
import time
from _queue import Empty, SimpleQueue

__all__ = ["Empty", "Mailbox", "SimpleQueue", "Switch", "monotonic", "sleep", "start"]

start = _thread.start_new_thread
ident = _thread.get_ident
monotonic = time.monotonic
sleep = time.sleep
read = os.read
write = os.write
close = os.close

_new_lock = _thread.allocate_lock
# What a lock accepts as a timeout without overflow.
_LONGEST_S = min(_thread.TIMEOUT_MAX, 1e6)


class Switch:
    """Off until somebody turns it on; one thread waits for it.

    Made of one raw lock, so that a signal handler that raises, or calls the SDK again, finds nothing half done.
    """

    def __init__(self):
        self._lock = _new_lock()
        self._lock.acquire()

    def on(self):
        """Turn it on; no harm if it is on already."""
        try:
            self._lock.release()
        except RuntimeError:
            return

    def wait(self, deadline=None):
        """Wait until it is on, and turn it off again; False if `deadline` (monotonic) came first."""
        if deadline is None:
            return self._lock.acquire()
        return self._lock.acquire(True, min(max(0.0, deadline - monotonic()), _LONGEST_S))


class Mailbox:
    """A thread that calls the functions put to it in order; it begins with `open`, at the first of them."""

    def __init__(self, on_error):
        self._queue = SimpleQueue()
        self._on_error = on_error
        self._open = Switch()
        self._started = False

    def put(self, function, *args):
        """Have `function(*args)` called; one thread puts."""
        self._queue.put((function, args))
        if not self._started:
            self._started = True
            start(self._run, ())

    def open(self):
        """Begin with what has been put."""
        self._open.on()

    def _run(self):
        self._open.wait()
        while True:
            function, args = self._queue.get()
            try:
                function(*args)
            except Exception as error:
                self._on_error(error)
