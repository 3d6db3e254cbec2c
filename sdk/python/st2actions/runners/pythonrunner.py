"""The old name of StackStorm's base class for actions."""

from st2common.runners.base_action import Action

__all__ = ["Action"]
