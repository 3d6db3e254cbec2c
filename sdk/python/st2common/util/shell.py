"""Programs that packs run (names and results of st2common/util/shell.py)."""

import shlex
import subprocess

__all__ = ["run_command", "quote_unix", "quote_windows"]


def run_command(
    cmd, stdin=None, stdout=subprocess.PIPE, stderr=subprocess.PIPE, shell=False, cwd=None, env=None, close_fds=True
):
    """Run it to its end: (exit code, output, errors), the latter as text."""
    if not isinstance(cmd, (list, tuple, str)):
        raise TypeError("Command must be a type of list, tuple, or string, not '%s'." % type(cmd))
    done = subprocess.run(
        cmd,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        shell=shell,
        cwd=cwd,
        env=env or None,
        close_fds=close_fds is not False,
        check=False,
    )
    return done.returncode, (done.stdout or b"").decode(), (done.stderr or b"").decode()


def quote_unix(value):
    """The text as one word of a shell, blanks at its ends dropped."""
    return shlex.quote(value.strip())


def quote_windows(value):
    """The text as one argument of a Windows program."""
    return subprocess.list2cmdline([value.strip()])
