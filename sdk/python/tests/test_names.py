"""What packs import under StackStorm's names."""

import datetime
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from petrel_sdk import imports
from petrel_sdk.action_service import DatastoreError
from petrel_sdk.filters import all_filters
from st2client.client import Client
from st2common import log
from st2common.exceptions.content import ParseException
from st2common.models.utils.action_alias_utils import extract_parameters
from st2common.runners.base_action import Action
from st2common.content import utils
from st2common.util import date, isotime, jinja, shell
from st2reactor.sensor.base import PollingSensor
from st2client.commands.resource import ResourceNotFoundError
from st2client.models import LiveAction
from st2client.resources import ExecutionManager
from st2tests.base import BaseActionAliasTestCase, BaseActionTestCase, BaseSensorTestCase, CleanFilesTestCase


class Greeter:
    def __init__(self, config=None, action_service=None):
        self.config = config
        self.action_service = action_service

    def run(self, name):
        self.action_service.set_value("last", name)
        return self.config["greeting"] + self.action_service.get_value("last")


class Old:
    def __init__(self, config=None):
        self.config = config


class Ticker(PollingSensor):
    def setup(self):
        pass

    def poll(self):
        self.sensor_service.dispatch(trigger="p.t", payload={"n": 1}, trace_tag="tag")
        self.sensor_service.get_logger("x").info("ticked")

    def cleanup(self):
        pass

    add_trigger = update_trigger = remove_trigger = lambda self, trigger: None


class ActionTest(BaseActionTestCase):
    action_cls = Greeter

    def test_an_action_has_its_configuration_and_a_datastore_in_memory(self):
        action = self.get_action_instance({"greeting": "hello "})
        self.assertEqual(action.run(name="world"), "hello world")
        names = [item.name for item in self.action_service.list_values()]
        self.assertEqual(names, ["tests.Greeter:last"])
        self.assertTrue(self.action_service.delete_value("last"))
        self.assertIsNone(self.action_service.get_value("last"))


class OldActionTest(BaseActionTestCase):
    action_cls = Old

    def test_a_class_of_the_old_kind_gets_its_service_afterwards(self):
        self.assertIs(self.get_action_instance({}).action_service, self.action_service)


class SensorTest(BaseSensorTestCase):
    sensor_cls = Ticker

    def test_what_is_dispatched_is_kept(self):
        sensor = self.get_sensor_instance(config={"a": 1}, poll_interval=2)
        sensor.poll()
        self.assertEqual(sensor.get_poll_interval(), 2)
        self.assertTriggerDispatched(trigger="p.t", payload={"n": 1})
        self.assertEqual(self.get_last_dispatched_trigger()["trace_context"].trace_tag, "tag")
        self.sensor_service.get_logger("x").info.assert_called_with("ticked")
        with self.assertRaises(AssertionError):
            self.assertTriggerDispatched(trigger="p.t", payload={"n": 2})


class Configured(Action):
    def run(self):
        return self.config["token"]


class ConfiguredTest(BaseActionTestCase):
    action_cls = Configured

    def test_a_missing_key_of_the_configuration_is_told_with_its_pack(self):
        self.assertEqual(self.get_action_instance({"token": 5}).run(), 5)
        with self.assertRaisesRegex(ValueError, 'Config for pack "tests" is missing key "token"'):
            self.get_action_instance(None).run()


class AliasTest(unittest.TestCase):
    """What StackStorm's own parser gave for the same formats and commands."""

    def test_parameters_of_commands(self):
        for text, command, wanted in [
            ("say {{ what }}", "say hello there", {"what": "hello there"}),
            ("say {{what}} to {{who=all}}", "say 'a b' to", {"what": "a b", "who": "all"}),
            ("say {{what}} to {{who=all}}", "tell 'a b'", None),
            ("say {{what}}( to {{who}})?", "say 'a b'", {"what": "a b", "who": None}),
            ("say {{what}} {{who=all}}", "say hi", {"what": "hi", "who": "all"}),
            ('run {{ x = "two words" }}', "run", {"x": "two words"}),
            ("run {{x}}", 'run {"a": 1} b=2 c="d e"', {"x": '{"a": 1}', "b": "2", "c": "d e"}),
            ("^run {{x}}$", "run 5", None),
            ("{{x}}", "", {"x": " "}),
            ("{{x=''}}", "", None),
            ("(un)?lock {{door}}", "unlock front", {"door": "front"}),
        ]:
            with self.subTest(format=text, command=command):
                if wanted is None:
                    self.assertRaises(ParseException, extract_parameters, text, command)
                else:
                    self.assertEqual(extract_parameters(text, command), wanted)

    def test_each_place_of_a_command(self):
        self.assertEqual(extract_parameters("^ *(?:x {{a}};)?", " x 1;", True), [{"a": "1"}])

    def test_the_base_class_of_tests_of_aliases(self):
        class Case(BaseActionAliasTestCase):
            def runTest(self):
                pass

        with self.assertRaisesRegex(ValueError, "action_alias_name"):
            Case().setUp()
        case = Case()
        case.assertCommandMatchesExactlyOneFormatString(["a {{x}}", "b {{x}}"], "a 5")
        for command, why in (("c 5", "didn't match any"), ("a b 5", "multiple")):
            with self.assertRaisesRegex(AssertionError, why):
                case.assertCommandMatchesExactlyOneFormatString(["a {{x}}", "a b {{x}}"], command)


class CleanTest(CleanFilesTestCase):
    to_delete_directories = [tempfile.mkdtemp()]

    def test_what_is_named_is_gone_before(self):
        self.assertFalse(os.path.exists(self.to_delete_directories[0]))


class ClientTest(unittest.TestCase):
    """Managers over an API that a test plays."""

    def setUp(self):
        self.asked = []
        self.answers = []
        self.manager = ExecutionManager("executions", LiveAction)
        self.manager._service = self

    def _request(self, *asked):
        self.asked.append(asked)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def test_executions_are_started_read_and_canceled(self):
        self.answers = [{"id": "1", "status": "requested"}, {"id": "1", "result": {"a": 1}, "parent": None}, {}]
        made = self.manager.create(LiveAction(action="core.local", parameters={"cmd": "true"}))
        self.assertEqual(made.status, "requested")
        body = {"action": "core.local", "parameters": {"cmd": "true"}}
        self.assertEqual(self.asked[-1], ("POST", "/v1/executions", {}, body))
        read = self.manager.get_by_id("1")
        self.assertEqual(read.to_dict(exclude_attributes=["id"]), {"result": {"a": 1}})
        self.manager.delete_by_id("1")
        self.assertEqual(self.asked[-1], ("DELETE", "/v1/executions/1", {}, None))

    def test_what_is_not_there_and_what_cannot_be_done_are_told(self):
        self.answers = [DatastoreError(404, "no execution")]
        with self.assertRaisesRegex(ResourceNotFoundError, "no execution"):
            self.manager.get_by_id("2")
        with self.assertRaisesRegex(NotImplementedError, "pause"):
            self.manager.pause("1")
        with self.assertRaisesRegex(ImportError, "database"):
            from st2tests.base import DbTestCase  # noqa: F401


class NamesTest(unittest.TestCase):
    def test_times(self):
        moment = datetime.datetime(2020, 1, 2, 3, 4, 5, 600000, datetime.timezone.utc)
        self.assertEqual(isotime.format(moment), "2020-01-02T03:04:05.600000+00:00")
        self.assertEqual(isotime.format(moment, usec=False, offset=False), "2020-01-02T03:04:05Z")
        self.assertEqual(isotime.parse("2020-01-02T03:04:05.600Z"), moment)
        self.assertFalse(isotime.validate("2020-01-02T03:04:05+02:00", raise_exception=False))
        self.assertEqual(date.parse("2020-01-02T05:04:05.600+02:00"), moment)
        self.assertEqual(date.append_milliseconds_to_time(moment, 400).second, 6)
        with self.assertRaises(ValueError):
            date.add_utc_tz(moment.replace(tzinfo=datetime.timezone(datetime.timedelta(hours=1))))

    def test_programs_and_words(self):
        self.assertEqual(shell.run_command(["sh", "-c", "echo out; echo err >&2; exit 3"]), (3, "out\n", "err\n"))
        self.assertEqual(shell.quote_unix(" a b "), "'a b'")
        with self.assertRaises(TypeError):
            shell.run_command(5)
        self.assertTrue(jinja.is_jinja_expression("{{ x }}"))

    def test_filters(self):
        filters = all_filters()
        self.assertEqual(len(filters), 24)
        human = filters["to_human_time_from_seconds"]
        self.assertEqual([human(one) for one in (0, 59, 60, 3785, 86400)], ["0s", "59s", "1m0s", "1h3m5s", "1d0h0m0s"])
        self.assertEqual(filters["regex_replace"](1.5, "[.]", ","), "1,5")
        self.assertEqual(filters["regex_substring"]("a1b2", "[0-9]", 1), "2")
        self.assertTrue(filters["regex_search"]("abc", "B", True))
        self.assertFalse(filters["regex_match"]("abc", "b"))
        self.assertEqual(filters["json_escape"]('q"q'), 'q\\"q')
        self.assertEqual(filters["use_none"](None), "%*****__%NONE%__*****%")

    def test_what_our_modules_need_is_wanted_with_them(self):
        with tempfile.TemporaryDirectory() as pack:
            os.makedirs(os.path.join(pack, "actions"))
            with open(os.path.join(pack, "actions/a.py"), "w") as file:
                file.write("from st2common.util import jinja\nimport os.path\nfrom .x import y\n")
            self.assertEqual(imports.wanted(pack), {"st2common", "jinja2", "os"})

    def test_levels(self):
        with self.assertLogs("some", log.AUDIT) as logs:
            log.getLogger("some").audit("who: %s", "me")
        self.assertEqual(logs.output, ["AUDIT:some:who: me"])

    def test_files_of_packs_do_not_lead_out_of_them(self):
        with tempfile.TemporaryDirectory() as base, mock.patch.dict(os.environ, {"PETREL_PACKS": base}):
            os.makedirs(os.path.join(base, "p/actions"))
            self.assertEqual(utils.get_packs_base_paths(), [base])
            wanted = os.path.join(base, "p/actions/lib/x.txt")
            self.assertEqual(utils.get_pack_resource_file_abs_path("p", "action", "lib/x.txt"), wanted)
            with self.assertRaises(ValueError):
                utils.get_pack_file_abs_path("p", "../q/secret")

    def test_the_client_says_what_is_not_there(self):
        with self.assertRaisesRegex(NotImplementedError, "inquiries"):
            Client(base_url="http://x").inquiries.respond()


if __name__ == "__main__":
    unittest.main()
