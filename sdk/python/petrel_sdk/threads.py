"""Real threads, locks and waits, captured before any pack code can replace them.

`eventlet.monkey_patch()` swaps functions inside `os`, `time`, `_thread`, `threading` and `queue`. What this
module took at import time stays what it was; the rest of the SDK uses these names only.
"""

import _signal
import _thread
import os
import time
from _queue import Empty, SimpleQueue

__all__ = [
    "Empty",
    "Gate",
    "Mailbox",
    "SimpleQueue",
    "Switch",
    "monotonic",
    "sleep",
    "start",
    "without_signals",
]

start = _thread.start_new_thread
ident = _thread.get_ident
monotonic = time.monotonic
sleep = time.sleep
read = os.read
write = os.write
close = os.close

_new_lock = _thread.allocate_lock
# What the processor says; faulthandler shows where.
_FAULTS = {_signal.SIGSEGV, _signal.SIGFPE, _signal.SIGABRT, _signal.SIGBUS, _signal.SIGILL}
# What a lock accepts as a timeout without overflow.
_LONGEST_S = min(_thread.TIMEOUT_MAX, 1e6)


def without_signals(function):
    """Call `function` on a thread that no signal reaches.

    A wait with a timeout that a signal interrupts after its time, as happens when a stopped process goes on,
    may never end (CPython's SimpleQueue.get recomputes a negative timeout, which means for ever).
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals() - _FAULTS)
    function()


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


class Gate:
    """Open until somebody closes it; any number of threads pass, or wait until it is open again."""

    def __init__(self):
        self._lock = _new_lock()
        self._closed = False

    def close(self):
        """Close it; one thread closes and opens."""
        if not self._closed:
            self._closed = True
            self._lock.acquire()

    def open(self):
        """Open it; no harm if it is open already."""
        if self._closed:
            self._closed = False
            self._lock.release()

    def go_through(self):
        """Wait until it is open."""
        if self._closed:
            self._lock.acquire()
            self._lock.release()


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
        # Started by a thread without signals; what is called here is the pack's and may start programs.
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        self._open.wait()
        while True:
            function, args = self._queue.get()
            try:
                function(*args)
            except Exception as error:
                self._on_error(error)
