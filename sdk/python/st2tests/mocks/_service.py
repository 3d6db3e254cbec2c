"""What the stand-ins of sensors' and actions' services share."""

from logging import RootLogger
from unittest.mock import Mock

from st2tests.mocks.datastore import MockDatastoreService


class Service:
    """The datastore's methods and a logger that remembers what it was told."""

    def __init__(self, wrapper):
        self._logger = Mock(spec=RootLogger)
        self._datastore_service = MockDatastoreService(self._logger, wrapper._pack, wrapper._class_name)

    @property
    def datastore_service(self):
        """The datastore in memory."""
        return self._datastore_service

    def get_logger(self, name):
        """A `Mock`: ask it what was logged."""
        return self._logger

    def __getattr__(self, name):
        if name in ("get_user_info", "list_values", "get_value", "set_value", "delete_value"):
            return getattr(self._datastore_service, name)
        raise AttributeError(name)


class Wrapper:
    """Names the pack and the class."""

    def __init__(self, pack, class_name):
        self._pack = pack
        self._class_name = class_name
