"""The example pack: what its sensor reports of a folder, over restarts too, and what its action writes."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from host import PATIENCE_S, SDK, Ready

PACK = os.path.join(os.path.dirname(os.path.dirname(SDK)), "packs", "mypack")
SENSOR = os.path.join(PACK, "sensors", "directory_sensor.py")


class DirectorySensor(unittest.TestCase):
    """One sensor at a time over one folder and one stored value."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.watched = os.path.join(folder.name, "a", "watched")
        self.stored = None

    def sensor(self):
        config = {"sensor": {"directories": [self.watched]}}
        return Watching(self, "DirectorySensor", SENSOR, config)

    def path(self, name):
        return os.path.join(self.watched, name)

    def create(self, name):
        """A file that appears in one step: the sensor may look at any moment."""
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        beside = os.path.join(os.path.dirname(self.watched), "new")
        with open(beside, "w") as file:
            file.write("text")
        os.rename(beside, self.path(name))

    def test_created_modified_deleted(self):
        with self.sensor() as sensor:
            self.assertTrue(os.path.isdir(self.watched))
            self.create("one")
            self.create("deep/two")
            self.assertEqual([("deep/two", "created"), ("one", "created")], sensor.changes(2))
            with open(self.path("one"), "a") as file:
                file.write("more")
            self.assertEqual([("one", "modified")], sensor.changes())
            time = os.stat(self.path("one")).st_mtime
            os.remove(self.path("one"))
            self.assertEqual([("one", "deleted")], sensor.changes())
            self.assertEqual(time, sensor.last["time"])
            self.assertIsInstance(time, float)

    def test_a_restart_neither_repeats_nor_forgets(self):
        self.create("there before")
        with self.sensor() as sensor:
            self.create("one")
            self.assertEqual([("one", "created")], sensor.changes())
        self.create("two")
        os.remove(self.path("one"))
        with self.sensor() as sensor:
            self.assertEqual([("one", "deleted"), ("two", "created")], sensor.changes(2))

    def test_names_that_vanish_or_lead_nowhere(self):
        with self.sensor() as sensor:
            os.symlink("/nowhere", self.path("dangling"))
            os.symlink(self.watched, self.path("loop"))
            os.mkfifo(self.path("pipe"))
            self.assertEqual([("pipe", "created")], sensor.changes())


class Watching(Ready):
    """Plays the datastore, and polls the sensor on demand."""

    def __init__(self, test, class_name, path, config):
        super().__init__(None, class_name, path, config=config, poll_interval=86400)
        self._test = test
        self.last = None

    def expect(self, method):
        while True:
            message = self.read()
            if message["method"] == method:
                return message
            self._serve(message)

    def _serve(self, message):
        if message["method"] == "kv.get":
            self.answer(message, self._test.stored)
        elif message["method"] == "kv.set":
            self._test.stored = message["params"]["value"]
            self.answer(message)

    def changes(self, count=1):
        """Have it poll until `count` changes are told: `(name, status)` of each, sorted."""
        found = []
        while len(found) < count:
            self.notify("poll", reason="manual")
            message = self.read()
            while message["method"] == "dispatch":
                self.last = message["params"]["payload"]
                found.append((os.path.relpath(self.last["path"], self._test.watched), self.last["status"]))
                self.answer(message, {"event": "e"})
                message = self.read()
            self._serve(message)
        return sorted(found)


class OutputContext(unittest.TestCase):
    """The action."""

    def run_action(self, config, context):
        order = json.dumps({"parameters": {"context": context}, "config": config}) + "\n"
        wrapper = os.path.join(SDK, "python_action_wrapper.py")
        path = os.path.join(PACK, "actions", "output_context.py")
        command = [sys.executable, wrapper, "--pack=mypack", "--file-path=" + path]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE), order.encode()

    def outcome(self, running):
        process, order = running
        return json.loads(process.communicate(order, timeout=PATIENCE_S)[0])

    def test_parallel_actions_do_not_mix_their_lines(self):
        with tempfile.TemporaryDirectory() as folder:
            log = os.path.join(folder, "new", "output")
            lines = ["%d" % number * 5000 for number in range(8)]
            running = [self.run_action({"log": log}, line) for line in lines]
            self.assertEqual([True] * 8, [self.outcome(each)["status"] for each in running])
            with open(log) as file:
                self.assertEqual(lines, sorted(file.read().splitlines()))

    def test_faults_are_told(self):
        self.assertEqual(False, self.outcome(self.run_action({}, "x"))["status"])
        outcome = self.outcome(self.run_action({"log": "/proc/nowhere/output"}, "x"))
        self.assertEqual(False, outcome["status"])
        self.assertIn("could not be written", outcome["result"])


if __name__ == "__main__":
    unittest.main()
