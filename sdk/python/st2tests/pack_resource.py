"""What all tests of packs share."""

import inspect
import os
from unittest import TestCase

__all__ = ["BasePackResourceTestCase"]


class BasePackResourceTestCase(TestCase):
    """A test that lies in the folder `tests` of its pack."""

    def get_fixture_content(self, fixture_path):
        """The text of a file below `tests/fixtures`."""
        with open(os.path.join(self._get_base_pack_path(), "tests/fixtures", fixture_path)) as file:
            return file.read()

    def _get_base_pack_path(self):
        return os.path.dirname(os.path.dirname(os.path.abspath(inspect.getfile(type(self)))))
