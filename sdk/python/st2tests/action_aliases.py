"""Tests of action aliases."""

import glob
import os

from st2common.exceptions.content import ParseException
from st2common.models.utils.action_alias_utils import extract_parameters, extract_parameters_for_action_alias_db
from st2tests.pack_resource import BasePackResourceTestCase

__all__ = ["BaseActionAliasTestCase"]


class ActionAlias:
    """What a file of `aliases` says, each key an attribute, with StackStorm's defaults."""

    def __init__(self, pack, fields):
        self.enabled = True
        self.description = None
        self.formats = []
        self.ack, self.result, self.extra, self.immutable_parameters = {}, {}, {}, {}
        self.__dict__.update(fields)
        self.pack = self.__dict__.get("pack", pack)
        self.ref = "%s.%s" % (self.pack, self.name)

    def get_format_strings(self):
        """All formats as texts: of one that is shown differently, those that are matched."""
        texts = []
        for one in self.formats:
            shown = isinstance(one, dict) and one.get("representation")
            texts += shown or [one]
        return texts


class BaseActionAliasTestCase(BasePackResourceTestCase):
    """`action_alias_name` names the alias; it is read into `action_alias_db`."""

    action_alias_name = None
    action_alias_db = None

    def setUp(self):
        super().setUp()
        if not self.action_alias_name:
            raise ValueError('"action_alias_name" class attribute needs to be provided')
        self.action_alias_db = self._get_action_alias_db_by_name(self.action_alias_name)

    def assertCommandMatchesExactlyOneFormatString(self, format_strings, command):
        """The command has the form of one of them, and of no other."""
        matched = [one for one in format_strings if _matches(one, command)]
        if not matched:
            raise AssertionError('Command "%s" didn\'t match any of the provided format strings' % command)
        if len(matched) > 1:
            raise AssertionError('Command "%s" matched multiple format strings: %s' % (command, ", ".join(matched)))

    def assertExtractedParametersMatch(self, format_string, command, parameters):
        """The command has this form, and these are its parameters."""
        found = extract_parameters_for_action_alias_db(self.action_alias_db, format_string, command)
        message = (
            'Extracted parameters from command string "%s" against format string "%s" didn\'t match the provided '
            "parameters: " % (command, format_string)
        )
        self.assertEqual(found, parameters, message)

    def _get_action_alias_db_by_name(self, name):
        pack = self._get_base_pack_path()
        manifest = os.path.join(pack, "pack.yaml")
        of_pack = _yaml(manifest) if os.path.isfile(manifest) else {}
        ref = of_pack.get("ref") or of_pack.get("name") or os.path.basename(pack)
        for path in sorted(glob.glob(os.path.join(pack, "aliases", "*.y*ml"))):
            alias = ActionAlias(ref, _yaml(path))
            if alias.name == name:
                return alias
        raise ValueError('Alias with name "%s" not found' % name)


def _matches(format_string, command):
    try:
        extract_parameters(format_string, command)
    except ParseException:
        return False
    return True


def _yaml(path):
    # The base environment has it, and only these tests need it.
    import yaml

    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)
