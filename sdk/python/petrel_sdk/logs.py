"""Python's logging over the protocol, imported when the pack first asks for a logger."""

import sys


class Logs:
    """Log lines of one sensor; `prefix` is the name under which StackStorm has a sensor's loggers."""

    def __init__(self, connection, prefix, debug=False):
        self._connection = connection
        self._prefix = prefix
        self._debug = debug
        self._ready = False

    def get_logger(self, name):
        """The logger `<prefix>.<name>`."""
        import logging

        self.adopt()
        return logging.getLogger("%s.%s" % (self._prefix, name))

    def adopt(self):
        """Send what the pack logs through `logging` to the host, unless the pack set up logging itself."""
        import logging

        if self._ready:
            return
        self._ready = True
        root = logging.getLogger()
        if root.handlers:
            return
        root.addHandler(_handler(self))
        # StackStorm's sensors log from INFO upwards, and everything where the container runs with --debug.
        root.setLevel(logging.DEBUG if self._debug else logging.INFO)

    def note(self, level, message, logger=None, traceback=None):
        """Send one log line. It falls back to standard error, and never raises."""
        params = {"level": level, "message": message}
        if logger is not None:
            params["logger"] = logger
        if traceback is not None:
            params["traceback"] = traceback
        try:
            self._connection.notify("log", params)
        except Exception:  # the message must not be lost, nor end the sensor
            print("%s: %s" % (level.upper(), message), file=sys.stderr)


def _handler(logs):
    import logging

    class Handler(logging.Handler):
        """Makes a log notification of a record."""

        def createLock(self):
            # One write is whole without it, and eventlet would patch it.
            self.lock = None

        def handle(self, record):
            kept = self.filter(record)
            if kept:
                self.emit(record if kept is True else kept)
            return kept

        def emit(self, record):
            try:
                traceback = None
                if record.exc_info:
                    traceback = logging.Formatter().formatException(record.exc_info)
                logs.note(_level(record.levelno), record.getMessage(), record.name, traceback)
            except Exception:
                self.handleError(record)

    return Handler()


def _level(number):
    for least, name in ((50, "critical"), (40, "error"), (30, "warning"), (20, "info")):
        if number >= least:
            return name
    return "debug"
