"""Helpers of Python actions (names of st2common/runners/utils.py)."""

import logging

from petrel_sdk.pack_config import PackConfigDict

__all__ = ["PackConfigDict", "get_logger_for_python_runner_action", "get_action_class_instance"]

_FORMAT = "%(name)-12s: %(levelname)-8s %(message)s"


def get_logger_for_python_runner_action(action_name, log_level="debug"):
    """The logger of an action, which writes to standard error."""
    logger = logging.getLogger("actions.python.%s" % action_name)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter(_FORMAT))
        logger.addHandler(handler)
        logger.setLevel(getattr(logging, log_level.upper(), logging.DEBUG))
    return logger


def get_action_class_instance(action_cls, config=None, action_service=None):
    """An instance; a class of the old kind gets its service afterwards."""
    try:
        return action_cls(config=config, action_service=action_service)
    except TypeError as error:
        if "unexpected keyword argument 'action_service'" not in str(error):
            raise
    instance = action_cls(config=config)
    instance.action_service = action_service
    return instance
