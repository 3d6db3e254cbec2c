"""Words about the datastore."""

__all__ = ["SYSTEM_SCOPE", "USER_SCOPE", "FULL_SYSTEM_SCOPE", "FULL_USER_SCOPE", "DATASTORE_KEY_SEPARATOR"]

SYSTEM_SCOPE = "system"
USER_SCOPE = "user"
FULL_SYSTEM_SCOPE = "st2kv.system"
FULL_USER_SCOPE = "st2kv.user"
DATASTORE_KEY_SEPARATOR = ":"
