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
_MAX_EXITS = 3
# StackStorm's time between SIGTERM and SIGKILL, for a stop that names no deadline.
DEFAULT_DEADLINE_S = 5.0


class Stop:
    """Asks the main thread to stop, again and again until it does.

    Where the pack swallows SystemExit, as a bare `except:` in a loop does, `give_up()` is called on the main
    thread; it must end the process.
    """

    def __init__(self, give_up):
        self.wanted = False
        self.begun = False
        self.deadline = None
        self._give_up = give_up
        self._exits = []
        self._main = threads.ident()

    def install(self):
        """Take the signals; call it on the main thread."""
        for number in (_signal.SIGTERM, _signal.SIGINT, _OWN_SIGNAL):
            _signal.signal(number, self._on_signal)

    def request(self, deadline_s=None):
        """Ask for the stop from any thread; returns at once."""
        if not self.wanted:
            self.deadline = threads.monotonic() + (DEFAULT_DEADLINE_S if deadline_s is None else deadline_s)
            self.wanted = True
            threads.start(self._nudge, ())

    def begin(self):
        """The main thread has left the pack's code: from here on nothing interrupts it."""
        self.begun = True

    def _nudge(self):
        while not self.begun:
            _signal.pthread_kill(self._main, _OWN_SIGNAL)
            threads.sleep(_NUDGE_S)

    def _on_signal(self, _number, _frame):
        self.request()
        self._leave()

    def _leave(self):
        if not self.wanted or self.begun or self._is_leaving():
            return
        if len(self._exits) >= _MAX_EXITS:
            self._give_up()
        self._exits.append(SystemExit(0))
        raise self._exits[-1]

    def _is_leaving(self):
        """Whether a SystemExit of ours is on its way up, through the pack's `finally` and `except` blocks."""
        error = sys.exc_info()[1]
        while error is not None and error not in self._exits:
            error = error.__context__
        return error is not None
