"""What the client library calls models."""

from st2client.models.keyvalue import KeyValuePair

__all__ = ["KeyValuePair"]
