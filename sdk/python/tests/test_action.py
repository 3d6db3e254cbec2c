"""The action host: what is run, how, and what its result becomes."""

import json
import os
import socketserver
import subprocess
import sys
import tempfile
import textwrap
import threading
import unittest
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from host import PATIENCE_S, SDK

WRAPPER = os.path.join(SDK, "python_action_wrapper.py")
NEW = "from st2common.runners.base_action import Action\n"
OLD = "from st2actions.runners.pythonrunner import Action\n"


class Done:
    """How an action ended."""

    def __init__(self, process, result):
        self.code = process.returncode
        self.stdout = process.stdout.decode()
        self.stderr = process.stderr.decode()
        self.result = result


class Case(unittest.TestCase):
    """Runs an action from its source."""

    written = 0

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.pack = os.path.join(folder.name, "demo")
        self.result_file = os.path.join(folder.name, "result.json")

    def write(self, name, text):
        path = os.path.join(self.pack, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        # Python takes cached bytecode for that of the source when second and size are the same.
        Case.written += 1
        os.utime(path, (Case.written, Case.written))
        return path

    def run_action(self, source, order=None, arguments=(), name="actions/an_action.py", **environment):
        path = self.write(name, NEW + textwrap.dedent(source)) if source is not None else name
        order = order if isinstance(order, str) else json.dumps(order or {})
        command = [sys.executable, "-W", "error::SyntaxWarning", "-u", WRAPPER, "--pack=demo", "--file-path", path]
        process = subprocess.run(
            command + list(arguments),
            input=(order + "\n").encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(os.environ, PETREL_RESULT_FILE=self.result_file, **environment),
            timeout=PATIENCE_S,
            check=False,
        )
        result = None
        if os.path.exists(self.result_file):
            with open(self.result_file) as file:
                result = json.load(file)
            os.remove(self.result_file)
        return Done(process, result)

    def run_body(self, body, order=None, **more):
        """An action whose run() is this body."""
        source = "import os, sys\nclass A(Action):\n    def run(self, **kw):\n" + textwrap.indent(
            textwrap.dedent(body), " " * 8
        )
        return self.run_action(source, order, **more)


class Results(Case):
    """What `run` gives back."""

    def test_a_plain_result_succeeds_without_a_status(self):
        for value in (None, 0, False, "text", [1, 2], {"a": [None]}, (1, 2, 3)):
            done = self.run_body("return %r" % (value,))
            expected = list(value) if isinstance(value, tuple) else value
            self.assertEqual((0, {"status": None, "result": expected}), (done.code, done.result))

    def test_a_status_with_a_result(self):
        self.assertEqual({"status": True, "result": {"a": 1}}, self.run_body("return (True, {'a': 1})").result)
        self.assertEqual({"status": False, "result": "no"}, self.run_body("return False, 'no'").result)
        self.assertEqual({"status": None, "result": "x"}, self.run_body("return None, 'x'").result)

    def test_a_status_that_is_no_boolean(self):
        done = self.run_body("return (1, 2)")
        self.assertEqual((220, None), (done.code, done.result))
        self.assertIn("must either be True or False, got: 1", done.stderr)

    def test_what_json_cannot_say(self):
        done = self.run_body("import datetime\nreturn {'when': datetime.date(2020, 1, 2), 's': {1}, 'n': float('nan')}")
        self.assertEqual({"when": "2020-01-02", "s": [1], "n": None}, done.result["result"])
        self.assertIn("object", self.run_body("return (True, object())").result["result"])
        self.assertEqual("[[...]]", self.run_body("a = []\na.append(a)\nreturn a").result["result"])

    def test_an_exception(self):
        done = self.run_body("raise KeyError('items')")
        self.assertEqual((1, None), (done.code, done.result))
        self.assertIn("Traceback", done.stderr)
        self.assertIn("KeyError: 'items'", done.stderr)

    def test_sys_exit(self):
        self.assertEqual(3, self.run_body("sys.exit(3)").code)
        done = self.run_body("sys.exit('no such host')")
        self.assertEqual((1, "no such host\n"), (done.code, done.stderr))

    def test_prints_are_the_actions_output(self):
        done = self.run_body("print('one')\nos.system('echo two')\nsys.stdout.write('three')\nreturn 4")
        self.assertEqual(("one\ntwo\nthree", "", 4), (done.stdout, done.stderr, done.result["result"]))

    def test_standard_input_is_empty(self):
        self.assertEqual("", self.run_body("return sys.stdin.read()").result["result"])

    def test_threads_left_behind_do_not_keep_the_process(self):
        body = "import threading, time\nthreading.Thread(target=lambda: time.sleep(86400)).start()\nreturn 1"
        self.assertEqual(1, self.run_body(body).result["result"])

    def test_without_a_result_file_the_result_is_printed(self):
        path = self.write("actions/a.py", NEW + "class A(Action):\n  def run(self): return 5\n")
        environment = {name: value for name, value in os.environ.items() if name != "PETREL_RESULT_FILE"}
        command = [sys.executable, WRAPPER, "--pack", "demo", "--file-path", path]
        text = subprocess.check_output(command, input=b"{}\n", env=environment, timeout=PATIENCE_S)
        self.assertEqual({"status": None, "result": 5}, json.loads(text))


class Loading(Case):
    """Which class, constructed how, from which folders."""

    def test_parameters_and_config(self):
        order = {"parameters": {"a": 1, "b": "zwölf"}, "config": {"token": "t"}}
        done = self.run_action(
            "class A(Action):\n    def run(self, a, b, c=3): return [a, b, c, self.config['token']]", order
        )
        self.assertEqual([1, "zwölf", 3, "t"], done.result["result"])

    def test_large_parameters(self):
        text = "x" * 3000000
        self.assertEqual(len(text), self.run_body("return len(kw['t'])", {"parameters": {"t": text}}).result["result"])

    def test_a_key_missing_in_the_config(self):
        done = self.run_body("return self.config['token']", {"config": {"other": 1}})
        self.assertEqual(1, done.code)
        self.assertIn('Config for pack "demo" is missing key "token".', done.stderr)
        self.assertIn("configs/demo.yaml", done.stderr)
        self.assertEqual(7, self.run_body("return self.config.get('token', 7)").result["result"])

    def test_the_first_class_of_the_file_that_has_run(self):
        source = """
        class B(Action):
            def run(self): return "B"
        class C(B): pass
        class A(object): pass
        from st2common.runners.base_action import Action as AAction
        """
        self.assertEqual("B", self.run_action(source).result["result"])

    def test_constructors_old_and_new(self):
        sources = {
            "old": "def __init__(self, config): super().__init__(config)",
            "new": "def __init__(self, config=None, action_service=None): super().__init__(config, action_service)",
            "any": "def __init__(self, *args, **kw): super().__init__(*args, **kw)",
        }
        for name, text in sources.items():
            with self.subTest(name):
                source = "class A(Action):\n    %s\n    def run(self): return type(self.action_service).__name__" % text
                self.assertEqual("ActionService", self.run_action(source).result["result"])
        done = self.run_action("class A:\n    def run(self): return self.config.get('a')", {"config": {"a": 1}})
        self.assertEqual(1, done.result["result"])

    def test_a_type_error_of_the_constructor_is_not_hidden(self):
        done = self.run_action("class A(Action):\n    def __init__(self, config): int(None)\n    def run(self): pass")
        self.assertIn("int() argument must be", done.stderr)

    def test_no_class_and_no_file(self):
        for done in (self.run_action("class A: pass"), self.run_action(None, name="/nowhere/actions/a.py")):
            self.assertEqual(1, done.code)
            self.assertIn("has no action class or the file doesn't exist.", done.stderr)

    def test_the_search_path(self):
        for name, text in (("lib/one.py", "X = 1"), ("actions/lib/two.py", "X = 2"), ("actions/three.py", "X = 3")):
            self.write(name, text)
        source = "import one, two, three\nclass A(Action):\n    def run(self): return [one.X, two.X, three.X]"
        self.assertEqual([1, 2, 3], self.run_action(source).result["result"])
        source = "import one, two\nclass A(Action):\n    def run(self): return [one.X, two.X]"
        self.assertEqual([1, 2], self.run_action(source, name="actions/deep/a.py").result["result"])

    def test_a_name_of_the_standard_library(self):
        source = "import json\nclass A(Action):\n    def run(self): return json.loads('[1]')"
        self.assertEqual([1], self.run_action(source, name="actions/json.py").result["result"])

    def test_the_old_import_name(self):
        path = self.write("actions/old.py", OLD + "class A(Action):\n    def run(self): return 'old'")
        self.assertEqual("old", self.run_action(None, name=path).result["result"])

    def test_the_logger(self):
        body = "self.logger.info('to %s', 'whom')\nself.logger.debug('detail')"
        self.assertEqual(
            "actions.python.A: INFO     to whom\nactions.python.A: DEBUG    detail\n", self.run_body(body).stderr
        )
        self.assertEqual("", self.run_body(body, arguments=["--log-level=WARNING"]).stderr)

    def test_wrong_orders_and_arguments(self):
        self.assertIn("one line of JSON", self.run_body("pass", "not json").stderr)
        done = self.run_body("pass", arguments=["--nonsense"])
        self.assertEqual(2, done.code)
        self.assertIn("usage: python_action_wrapper.py", done.stderr)


class Api(BaseHTTPRequestHandler):
    """StackStorm's /v1/keys over a dict."""

    def _key(self):
        return unquote(urlsplit(self.path).path)[len("/v1/keys/") :]

    def _send(self, status, value=None):
        body = b"" if value is None else json.dumps(value).encode()
        self.server.seen.append((self.command, self.path, self.headers["X-Petrel-Execution"]))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if body:
            self.wfile.write(body)

    def do_GET(self):
        items = self.server.items_
        if not self._key():
            prefix = parse_qs(urlsplit(self.path).query)["prefix"][0]
            return self._send(200, [item for name, item in sorted(items.items()) if name.startswith(prefix)])
        if self._key() in items:
            return self._send(200, items[self._key()])
        return self._send(404, {"faultstring": "Unable to find"})

    def do_PUT(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if body.get("secret"):
            return self._send(400, {"faultstring": "Crypto key not found"})
        self.server.items_[self._key()] = body
        return self._send(200, body)

    def do_DELETE(self):
        return self._send(204 if self.server.items_.pop(self._key(), None) else 404)

    def address_string(self):
        return "socket"

    def log_message(self, *_):
        pass


class Datastore(Case):
    """action_service over the socket."""

    def setUp(self):
        super().setUp()
        self.socket = os.path.join(os.path.dirname(self.pack), "s")
        self.server = socketserver.ThreadingUnixStreamServer(self.socket, Api)
        self.server.items_, self.server.seen = {}, []
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def ask(self, body, **environment):
        return self.run_body(
            "s = self.action_service\n" + body,
            {"execution_id": "e1"},
            **dict({"PETREL_SOCKET": self.socket}, **environment)
        )

    def test_values_come_and_go(self):
        done = self.ask(
            "r = [s.get_value('a'), s.set_value('a', 5, ttl=9), s.get_value('a')]\n"
            "r += [s.set_value('b/c d', 'x', local=False)]\n"
            "r += [[i.name for i in s.list_values()], [i.value for i in s.list_values(local=False, prefix='b')]]\n"
            "return r + [s.delete_value('a'), s.delete_value('a'), s.datastore_service.get_value('a')]"
        )
        self.assertEqual([None, True, "5", True, ["demo.A:a"], ["x"], True, False, None], done.result["result"])
        self.assertEqual({"e1"}, {seen[2] for seen in self.server.seen})
        self.assertEqual({"name": "b/c d", "value": "x", "scope": "system"}, self.server.items_["b/c d"])

    def test_a_refusal(self):
        done = self.ask("return s.set_value('a', 1, encrypt=True)")
        self.assertEqual(1, done.code)
        self.assertIn("Crypto key not found (HTTP 400)", done.stderr)
        self.assertIn("Scope user is unsupported.", self.ask("return s.get_value('a', scope='user')").stderr)

    def test_no_daemon(self):
        self.assertIn("PETREL_SOCKET is not set", self.ask("return s.get_value('a')", PETREL_SOCKET="").stderr)
        done = self.ask("return s.get_value('a')", PETREL_SOCKET=self.socket + "x")
        self.assertEqual(1, done.code)
        self.assertIn("is `petrel run` running?", done.stderr)


if __name__ == "__main__":
    unittest.main()
