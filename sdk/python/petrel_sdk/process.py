"""The process that hosts a pack's code: its standard streams and its end."""

import atexit
import os
import sys


def take_pipes():
    """Move the conversation away from descriptors 0 and 1: `(read, write)`.

    What the pack prints goes to standard error from here on, what it reads from standard input is empty;
    the moved descriptors are closed in every program that the pack starts.
    """
    read_fd, write_fd = os.dup(0), os.dup(1)
    empty_stdin()
    os.dup2(2, 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    return read_fd, write_fd


def empty_stdin():
    """Let descriptor 0 read nothing."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)


def exit_code(error):
    """The exit code that Python gives to a SystemExit; its text, if it is one, goes to standard error."""
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def end(code):
    """Leave the process at once, after the pack's exit callbacks.

    Threads that the pack left behind are not waited for: under StackStorm they are green threads, and end
    with the process.
    """
    try:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 0xFF)
