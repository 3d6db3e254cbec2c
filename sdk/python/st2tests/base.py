"""`st2tests.base`: the base classes under the name by which packs import them."""

import json
import os
import shutil
from unittest import TestCase
from unittest.mock import Mock

from st2tests.action_aliases import BaseActionAliasTestCase
from st2tests.actions import BaseActionTestCase
from st2tests.sensors import BaseSensorTestCase

__all__ = [
    "TestCase",
    "BaseSensorTestCase",
    "BaseActionTestCase",
    "BaseActionAliasTestCase",
    "CleanFilesTestCase",
    "EventletTestCase",
    "FakeResponse",
    "blocking_eventlet_spawn",
    "get_fixtures_path",
    "get_resources_path",
    "make_mock_stream_readline",
]

# They begin with a connection to StackStorm's database, which is not here.
_OF_A_DATABASE = (
    "CleanDbTestCase",
    "DbModelTestCase",
    "DbTestCase",
    "ExecutionDbTestCase",
    "IntegrationTestCase",
    "RunnerTestCase",
    "WorkflowTestCase",
)


def __getattr__(name):
    if name in _OF_A_DATABASE:
        raise ImportError("st2tests.base.%s tests StackStorm itself, with its database; petrel has neither" % name)
    raise AttributeError("module %r has no attribute %r" % (__name__, name))


class CleanFilesTestCase(TestCase):
    """What these two name is removed before and after each test."""

    to_delete_files = []
    to_delete_directories = []

    def setUp(self):
        super().setUp()
        self._delete_files()

    def tearDown(self):
        super().tearDown()
        self._delete_files()

    def _delete_files(self):
        for path in self.to_delete_files:
            if os.path.isfile(path):
                os.remove(path)
        for path in self.to_delete_directories:
            shutil.rmtree(path, ignore_errors=True)


class EventletTestCase(TestCase):
    """Its tests run on green threads; eventlet comes from the base environment."""

    @classmethod
    def setUpClass(cls):
        import eventlet

        eventlet.monkey_patch(os=True, select=True, socket=True, thread=True, time=True)


class FakeResponse:
    """What a library for HTTP would return."""

    def __init__(self, text, status_code, reason):
        self.text = text
        self.status_code = status_code
        self.reason = reason

    def json(self):
        """The text as JSON."""
        return json.loads(self.text)

    def raise_for_status(self):
        """Raise the reason, whatever the status."""
        raise Exception(self.reason)


def get_fixtures_path():
    """Where StackStorm keeps its own; packs have theirs in `tests/fixtures`."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")


def get_resources_path():
    """Likewise."""
    return os.path.join(os.path.dirname(os.path.abspath(__file__)), "resources")


def blocking_eventlet_spawn(func, *args, **kwargs):
    """In the place of `eventlet.spawn`: the function has run when it returns."""
    func(*args, **kwargs)
    return Mock()


def make_mock_stream_readline(mock_stream, mock_data, stop_counter=1, sleep_delay=0):
    """A `readline` that gives the first lines of `mock_data`, then closes the stream."""
    mock_stream.counter = 0

    def readline():
        if sleep_delay:
            import eventlet

            eventlet.sleep(sleep_delay)
        if mock_stream.counter >= stop_counter:
            mock_stream.closed = True
            return None
        mock_stream.counter += 1
        return mock_data[mock_stream.counter - 1]

    return readline
