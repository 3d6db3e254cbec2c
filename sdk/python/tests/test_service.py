"""SensorService: dispatching, the bound on open requests, refusals, the datastore, the logger."""

import unittest

from host import Ready

RUN = """
class S(Base, Sensor):
    def run(self):
        service = self.sensor_service
        %s
        time.sleep(86400)
"""


def run(code, **hello):
    """A sensor whose run() is this code, one statement a line."""
    return Ready(RUN % code.strip().replace("\n", "\n        "), **hello)


class Dispatch(unittest.TestCase):
    """Events."""

    def test_it_is_pipelined_and_blocks_at_the_bound(self):
        with run("for n in range(4): service.dispatch('demo.t', {'n': n})", limits={"in_flight": 2}) as host:
            first, second = host.expect("dispatch"), host.expect("dispatch")
            self.assertEqual([2, 3], [first["id"], second["id"]])
            self.assertFalse(host.readable(0.1))
            host.answer(second)
            self.assertEqual(2, host.expect("dispatch")["params"]["payload"]["n"])
            self.assertFalse(host.readable(0.05))

    def test_a_blocked_dispatch_lets_heartbeats_and_stops_through(self):
        code = "for n in range(4): service.dispatch('demo.t', {'n': n})"
        with run(code, limits={"in_flight": 1}, heartbeat_interval=0.05) as host:
            methods = [host.read()["method"] for _ in range(4)]
            self.assertEqual(1, methods.count("dispatch"))
            self.assertGreater(methods.count("heartbeat"), 1)
            host.notify("shutdown", deadline=0.1)
            self.assertEqual(0, host.end()[1])

    def test_a_poll_ends_when_its_events_are_answered(self):
        source = """
        class S(Base, PollingSensor):
            def poll(self):
                self.sensor_service.dispatch("demo.t")
        """
        with Ready(source, poll_interval=0.001) as host:
            event = host.expect("dispatch")
            self.assertFalse(host.readable(0.1))
            host.answer(event)
            host.expect("dispatch")

    def test_every_form_of_a_trigger(self):
        code = """
        service.dispatch({"ref": "demo.abc", "type": "demo.t", "parameters": {}})
        service.dispatch({"type": "demo.t", "parameters": {"a": 1}})
        service.dispatch({"name": "t", "pack": "demo"}, None, "tag")
        """
        with run("\n".join(line.strip() for line in code.strip().splitlines())) as host:
            found = [host.expect("dispatch")["params"] for _ in range(3)]
            self.assertEqual(["demo.abc", "demo.t", "demo.t"], [params["trigger"] for params in found])
            self.assertEqual({"trigger": "demo.t", "payload": {}, "trace_tag": "tag"}, found[2])

    def test_with_context(self):
        code = """
from st2common.models.api.trace import TraceContext
service.dispatch_with_context("demo.t", {"a": 1}, TraceContext(trace_tag="tag"))
try: service.dispatch_with_context("demo.t", {}, "tag")
except TypeError: service.status("TypeError")
"""
        with run(code) as host:
            self.assertEqual("tag", host.expect("dispatch")["params"]["trace_tag"])
            self.assertEqual("TypeError", host.expect("status")["params"]["text"])

    def test_a_refusal_is_a_warning_and_with_wait_an_exception(self):
        code = """
service.dispatch("demo.t", {"n": 1})
try: service.dispatch("demo.t", {"n": 2}, wait=True)
except Exception as error: service.status("%s %s" % (type(error).__name__, error))
service.status(str(service.dispatch("demo.t", wait=True)))
"""
        with run(code) as host:
            host.refuse(host.expect("dispatch"), text="payload rejected", path="n", message="is not text")
            host.refuse(host.expect("dispatch"), text="payload rejected", path="n", message="is not text")
            expected = "RequestError payload rejected (-32001); path: n, message: is not text"
            self.assertEqual(expected, host.expect("status")["params"]["text"])
            host.answer(host.expect("dispatch"), {"event": "e"})
            self.assertEqual("{'event': 'e'}", host.expect("status")["params"]["text"])
            self.assertEqual(1, host.log().count('W! Not dispatching a trigger "demo.t": payload rejected'))

    def test_a_payload_that_is_no_dict_raises_and_an_empty_one_is_empty(self):
        code = """
try: service.dispatch("demo.t", [1])
except TypeError as error: service.status(str(error))
service.dispatch("demo.t", [])
"""
        with run(code) as host:
            self.assertIn("The payload has a value that is not a dictionary", host.expect("status")["params"]["text"])
            self.assertEqual({}, host.expect("dispatch")["params"]["payload"])

    def test_a_line_too_long_is_not_sent(self):
        code = """
service.dispatch("demo.t", {"text": "x" * 1000})
try: service.dispatch("demo.t", {"text": "x" * 1000}, wait=True)
except Exception as error: service.status(type(error).__name__)
service.dispatch("demo.t", {"ok": True})
"""
        with run(code, limits={"in_flight": 4, "line_bytes": 500}) as host:
            log = host.expect("log")["params"]
            self.assertEqual("warning", log["level"])
            self.assertIn("lines of 500", log["message"])
            self.assertEqual("TooLong", host.expect("status")["params"]["text"])
            self.assertEqual({"ok": True}, host.expect("dispatch")["params"]["payload"])

    def test_threads_may_dispatch(self):
        code = """
import threading
def work(): [service.dispatch("demo.t") for _ in range(50)]
for _ in range(8): threading.Thread(target=work).start()
"""
        with run(code, limits={"in_flight": 5}) as host:
            seen = []
            for _ in range(400):
                seen.append(host.expect("dispatch"))
                host.answer(seen[-1])
            self.assertEqual(list(range(2, 402)), [event["id"] for event in seen])


class Datastore(unittest.TestCase):
    """Keys and values."""

    def test_the_wire_of_each_method(self):
        code = """
service.set_value("a", 5, ttl=60)
service.set_value("b", "x", local=False, encrypt=True)
service.get_value("a", decrypt=True)
service.delete_value("a")
items = service.list_values(prefix="p", limit=2, offset=1)
service.dispatch("demo.t", {"items": [[i.name, i.value] for i in items]})
"""
        with run(code) as host:
            expected = [
                ("kv.set", {"key": "a", "scope": "sensor", "value": "5", "ttl": 60}),
                ("kv.set", {"key": "b", "scope": "system", "value": "x", "encrypt": True}),
                ("kv.get", {"key": "a", "scope": "sensor", "decrypt": True}),
                ("kv.delete", {"key": "a", "scope": "sensor"}),
                ("kv.list", {"prefix": "p", "scope": "sensor", "limit": 2, "offset": 1}),
            ]
            for method, params in expected:
                request = host.expect(method)
                self.assertEqual(params, request["params"])
                host.answer(request, [{"key": "px", "value": "1", "expires": None}] if method == "kv.list" else None)
            items = host.expect("dispatch")["params"]["payload"]["items"]
            self.assertEqual([["demo.S:px", "1"]], items)

    def test_a_write_waits_for_the_events_before_it(self):
        with run("service.dispatch('demo.t')\nservice.set_value('a', '1')\nservice.status('written')") as host:
            event, write = host.expect("dispatch"), host.expect("kv.set")
            host.answer(write)
            self.assertFalse(host.readable(0.1))
            host.answer(event)
            host.expect("status")

    def test_refusals(self):
        code = """
service.dispatch("demo.t", {"r": [service.get_value("a"), service.delete_value("a"), service.delete_value("b")]})
try: service.set_value("a", 1)
except Exception as error: service.status(type(error).__name__)
try: service.get_value("a", scope="user")
except ValueError as error: service.status(str(error))
"""
        with run(code) as host:
            host.refuse(host.expect("kv.get"), -32004)
            self.assertIn("refused", host.expect("log")["params"]["message"])
            host.refuse(host.expect("kv.delete"), -32004)
            host.expect("log")
            host.answer(host.expect("kv.delete"), False)
            self.assertEqual([None, False, False], host.expect("dispatch")["params"]["payload"]["r"])
            host.refuse(host.expect("kv.set"), -32005)
            self.assertEqual("RequestError", host.expect("status")["params"]["text"])
            self.assertEqual("Scope user is unsupported.", host.expect("status")["params"]["text"])


class Logging(unittest.TestCase):
    """The sensor's loggers."""

    def test_levels_names_and_tracebacks(self):
        code = """
log = service.get_logger("poller")
log.debug("not told")
log.info("three %s", "words")
try: 1 / 0
except ZeroDivisionError: log.exception("that failed")
import logging
logging.getLogger("some.library").warning("from a library")
"""
        with run(code) as host:
            first, second, third = (host.expect("log")["params"] for _ in range(3))
            self.assertEqual(
                {"level": "info", "message": "three words", "logger": "SensorWrapper.demo.S.poller"}, first
            )
            self.assertEqual(("error", "that failed"), (second["level"], second["message"]))
            self.assertIn("ZeroDivisionError: division by zero", second["traceback"])
            self.assertEqual(("warning", "some.library"), (third["level"], third["logger"]))

    def test_a_pack_that_sets_up_logging_keeps_it(self):
        source = """
        import logging
        logging.basicConfig(format="MINE %(message)s", level=logging.INFO)
        class S(Base, Sensor):
            def run(self):
                self.sensor_service.get_logger("x").info("hello")
                self.sensor_service.status("done")
        """
        with Ready(source) as host:
            host.expect("status")
            self.assertIn("MINE hello", host.log())


if __name__ == "__main__":
    unittest.main()
