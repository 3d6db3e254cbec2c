"""What packs import under StackStorm's names."""

import datetime
import os
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from st2client.client import Client
from st2common import log
from st2common.content import utils
from st2common.util import date, isotime, jinja, shell
from st2reactor.sensor.base import PollingSensor
from st2tests.base import BaseActionTestCase, BaseSensorTestCase


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
        with self.assertRaisesRegex(NotImplementedError, "liveactions"):
            Client(base_url="http://x").liveactions.create()


if __name__ == "__main__":
    unittest.main()
