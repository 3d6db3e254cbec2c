"""The sensor's life: order of the calls, how it ends, and what it says when it cannot begin."""

import os
import signal
import subprocess
import sys
import unittest

from host import HEAD, PATIENCE_S, SDK, Host, Ready, wait_until

PASSIVE = """
class S(Base, Sensor):
    def setup(self): self.sensor_service.status("set up")
    def add_trigger(self, trigger): self.sensor_service.status("added " + trigger["ref"])
    def update_trigger(self, trigger): self.sensor_service.status("updated " + trigger["ref"])
    def remove_trigger(self, trigger): self.sensor_service.status("removed " + trigger["ref"])
    def run(self):
        self.sensor_service.status("running")
        %s
"""
SLEEP = PASSIVE % "time.sleep(86400)"


def texts(messages):
    return [message["params"]["text"] for message in messages]


class Order(unittest.TestCase):
    """What is called when."""

    def test_setup_then_triggers_then_ready_then_run(self):
        trigger = {"id": "1", "type": "demo.t", "ref": "demo.x", "parameters": {}}
        with Host(SLEEP, triggers=[trigger]) as host:
            hello = host.greet()
            self.assertEqual(1, hello["protocol"])
            self.assertRegex(hello["sdk"], "^petrel-python/")
            found = [host.read() for _ in range(4)]
            self.assertEqual(["status", "status", "ready", "status"], [message["method"] for message in found])
            self.assertEqual(["set up", "added demo.x", "running"], texts(m for m in found if m["method"] == "status"))

    def test_trigger_changes_reach_a_running_sensor(self):
        with Host(SLEEP) as host:
            host.greet()
            for _ in range(3):
                host.read()
            trigger = {"id": "7", "type": "demo.t", "ref": "demo.y", "parameters": {}}
            host.notify("trigger.removed", trigger=dict(trigger, id="unknown"))
            for change in ("added", "updated", "removed"):
                host.notify("trigger." + change, trigger=trigger)
                self.assertEqual(change + " demo.y", host.expect("status")["params"]["text"])

    def test_a_callback_that_raises_ends_nothing(self):
        source = """
        class S(Base, Sensor):
            def add_trigger(self, trigger): raise KeyError(trigger["ref"])
            def run(self): time.sleep(86400)
        """
        with Ready(source, triggers=[{"id": "1", "ref": "demo.x"}]) as host:
            host.wait_for_log("KeyError: 'demo.x'")
            host.stop()
            self.assertEqual(0, host.end()[1])

    def test_config_service_and_interval_are_those_of_stackstorm(self):
        source = """
        class S(Base, PollingSensor):
            def poll(self):
                same = self._config is self.config and self._sensor_service is self.sensor_service
                self.sensor_service.dispatch("demo.t", {"c": self.config, "i": self.get_poll_interval(), "same": same})
        """
        with Ready(source, config={"a": [1]}, poll_interval=77) as host:
            self.assertEqual({"c": {"a": [1]}, "i": 77, "same": True}, host.expect("dispatch")["params"]["payload"])

    def test_the_interval_of_the_arguments_serves_where_hello_has_none(self):
        source = """
        class S(Base, PollingSensor):
            def poll(self): self.sensor_service.status(str(self.get_poll_interval()))
        """
        with Ready(source, arguments=["--poll-interval", "33"]) as host:
            self.assertEqual("33", host.expect("status")["params"]["text"])

    def test_a_poller_rests_between_two_polls_until_it_is_to_go_on(self):
        source = """
        class S(Base, PollingSensor):
            def poll(self): self.sensor_service.status("polled")
        """
        with Ready(source, poll_interval=0.01) as host:
            host.expect("status")
            host.notify("pause")
            while host.readable(timeout=0.5):
                host.expect("status")
            host.notify("resume")
            host.expect("status")
            host.notify("pause")
            host.stop()
            self.assertEqual(0, host.end()[1])

    def test_what_a_passive_sensor_says_waits_while_it_is_to_rest(self):
        source = """
        class S(Base, Sensor):
            def run(self):
                for word in sys.stdin: pass
                while True:
                    self.sensor_service.dispatch("demo.t", {"n": 1}, wait=True)
        """
        with Ready(source) as host:
            request = host.expect("dispatch")
            host.notify("pause")
            host.answer(request, {"event": "1"})
            self.assertFalse(host.readable(timeout=0.5))
            host.notify("resume")
            host.expect("dispatch")

    def test_a_beat_says_for_how_long_the_poll_goes_on(self):
        source = """
        class S(Base, PollingSensor):
            def poll(self): time.sleep(86400)
        """
        with Ready(source, heartbeat_interval=0.05) as host:
            ages = [host.expect("heartbeat").get("params", {}).get("poll") for _ in range(20)]
            ages = [age for age in ages if age is not None]
            self.assertEqual(sorted(ages), ages)
            self.assertGreater(ages[-1], 0)

    def test_it_beats_again_after_it_was_stopped(self):
        with Host(SLEEP, heartbeat_interval=0.05) as host:
            host.greet()
            while host.read()["method"] != "heartbeat":
                pass
            for _ in range(10):
                host.process.send_signal(signal.SIGSTOP)
                while host.readable(timeout=0.2):
                    host.read()
                host.process.send_signal(signal.SIGUSR1)
                host.process.send_signal(signal.SIGCONT)
                host.expect("heartbeat")

    def test_the_host_can_ask_for_a_trace_of_the_stack(self):
        source = """
        class S(Base, Sensor):
            def run(self): self.deep_inside()
            def deep_inside(self):
                self.sensor_service.status("inside")
                time.sleep(86400)
        """
        with Ready(source) as host:
            host.expect("status")
            host.process.send_signal(signal.SIGUSR1)
            host.wait_for_log("in deep_inside")

    def test_the_host_can_ask_for_a_poll(self):
        source = """
        class S(Base, PollingSensor):
            def poll(self): self.sensor_service.status("polled")
        """
        with Ready(source, poll_interval=86400) as host:
            host.expect("status")
            host.notify("poll", reason="manual")
            self.assertEqual("polled", host.expect("status")["params"]["text"])

    def test_it_beats_while_the_sensor_is_busy(self):
        with Host(PASSIVE % "any(iter(lambda: False, True))", heartbeat_interval=0.05) as host:
            host.greet()
            beats = 0
            while beats < 3:
                beats += host.read()["method"] == "heartbeat"

    def test_the_packs_lib_comes_first_and_the_sensors_folder_last(self):
        source = """
        import helper, beside, json
        class S(Base, Sensor):
            def run(self):
                self.sensor_service.status(helper.NAME + " " + beside.NAME + " " + json.__file__[-16:])
        """
        host = Host(source)
        host.write_file("lib/helper.py", "NAME = 'lib'")
        host.write_file("sensors/helper.py", "NAME = 'sensors'")
        host.write_file("sensors/beside.py", "NAME = 'beside'")
        host.write_file("sensors/json.py", "hidden = True")
        with host:
            host.start()
            self.assertEqual("lib beside json/__init__.py", host.expect("status")["params"]["text"])


class Stops(unittest.TestCase):
    """cleanup() runs on every ordered stop, wherever run() is."""

    PLACES = {
        "sleep": "time.sleep(86400)",
        "system call": "os.read(os.pipe()[0], 1)",
        "lock": "import threading; threading.Event().wait()",
        "loop": "while True: pass",
        "swallowing": """
        while True:
            try:
                time.sleep(86400)
            except:
                pass
        """.strip().replace("\n        ", "\n        "),
    }

    def test_every_stop_in_every_place(self):
        for place, code in self.PLACES.items():
            for how in ("shutdown", "eof", "term"):
                with self.subTest(place=place, how=how), Host(PASSIVE % code) as host:
                    host.greet()
                    for _ in range(3):
                        host.read()
                    host.stop(how)
                    messages, code_ = host.end()
                    self.assertEqual((["cleaned up"], 0), (texts(messages), code_), host.log())

    def test_a_stop_during_setup_cleans_up_too(self):
        source = """
        class S(Base, Sensor):
            def setup(self):
                self.sensor_service.status("setting up")
                time.sleep(86400)
            def run(self): pass
        """
        with Host(source) as host:
            host.greet()
            host.expect("status")
            host.stop()
            messages, code = host.end()
            self.assertEqual((["cleaned up"], 0), (texts(messages), code))

    def test_a_packs_own_sigterm_handler_is_left_alone(self):
        source = """
        import signal
        class S(Base, Sensor):
            def setup(self): signal.signal(signal.SIGTERM, lambda *_: self.sensor_service.status("mine"))
            def run(self):
                while True: time.sleep(86400)
        """
        with Ready(source) as host:
            host.stop("term")
            self.assertEqual("mine", host.expect("status")["params"]["text"])
            host.stop("shutdown")
            self.assertEqual((["cleaned up"], 0), (texts(host.end()[0]), host.process.returncode))

    def test_cleanup_may_dispatch_and_its_events_are_awaited(self):
        source = """
        class S(Base, Sensor):
            def run(self): time.sleep(86400)
            def cleanup(self): self.sensor_service.dispatch("demo.t", {"last": True})
        """
        with Ready(source) as host:
            host.stop()
            event = host.expect("dispatch")
            self.assertFalse(host.readable(0.05))
            self.assertIsNone(host.process.poll())
            host.answer(event)
            self.assertEqual(([], 0), host.end())

    def test_the_deadline_bounds_the_wait_for_answers(self):
        source = """
        class S(Base, Sensor):
            def run(self):
                self.sensor_service.dispatch("demo.t")
                time.sleep(86400)
        """
        with Ready(source) as host:
            host.expect("dispatch")
            host.notify("shutdown", deadline=0.05, reason="stop")
            self.assertEqual(0, host.end()[1])

    def test_a_cleanup_that_raises_is_told_and_changes_nothing(self):
        source = """
        class S(Base, Sensor):
            def run(self): time.sleep(86400)
            def cleanup(self): raise ValueError("no broom")
        """
        with Ready(source) as host:
            host.stop()
            self.assertEqual(([], 0), host.end())
            self.assertIn("ValueError: no broom", host.log())

    def test_threads_left_behind_do_not_keep_the_process(self):
        source = """
        import threading
        class S(Base, Sensor):
            def run(self):
                threading.Thread(target=lambda: time.sleep(86400)).start()
        """
        with Ready(source) as host:
            self.assertEqual(0, host.end()[1])

    def test_the_host_is_killed(self):
        """A supervisor that dies takes both pipe ends with it; the sensor must not stay."""
        source = "class S(Base, Sensor):\n  def run(self): time.sleep(86400)"
        script = """if True:
            import sys, time
            from host import Ready
            with Ready(file_path=sys.argv[1]) as host:
                print(host.process.pid, flush=True)
                time.sleep(86400)
        """
        with Host(source) as sensor:
            command = [sys.executable, "-c", script, sensor.file_path]
            here = os.path.join(SDK, "tests")
            host = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=here)
            pid = int(host.stdout.readline())
            host.send_signal(signal.SIGKILL)
            host.wait()
            host.stdout.close()
            wait_until(lambda: not alive(pid), "the sensor to notice that its host is dead")


def alive(pid):
    try:
        with open("/proc/%d/stat" % pid) as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Ends(unittest.TestCase):
    """Failures: exit codes, last words, tracebacks."""

    def fails(self, source, code, kind, *, ready=False, class_name="S", lib=()):
        host = Host(source, class_name=class_name)
        for name, text in lib:
            host.write_file(name, text)
        with host:
            host.start() if ready else host.greet()
            messages, found = host.end()
            self.assertEqual(code, found, host.log())
            fail = [message["params"] for message in messages if message["method"] == "fail"]
            self.assertEqual([kind], [params["kind"] for params in fail], host.log())
            self.assertEqual("fail", messages[-1]["method"])
            return fail[0], host.log()

    def test_poll_raises(self):
        source = """
        class S(Base, PollingSensor):
            def poll(self):
                return {}["items"]
        """
        fail, log = self.fails(source, 1, "bug", ready=True)
        line = HEAD.count("\n") + 4
        self.assertRegex(fail["message"], r"^KeyError: 'items' \(.*sensors/a_sensor.py:%d\)$" % line)
        self.assertIn("Traceback (most recent call last):", log)
        self.assertIn("KeyError: 'items'", log)

    def test_an_exception_in_setup(self):
        fail, log = self.fails("class S(Base, Sensor):\n  def setup(self): 1/0\n  def run(self): pass", 1, "bug")
        self.assertIn("ZeroDivisionError: division by zero", fail["message"])
        self.assertIn("Traceback", log)

    def test_an_exception_in_the_constructor(self):
        source = "class S(Base, Sensor):\n  def __init__(self, sensor_service): pass\n  def run(self): pass"
        fail, _ = self.fails(source, 1, "bug")
        self.assertIn('Failed to instantiate "S" sensor class', fail["message"])

    def test_a_syntax_error(self):
        fail, log = self.fails("x = 1\nclass S(:\n  pass", 78, "config")
        self.assertRegex(fail["message"], r"^Syntax error: .*a_sensor.py:%d\)$" % (HEAD.count("\n") + 2))
        self.assertTrue(fail["path"].endswith("a_sensor.py"))
        self.assertIn("SyntaxError", log)

    def test_a_class_that_is_not_there(self):
        fail, _ = self.fails("class DirectorySensors(Base): pass", 78, "config", class_name="DirectorySensor")
        self.assertIn('Sensor module is missing a class with name "DirectorySensor"', fail["message"])
        self.assertIn("DirectorySensors", fail["hint"])

    def test_a_class_without_a_method(self):
        fail, _ = self.fails("class S(object):\n  def setup(self): pass", 78, "config")
        expected = 'Class "S" doesn\'t implement required "run" method from the base class'
        self.assertIn(expected, fail["message"])

    def test_a_file_that_is_not_there(self):
        with Host(file_path="/nowhere/sensors/x.py") as host:
            host.greet()
            fail = host.expect("fail")["params"]
            self.assertEqual(("config", "/nowhere/sensors/x.py"), (fail["kind"], fail["path"]))
            self.assertEqual(78, host.end()[1])

    def test_an_import_error(self):
        fail, log = self.fails("import no_such_module_x", 1, "bug")
        self.assertIn("No module named 'no_such_module_x'", fail["message"])
        self.assertIn('"no_such_module_x" is missing', fail["hint"])
        self.assertIn("requirements.txt", fail["hint"])
        self.assertIn("ModuleNotFoundError", log)

    def test_a_syntax_error_in_a_helper(self):
        fail, _ = self.fails("import helper", 78, "config", lib=[("lib/helper.py", "def f(:\n")])
        self.assertTrue(fail["path"].endswith("lib/helper.py"), fail)

    def test_the_pack_exits_by_itself(self):
        with Ready("class S(Base, Sensor):\n  def run(self): sys.exit(9)") as host:
            self.assertEqual(9, host.end()[1])

    def test_nobody_answers(self):
        with Host("") as host:
            host.end_input()
            messages, code = host.end()
            self.assertEqual((["hello"], 0), ([message["method"] for message in messages], code))
            self.assertIn("ended before hello was answered", host.log())

    def test_wrong_arguments(self):
        wrapper = os.path.join(SDK, "sensor_wrapper.py")
        for arguments in ([], ["--pack=x", "--file-path=y"], ["--nonsense=1"], ["--pack"]):
            done = subprocess.run(
                [sys.executable, wrapper] + arguments, stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False
            )
            self.assertEqual(2, done.returncode)
            self.assertIn(b"usage: sensor_wrapper.py", done.stderr)


if __name__ == "__main__":
    unittest.main()
