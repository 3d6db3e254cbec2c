"""How Python's values become JSON's, and messages lines."""

import base64
import collections
import datetime
import decimal
import enum
import json
import math
import os
import sys
import unittest
import uuid

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from petrel_sdk import protocol  # noqa: E402 - the path comes first


class Colour(enum.Enum):
    RED = "red"


class Text(str):
    def __str__(self):
        return "not this"


class Values(unittest.TestCase):
    """One row a value."""

    def check(self, value, expected):
        self.assertEqual(expected, json.loads(protocol.to_json({"v": value}))["v"])

    def test_what_json_has_stays(self):
        for value in (None, True, False, 0, -7, 2**70, 1.5, 1e300, "", "zwölf\n\"\\\u2028😀", [], [[2]], {"a": {}}):
            self.check(value, value)

    def test_what_it_lacks(self):
        moment = datetime.datetime(2016, 11, 27, 6, 3, 39, 110000, tzinfo=datetime.timezone.utc)
        self.check(moment, "2016-11-27T06:03:39.110000+00:00")
        self.check(moment.date(), "2016-11-27")
        self.check(b"text", "text")
        self.check(b"\xff\x00", base64.b64encode(b"\xff\x00").decode())
        self.check({3, 1, 2}, [1, 2, 3])
        self.assertCountEqual(json.loads(protocol.to_json({1, "a"})), [1, "a"])
        for value in (math.nan, math.inf, -math.inf):
            self.check(value, None)
            self.check([{"deep": (value,)}], [{"deep": [None]}])
        self.check((1, 2), [1, 2])
        self.check(Colour.RED, "red")
        self.check(decimal.Decimal("1.10"), "1.10")
        self.check(uuid.UUID(int=5), str(uuid.UUID(int=5)))
        self.check(collections.deque([1, 2]), [1, 2])
        self.check(collections.OrderedDict(a=1).keys(), ["a"])
        self.check([Text("a"), math.nan], ["a", None])

    def test_keys_are_text(self):
        self.check({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"})
        self.check({(1, 2): "a", b"k": "b"}, {"(1, 2)": "a", "k": "b"})
        self.check({datetime.date(2020, 1, 2): 1}, {"2020-01-02": 1})

    def test_a_value_that_contains_itself_is_refused(self):
        loop = []
        loop.append(loop)
        with self.assertRaises(ValueError):
            protocol.to_json(loop)

    def test_names_that_are_not_utf8(self):
        line = protocol.encode("dispatch", {"path": os.fsdecode(b"/tmp/\xff\xfe.txt")})
        self.assertEqual("/tmp/\ufffd\ufffd.txt", json.loads(line)["params"]["path"])


class Lines(unittest.TestCase):
    """Framing."""

    def test_one_line_each_and_the_id_first(self):
        line = protocol.encode("dispatch", {"payload": {"text": "a\nb\r\u0085"}}, request_id=12)
        self.assertTrue(line.startswith(b'{"id":12,"jsonrpc":"2.0","method":"dispatch","params":'))
        self.assertEqual(1, line.count(b"\n"))
        self.assertEqual(b'{"jsonrpc":"2.0","method":"ready"}\n', protocol.encode("ready"))

    def test_answers(self):
        self.assertEqual({"id": "a", "jsonrpc": "2.0", "result": None}, json.loads(protocol.encode_answer("a")))
        error = {"code": -32601, "message": "no"}
        self.assertEqual(
            {"id": 1, "jsonrpc": "2.0", "error": error}, json.loads(protocol.encode_answer(1, error=error))
        )

    def test_what_is_no_message(self):
        for line in (b"", b"[]", b"3", b"{", b"\xff"):
            self.assertIsNone(protocol.decode(line))


if __name__ == "__main__":
    unittest.main()
