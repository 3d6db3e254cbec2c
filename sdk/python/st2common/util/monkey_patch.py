"""Green threads (names of st2common/util/monkey_patch.py); eventlet comes from the base environment."""

import select
import sys

__all__ = ["monkey_patch", "use_select_poll_workaround", "is_use_debugger_flag_provided"]


def monkey_patch(patch_thread=None):
    """Make files, sockets, sleeping and, unless a debugger is used, threads green."""
    import eventlet

    threads = not is_use_debugger_flag_provided() if patch_thread is None else patch_thread
    eventlet.monkey_patch(os=True, select=True, socket=True, time=True, thread=threads)


def use_select_poll_workaround(nose_only=True):
    """Give `select.poll`, which eventlet takes away, back to those who use it."""
    if nose_only and "nose" not in sys.modules:
        return
    from eventlet import patcher

    select.poll = patcher.original("select").poll


def is_use_debugger_flag_provided():
    """Whether the command line has `--use-debugger`."""
    return any("--use-debugger" in word for word in sys.argv)
