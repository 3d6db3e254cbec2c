"""An action's logger: records on standard error in the format of StackStorm's Python runner."""

import logging
import sys

_FORMAT = "%(name)-12s: %(levelname)-8s %(message)s"
_AUDIT = logging.CRITICAL + 10
_level = logging.DEBUG


def set_level(name):
    """The level from which on actions log: a name of logging's, or StackStorm's AUDIT."""
    global _level
    logging.addLevelName(_AUDIT, "AUDIT")
    level = _AUDIT if name.upper() == "AUDIT" else logging.getLevelName(name.upper())
    if not isinstance(level, int):
        raise ValueError("unknown log level %s" % name)
    _level = level


def get_logger(class_name):
    """The logger `actions.python.<class>`; what its ancestors do with a record is left to the pack."""
    logger = logging.getLogger("actions.python." + class_name)
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(handler)
        logger.propagate = False
    logger.setLevel(_level)
    return logger
