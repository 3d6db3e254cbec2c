"""StackStorm's base class for Python actions, under StackStorm's name.

Same constructor and attributes as st2common/runners/base_action.py; the logger is made when it is first asked
for, because importing `logging` costs a third of an action's start.
"""

from abc import ABCMeta, abstractmethod

from petrel_sdk.pack_config import PackConfigDict

__all__ = ["Action"]


class _Logger:
    """Gives the instance its logger at first use; a pack may assign its own instead."""

    def __get__(self, action, owner=None):
        if action is None:
            return self
        from petrel_sdk.action_logs import get_logger

        action.__dict__["logger"] = logger = get_logger(owner.__name__)
        return logger


class Action(metaclass=ABCMeta):
    """What a Python action derives from."""

    description = None
    logger = _Logger()

    def __init__(self, config=None, action_service=None):
        wrapper = getattr(action_service, "_action_wrapper", None)
        self.config = PackConfigDict(getattr(wrapper, "_pack", "unknown"), config or {})
        self.action_service = action_service

    @abstractmethod
    def run(self, **kwargs):
        """Do the work: a result, or `(succeeded, result)`."""
