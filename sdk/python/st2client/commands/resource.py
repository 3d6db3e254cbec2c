"""The client library's error for what is not there."""

__all__ = ["ResourceNotFoundError"]


class ResourceNotFoundError(Exception):
    """There is no such thing."""
