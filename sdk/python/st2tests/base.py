"""`st2tests.base`: the base classes under the name by which packs import them."""

import json
import os
from unittest import TestCase

from st2tests.actions import BaseActionTestCase
from st2tests.sensors import BaseSensorTestCase

__all__ = [
    "TestCase",
    "BaseSensorTestCase",
    "BaseActionTestCase",
    "FakeResponse",
    "get_fixtures_path",
    "get_resources_path",
]


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
