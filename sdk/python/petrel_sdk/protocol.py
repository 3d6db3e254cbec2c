"""The wire: one JSON-RPC 2.0 message per line, and how Python's values become JSON's.

Pure functions over bytes and values; no file, no thread.
"""

import json

PROTOCOL_VERSION = 1

#: Error codes of the protocol; the host may send JSON-RPC's own ones as well.
METHOD_NOT_FOUND = -32601
PARSE_ERROR = -32700
TOO_LARGE = -32003

_MAX_DEPTH = 200
_LAST_WORDS_CHARS = 10000


class Fail(Exception):
    """Last words of a sensor: raise it from `setup`, `run` or `poll` to say why it ends.

    `kind` is `config` (parked until its configuration or code changes, exit 78), `transient` (try again
    later, exit 75, `retry_after` in seconds) or `bug` (exit 1).
    """

    EXIT_CODES = {"config": 78, "transient": 75, "bug": 1}

    def __init__(self, kind, message, path=None, hint=None, retry_after=None):
        if kind not in self.EXIT_CODES:
            raise ValueError("kind is one of config, transient, bug, not %r" % (kind,))
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.path = path
        self.hint = hint
        self.retry_after = retry_after

    @property
    def exit_code(self):
        """The exit code that goes with the kind."""
        return self.EXIT_CODES[self.kind]

    def params(self):
        """The parameters of the `fail` notification."""
        optional = {"path": self.path, "hint": self.hint, "retry_after": self.retry_after}
        params = {"kind": self.kind, "message": str(self.message)[:_LAST_WORDS_CHARS]}
        params.update((name, value) for name, value in optional.items() if value is not None)
        return params


class RequestError(Exception):
    """The host answered a request with an error: `code`, `message` and `data` are the answer's."""

    def __init__(self, error):
        error = error if isinstance(error, dict) else {"message": str(error)}
        self.code = error.get("code")
        self.message = error.get("message", "")
        self.data = error.get("data")
        super().__init__(self._text())

    def _text(self):
        text = "%s (%s)" % (self.message, self.code)
        if not isinstance(self.data, dict):
            return text
        details = ["%s: %s" % (name, self.data[name]) for name in ("path", "message", "reason") if name in self.data]
        return "%s; %s" % (text, ", ".join(details)) if details else text


class Disconnected(Exception):
    """The host has gone, or this process is a fork that does not own the conversation."""


class TooLong(Exception):
    """The message is longer than the host reads: `limits.line_bytes` of its `hello` answer."""


def encode(method, params=None, request_id=None):
    """One message as a line of bytes; with `request_id` it is a request, else a notification."""
    lead = '{' if request_id is None else '{"id":%d,' % request_id
    tail = "" if params is None else ',"params":' + to_json(params)
    return _to_bytes('%s"jsonrpc":"2.0","method":"%s"%s}\n' % (lead, method, tail))


def encode_answer(request_id, result=None, error=None):
    """The answer to a request of the host, as a line of bytes."""
    answer = {"id": request_id, "jsonrpc": "2.0"}
    answer["error" if error else "result"] = error or result
    return _to_bytes(to_json(answer) + "\n")


def decode(line):
    """The message in one line of bytes, or None where the line holds no JSON object."""
    try:
        message = json.loads(line)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None


def to_json(value):
    """JSON text of any value; what JSON lacks becomes what it has (see `plain`)."""
    try:
        return _ENCODER.encode(value)
    except (ValueError, TypeError):
        return _ENCODER.encode(plain(value))


def plain(value, depth=0):
    """`value` in JSON's own types.

    datetime, date and time: ISO text; bytes: text if it is UTF-8, else base64; sets and other iterables: a
    list; NaN and infinities: None; enumerations: their value; what has `tolist` (numpy): that; anything
    else: its `str()`. ValueError where the nesting is deeper than JSON readers accept, as in a cycle.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("the value is nested deeper than %d levels, or contains itself" % _MAX_DEPTH)
    if value is None or isinstance(value, (str, bool, int)) and type(value) in (str, bool, int):
        return value
    if isinstance(value, float):
        return float(value) if value - value == 0 else None
    if isinstance(value, dict):
        return {_plain_key(key): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item, depth + 1) for item in value]
    return plain(_substitute(value), depth + 1)


def _plain_key(key):
    if isinstance(key, str):
        return str.__str__(key)
    converted = plain(key)
    if isinstance(converted, str):
        return converted
    return json.dumps(converted) if isinstance(converted, (bool, int, float, type(None))) else str(key)


def _substitute(value):
    """What a value that JSON does not know becomes; one step, `plain` does the rest."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return _bytes_text(bytes(value))
    if isinstance(value, (set, frozenset)):
        return _ordered(value)
    for method in ("isoformat", "tolist"):
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    if type(type(value)).__name__ in ("EnumMeta", "EnumType"):
        return value.value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int.__int__(value)
    if callable(getattr(value, "keys", None)) and hasattr(value, "__getitem__"):
        return {key: value[key] for key in value.keys()}
    # A generator is left alone: reading it here would take its items away from the pack.
    if hasattr(value, "__iter__") and hasattr(value, "__len__"):
        return list(value)
    return str(value)


def _ordered(values):
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _bytes_text(data):
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        import base64

        return base64.b64encode(data).decode("ascii")


def _to_bytes(text):
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        # File names that are not UTF-8 arrive as lone surrogates (os.fsdecode), which no JSON reader accepts.
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text).encode("utf-8")


_ENCODER = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=lambda value: plain(_substitute(value))
)
