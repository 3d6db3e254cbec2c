"""The ordered stop: whoever asks for it, the main thread leaves what it does by SystemExit.

`run()` belongs to the main thread and may sleep or sit in a system call; only a signal reaches it there.
SIGTERM and SIGINT come from outside; for a `shutdown` message and the end of input the SDK sends itself a
signal of its own, so that a pack's own SIGTERM handler stays the pack's.
"""

import _signal
import sys

from petrel_sdk import threads

_OWN_SIGNAL = getattr(_signal, "SIGRTMAX", None) or _signal.SIGUSR2
_NUDGE_S = 0.2
# StackStorm's time between SIGTERM and SIGKILL, for a stop that names no deadline.
DEFAULT_DEADLINE_S = 5.0


class Stop:
    """Asks the main thread to stop, and shields what must not be cut in half.

    Used as a context manager it puts the stop off until the outermost `with` of the main thread ends.
    """

    def __init__(self):
        self.wanted = False
        self.begun = False
        self.deadline = None
        self._depth = 0
        self._main = threads.ident()

    def install(self):
        """Take the signals; call it on the main thread."""
        for number in (_signal.SIGTERM, _signal.SIGINT, _OWN_SIGNAL):
            _signal.signal(number, self._on_signal)

    def request(self, deadline_s=None):
        """Ask for the stop from any thread; returns at once."""
        if self.wanted:
            return
        self._want(deadline_s)
        threads.start(self._nudge, ())

    def begin(self):
        """The main thread has left the pack's code: from here on nothing interrupts it."""
        self.begun = True

    def _want(self, deadline_s=None):
        if not self.wanted:
            self.deadline = threads.monotonic() + (DEFAULT_DEADLINE_S if deadline_s is None else deadline_s)
            self.wanted = True

    def _nudge(self):
        # Again and again: a bare `except:` in a pack swallows SystemExit.
        while not self.begun:
            _signal.pthread_kill(self._main, _OWN_SIGNAL)
            threads.sleep(_NUDGE_S)

    def _on_signal(self, _number, _frame):
        self._want()
        self._leave()

    def _leave(self):
        if self.wanted and not self.begun and self._depth == 0:
            sys.exit(0)

    def __enter__(self):
        if threads.ident() == self._main:
            self._depth += 1

    def __exit__(self, *_):
        if threads.ident() == self._main:
            self._depth -= 1
            self._leave()
