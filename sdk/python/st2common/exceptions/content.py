"""Errors of what packs contain."""

__all__ = ["ParseException"]


class ParseException(ValueError):
    """A text does not have the form that was asked for."""
