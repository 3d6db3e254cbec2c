import os

from st2actions.runners.pythonrunner import Action


class OutputContext(Action):
    """Adds one line to the file that the pack's configuration names as `log`."""

    def run(self, context):
        path = self.config.get("log")
        if not path:
            return (False, 'The configuration of the pack has no "log", the file to write to.')
        try:
            append(path, context + "\n")
        except OSError as error:
            return (False, "The line could not be written: %s" % error)
        return (True, "The line was written to %s." % path)


def append(path, line):
    """Add `line` in a single write: actions run side by side, and their lines must not mix."""
    folder = os.path.dirname(path)
    if folder:
        os.makedirs(folder, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        data = line.encode("utf-8", "surrogateescape")
        if os.write(file, data) != len(data):
            raise OSError("only a part of the line was written to %s" % path)
    finally:
        os.close(file)
