"""A datastore in memory."""

from st2client.models.keyvalue import KeyValuePair

__all__ = ["MockDatastoreService"]


class MockDatastoreService:
    """The datastore's methods over a dict of one test."""

    def __init__(self, logger, pack_name, class_name, api_username=None):
        self._logger = logger
        self._local = "%s.%s:" % (pack_name, class_name)
        self._username = api_username or "admin"
        self._datastore_items = {}

    def get_user_info(self):
        """An administrator."""
        return {
            "username": self._username,
            "rbac": {"is_admin": True, "enabled": True, "roles": ["admin"]},
            "authentication": {"method": "authentication token", "location": "header"},
        }

    def list_values(self, local=True, limit=None, prefix=None, offset=0):
        """Items whose name begins so, in the order in which they were set."""
        start = self._name(prefix or "", local)
        return [item for name, item in self._datastore_items.items() if name.startswith(start)]

    def get_value(self, name, local=True, scope="system", decrypt=False):
        """The value, or None."""
        item = self._datastore_items.get(self._name(name, local))
        return item.value if item else None

    def set_value(self, name, value, ttl=None, local=True, scope="system", encrypt=False):
        """Keep a value as it is."""
        if ttl:
            self._logger.warning("MockDatastoreService is not able to expire keys based on ttl.")
        full = self._name(name, local)
        self._datastore_items[full] = KeyValuePair(id=full, name=full, value=value, ttl=ttl)
        return True

    def delete_value(self, name, local=True, scope="system"):
        """Whether it was there."""
        return self._datastore_items.pop(self._name(name, local), None) is not None

    def _name(self, name, local):
        return self._local + name if local else name
