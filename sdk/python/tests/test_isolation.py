"""What the pack does to its process must not reach the conversation."""

import os
import unittest

from host import Host, Ready

# What eventlet's monkey patching replaces, each by something that ends the sensor if the SDK calls it.
PATCH = """
import _thread, os, queue, select, socket, threading, time
def refuse(*_, **__): raise SystemError("the SDK called a patched function")
sleeps = []
real_sleep = time.sleep
def green_sleep(seconds):
    sleeps.append(seconds)
    real_sleep(0.001)
time.sleep = green_sleep
os.read = os.write = os.fdopen = select.select = refuse
_thread.start_new_thread = _thread.allocate_lock = _thread.allocate = _thread.get_ident = refuse
threading.Thread.start = threading.Lock = threading._start_new_thread = threading._allocate_lock = refuse
threading.Event = threading.Condition = threading.current_thread = queue.Queue = queue.SimpleQueue = refuse
socket.socket = refuse
time.monotonic = refuse
"""


class Reloader(unittest.TestCase):
    """A web server in debug mode starts its program a second time; a sensor's conversation has one end only."""

    def test_a_server_in_debug_mode_runs_here(self):
        source = """
import werkzeug
class S(Base, Sensor):
    def run(self):
        from werkzeug._reloader import run_with_reloader
        run_with_reloader(lambda: self.sensor_service.status("served"), extra_files=[])
"""
        host = Host(source)
        host.write_file("lib/werkzeug/__init__.py", "")
        host.write_file("lib/werkzeug/_reloader.py", "def run_with_reloader(main, **_): raise SystemExit(3)\n")
        with host:
            host.start()
            self.assertEqual("served", host.expect("status")["params"]["text"])


class Importing(unittest.TestCase):
    def test_what_lies_beside_the_actions_is_found_last(self):
        source = """
import shared, both
class S(Base, Sensor):
    def run(self):
        self.sensor_service.status(shared.WHERE + both.WHERE)
"""
        host = Host(source)
        host.write_file("actions/lib/shared.py", "WHERE = 'actions '")
        host.write_file("actions/lib/both.py", "WHERE = 'actions'")
        host.write_file("lib/both.py", "WHERE = 'lib'")
        with host:
            host.start()
            self.assertEqual("actions lib", host.expect("status")["params"]["text"])


class MonkeyPatching(unittest.TestCase):
    """As if the pack called eventlet.monkey_patch() in its first line."""

    def test_a_patched_process_polls_beats_and_stops(self):
        source = PATCH + """
class S(Base, PollingSensor):
    def poll(self):
        self.sensor_service.dispatch("demo.t", {"sleeps": len(sleeps)})
"""
        with Host(source, heartbeat_interval=0.05, poll_interval=0.02) as host:
            host.greet()
            seen = set()
            while not {"heartbeat", "ready", "dispatch", "green"} <= seen:
                message = host.read()
                self.assertIsNotNone(message, host.log())
                seen.add(message["method"])
                if message["method"] == "dispatch":
                    # Green threads run only inside the patched sleep: the rest between polls must use it.
                    seen |= {"green"} if message["params"]["payload"]["sleeps"] > 2 else set()
                    host.answer(message)
            host.stop()
            self.assertEqual(0, host.end()[1], host.log())
            self.assertNotIn("SystemError", host.log())

    def test_datastore_and_stop_in_a_patched_passive_sensor(self):
        source = PATCH + """
class S(Base, Sensor):
    def run(self):
        self.sensor_service.status(self.sensor_service.get_value("k"))
        while True: real_sleep(86400)
"""
        with Ready(source) as host:
            host.answer(host.expect("kv.get"), "v")
            self.assertEqual("v", host.expect("status")["params"]["text"])
            host.stop()
            self.assertEqual(0, host.end()[1], host.log())


class Descriptors(unittest.TestCase):
    """Standard input and output belong to the conversation, and to it alone."""

    def test_prints_of_every_kind_go_to_the_log(self):
        source = """
        import subprocess
        print("at import")
        class S(Base, Sensor):
            def run(self):
                print("from print")
                sys.stdout.write("from stdout\\n")
                os.write(1, b"from write\\n")
                subprocess.call(["echo", "from a child"])
                os.system("echo from a shell")
                self.sensor_service.dispatch("demo.t")
        """
        with Ready(source) as host:
            host.answer(host.expect("dispatch"))
            messages, code = host.end()
            self.assertEqual((["status"], 0), ([message["method"] for message in messages], code))
            for text in ("at import", "from print", "from stdout", "from write", "from a child", "from a shell"):
                self.assertIn(text + "\n", host.log())

    def test_reading_standard_input_takes_nothing_from_the_host(self):
        source = """
        import subprocess
        class S(Base, Sensor):
            def run(self):
                self.sensor_service.status(repr(sys.stdin.read() + subprocess.check_output(["cat"]).decode()))
                time.sleep(86400)
        """
        with Ready(source) as host:
            self.assertEqual("''", host.expect("status")["params"]["text"])
            host.notify("shutdown", deadline=5)
            self.assertEqual(0, host.end()[1])

    def test_children_of_the_pack_do_not_hold_the_pipes(self):
        source = """
        import subprocess
        class S(Base, Sensor):
            def run(self):
                child = subprocess.Popen(["sleep", "86400"], close_fds=False)
                self.sensor_service.status(str(child.pid))
        """
        with Ready(source) as host:
            pid = int(host.expect("status")["params"]["text"])
            self.addCleanup(os.kill, pid, 9)
            # The end of the output comes although the child lives on.
            self.assertEqual(0, host.end()[1])

    def test_a_fork_cannot_speak_for_the_sensor(self):
        source = """
        class S(Base, Sensor):
            def run(self):
                child = os.fork()
                if not child:
                    try:
                        self.sensor_service.dispatch("demo.t", {"from": "child"})
                    except Exception as error:
                        print("refused:", error)
                    os._exit(7)
                _, status = os.waitpid(child, 0)
                self.sensor_service.status(str(status >> 8))
        """
        with Ready(source) as host:
            self.assertEqual("7", host.expect("status")["params"]["text"])
            self.assertEqual(0, host.end()[1])
            self.assertIn("refused: this process is a fork", host.log())

    def test_garbage_from_the_host_is_skipped(self):
        source = "class S(Base, Sensor):\n  def run(self): time.sleep(86400)"
        with Ready(source) as host:
            host.process.stdin.write(b"\n[]\n3\n{broken\n\xff\xfe\n" + b"x" * 300000 + b"\n")
            host.say({"jsonrpc": "2.0", "id": 1, "method": "ping"})
            self.assertEqual(1, host.read()["id"])


if __name__ == "__main__":
    unittest.main()
