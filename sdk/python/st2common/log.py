"""`st2common.log`: the standard library's logging, with the level AUDIT between INFO and WARNING."""

import logging
from logging import CRITICAL, DEBUG, ERROR, INFO, WARNING

__all__ = ["getLogger", "AUDIT", "CRITICAL", "DEBUG", "ERROR", "INFO", "WARNING"]

AUDIT = INFO + 1
logging.addLevelName(AUDIT, "AUDIT")


class _Logger(logging.LoggerAdapter):
    """A logger that knows `audit`."""

    def process(self, msg, kwargs):
        return msg, kwargs

    def audit(self, message, *args, **kwargs):
        """Log what an auditor wants to know."""
        self.log(AUDIT, message, *args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.logger, name)


def getLogger(name):
    """The logger of that name."""
    return _Logger(logging.getLogger(name), {})
