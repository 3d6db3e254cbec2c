"""check.py: faults of pack files, found without importing them."""

import json
import os
import subprocess
import sys
import tempfile
import textwrap
import unittest

from host import PATIENCE_S, SDK

CHECK = os.path.join(SDK, "petrel_sdk", "check.py")
ACTION = "from st2common.runners.base_action import Action\n"


class Check(unittest.TestCase):
    """One file a test, through the command line."""

    def check(self, source, kind="sensor", class_name=None):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "a.py")
            with open(path, "wb") as file:
                file.write(source if isinstance(source, bytes) else textwrap.dedent(source).encode())
            request = {"files": [{"path": path, "class_name": class_name, "kind": kind}]}
            report = self.ask(request)
            self.assertEqual([path] * len(report), [fault["path"] for fault in report])
            self.assertFalse(os.path.exists(os.path.join(folder, "__pycache__")))
            return report

    def ask(self, request):
        command = [sys.executable, "-W", "error", CHECK]
        text = subprocess.check_output(command, input=json.dumps(request).encode() + b"\n", timeout=PATIENCE_S)
        self.assertEqual(1, text.count(b"\n"))
        return json.loads(text)

    def test_the_listing_of_the_article(self):
        source = """\
        class DirectorySensor(PollingSensor):
            def _dispatch_trigger(self, path, time, status):
                self._sensor_service.dispatch(trigger="mypack.changed_file", payload)
        """
        (fault,) = self.check(source, class_name="DirectorySensor")
        self.assertEqual(3, fault["line"])
        self.assertEqual("payload)", fault["text"][fault["column"] - 1 :])
        self.assertEqual("positional argument follows keyword argument", fault["message"].split(" (")[0])
        self.assertIn("payload=payload", fault["hint"])

    def test_syntax_errors_have_a_place(self):
        (fault,) = self.check("x = 1\nif x\n    pass\n")
        self.assertEqual((2, "if x"), (fault["line"], fault["text"]))
        (fault,) = self.check("print 'old'\n")
        self.assertEqual("the file is written for Python 2", fault["hint"])
        (fault,) = self.check("def f():\n    x = 1\nreturn 2\n")
        self.assertEqual(3, fault["line"])

    def test_files_that_cannot_be_read(self):
        self.assertEqual(1, len(self.check(b"a\0b")))
        self.assertEqual(1, len(self.check(b"# coding: utf-8\nx = '\xff'\n")))
        (fault,) = self.ask({"files": [{"path": "/nowhere/x.py", "class_name": None, "kind": "sensor"}]})
        self.assertIn("No such file", fault["message"])

    def test_a_class_that_is_not_there(self):
        (fault,) = self.check("import a\nclass Directory_Sensor: pass\n", class_name="DirectorySensor")
        self.assertEqual((2, "class Directory_Sensor: pass"), (fault["line"], fault["text"]))
        self.assertIn("Directory_Sensor", fault["hint"])
        (fault,) = self.check("x = 1\n", class_name="S")
        self.assertIn("no class", fault["hint"])

    def test_a_class_that_may_be_there(self):
        for source in (
            "class S: pass",
            "from x import S",
            "from x import T as S",
            "from x import *",
            "S = make()",
            "try:\n    from x import S\nexcept ImportError:\n    S = None",
            "if a:\n    class S: pass",
        ):
            with self.subTest(source):
                self.assertEqual([], self.check(source, class_name="S"))

    def test_an_action_without_run(self):
        (fault,) = self.check(ACTION + "class A(Action):\n    def go(self): pass\n", "action")
        self.assertEqual((2, "class A has no run() method"), (fault["line"], fault["message"]))
        (fault,) = self.check("def run(): pass\n", "action")
        self.assertEqual("no action class in this file", fault["message"])

    def test_actions_that_are_well(self):
        for source in (
            "class A(Action):\n    def run(self): pass",
            "class A(BaseAction): pass",
            "class A(lib.base.BaseAction): pass",
            "class A(Action):\n    run = other",
            "class B(Action):\n    def run(self): pass\nclass A(B): pass",
        ):
            with self.subTest(source):
                self.assertEqual([], self.check(ACTION + source, "action"))

    def test_warnings_are_not_errors(self):
        self.assertEqual([], self.check(b"x = '\\d'\nclass S: pass\n", class_name="S"))


if __name__ == "__main__":
    unittest.main()
