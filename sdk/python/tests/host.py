"""The host's part, for tests: starts a sensor as a process and talks to it line by line."""

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

SDK = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# How long a test waits for something that must come; reached only when the test fails.
PATIENCE_S = 20

HEAD = """
import os, sys, time
from st2reactor.sensor.base import Sensor, PollingSensor

class Base(object):
    def setup(self): pass
    def cleanup(self): self.sensor_service.status("cleaned up")
    def add_trigger(self, trigger): pass
    def update_trigger(self, trigger): pass
    def remove_trigger(self, trigger): pass
"""


class Host:
    """One sensor process. Use it in a `with`; what is left of the process is killed at the end."""

    def __init__(self, source=None, class_name="S", file_path=None, arguments=(), **hello):
        self._folder = tempfile.TemporaryDirectory()
        self.pack = os.path.join(self._folder.name, "demo")
        self.hello = dict({"config": {}, "triggers": [], "poll_interval": None, "heartbeat_interval": 0}, **hello)
        self.hello.setdefault("limits", {"line_bytes": 1 << 20, "in_flight": 64})
        os.makedirs(os.path.join(self.pack, "sensors"))
        self.file_path = file_path or os.path.join(self.pack, "sensors", "a_sensor.py")
        if source is not None:
            self.write_file("sensors/a_sensor.py", HEAD + textwrap.dedent(source))
        self._class_name = class_name
        self._arguments = list(arguments)
        self._rest = b""

    def write_file(self, name, text):
        """A file of the pack."""
        path = os.path.join(self.pack, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def __enter__(self):
        command = [sys.executable, "-W", "error::SyntaxWarning", "-u", os.path.join(SDK, "sensor_wrapper.py")]
        command += ["--pack=demo", "--file-path=" + self.file_path, "--class-name", self._class_name]
        self._stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command + self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr
        )
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for end in (self.process.stdin, self.process.stdout):
            try:
                end.close()
            except OSError:
                pass
        self._stderr.close()
        self._folder.cleanup()

    def greet(self):
        """Answer `hello`; its parameters."""
        hello = self.expect("hello")
        self.say({"jsonrpc": "2.0", "id": hello["id"], "result": dict({"protocol": 1}, **self.hello)})
        return hello["params"]

    def start(self):
        """Bring the sensor to `ready`."""
        self.greet()
        self.expect("ready")
        return self

    def say(self, message):
        """Send one message."""
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def notify(self, method, **params):
        """Send a notification."""
        self.say({"jsonrpc": "2.0", "method": method, "params": params})

    def answer(self, message, result=None):
        """Answer a request of the sensor."""
        self.say({"jsonrpc": "2.0", "id": message["id"], "result": result})

    def refuse(self, request, code=-32001, text="refused", **data):
        """Answer a request of the sensor with an error."""
        error = {"code": code, "message": text, "data": data}
        self.say({"jsonrpc": "2.0", "id": request["id"], "error": error})

    def readable(self, timeout=0):
        """Whether the sensor has written something that is not read yet."""
        return bool(self._rest) or bool(select.select([self.process.stdout], [], [], timeout)[0])

    def read(self):
        """The sensor's next message, None at the end of its output."""
        deadline = time.monotonic() + PATIENCE_S
        while b"\n" not in self._rest:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError("the sensor said nothing in time; its log:\n" + self.log())
            chunk = os.read(self.process.stdout.fileno(), 65536)
            if not chunk:
                assert not self._rest, "an unfinished line: %r" % self._rest
                return None
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        return json.loads(line)

    def expect(self, method):
        """The next message, which must be this one."""
        message = self.read()
        if message is None or message.get("method") != method:
            raise AssertionError("expected %s, got %r; log:\n%s" % (method, message, self.log()))
        return message

    def end_input(self):
        """Close the sensor's standard input."""
        self.process.stdin.close()

    def stop(self, how="shutdown"):
        """One of the three ordered stops."""
        if how == "shutdown":
            self.notify("shutdown", deadline=5, reason="stop")
        elif how == "eof":
            self.end_input()
        else:
            self.process.send_signal(signal.SIGTERM)

    def end(self):
        """Wait for the end: the messages that were still sent, and the exit code."""
        messages = list(iter(self.read, None))
        return messages, self.process.wait(PATIENCE_S)

    def log(self):
        """What the sensor wrote on standard error."""
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "replace")

    def wait_for_log(self, text):
        """Wait until standard error contains the text."""
        wait_until(lambda: text in self.log(), "%r on standard error" % text)


class Ready(Host):
    """A host whose sensor has come to `ready`."""

    def __enter__(self):
        return super().__enter__().start()


def wait_until(condition, what):
    """Wait for a condition; AssertionError when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.005)
