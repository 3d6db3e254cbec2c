"""Replays every golden conversation of sdk/conformance against the scripted sensor."""

import glob
import json
import os
import unittest

from host import SDK, Host

FOLDER = os.path.join(os.path.dirname(SDK), "conformance")
SENSOR = os.path.join(SDK, "tests", "conformance_sensor.py")


def matches(expected, found):
    """Equal, where `"*"` stands for anything."""
    if expected == "*":
        return True
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(matches(expected[key], found[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(matches, expected, found))
    return type(expected) is type(found) and expected == found


class Conformance(unittest.TestCase):
    """One subtest a conversation."""

    def test_there_are_conversations(self):
        self.assertGreater(len(self._files()), 5)

    def test_every_conversation(self):
        for path in self._files():
            with self.subTest(os.path.basename(path)):
                self._replay(path)

    def test_a_wrong_message_is_noticed(self):
        self.assertFalse(matches({"a": 1}, {"a": 1, "b": 2}))
        self.assertFalse(matches({"a": [1, "x"]}, {"a": [1, "y"]}))
        self.assertTrue(matches({"a": "*"}, {"a": {"b": 1}}))

    def _files(self):
        return sorted(glob.glob(os.path.join(FOLDER, "*.jsonl")))

    def _replay(self, path):
        with open(path, encoding="utf-8") as file:
            header, *lines = [json.loads(line) for line in file if line.strip()]
        with Host(class_name=header["mode"].capitalize(), file_path=SENSOR) as host:
            for line in lines:
                self._step(host, line)

    def _step(self, host, line):
        if "sensor" in line:
            found = host.read()
            self.assertTrue(matches(line["sensor"], found), "expected %s\ngot %s" % (line["sensor"], found))
        elif "host" in line:
            host.say(line["host"])
        elif "host_eof" in line:
            host.end_input()
        else:
            self.assertEqual(([], line["exit"]), host.end(), host.log())


if __name__ == "__main__":
    unittest.main()
