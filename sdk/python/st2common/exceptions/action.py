"""Errors of actions."""

__all__ = ["ParameterRenderingFailedException", "InvalidActionReferencedException", "InvalidActionParameterException"]


class ParameterRenderingFailedException(Exception):
    """A template of a parameter cannot be rendered."""


class InvalidActionReferencedException(Exception):
    """There is no such action."""


class InvalidActionParameterException(Exception):
    """A parameter is not what it must be."""
