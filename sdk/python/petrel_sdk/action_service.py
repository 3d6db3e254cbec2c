"""What an action talks to: StackStorm's datastore methods over the daemon's HTTP API on a Unix socket.

The socket is named by PETREL_SOCKET; requests carry the execution in `X-Petrel-Execution`. Names, arguments
and answers are those of StackStorm's ActionService (st2common/services/datastore.py).
"""

import json
import os
import sys

from petrel_sdk.keyvalue import SYSTEM_SCOPE, KeyValuePair, check_scope

_TIMEOUT_S = 30


class ActionService:
    """The datastore as an action sees it; keys with `local=True` are the action's own."""

    def __init__(self, pack, class_name, execution_id=None, user=None):
        self._action_wrapper = _Wrapper(pack, class_name, user)
        self._prefix = "%s.%s:" % (pack, class_name)
        self._execution_id = execution_id
        self._user = user

    @property
    def pack(self):
        """The pack of the action."""
        return self._action_wrapper._pack

    @property
    def datastore_service(self):
        """The object with the datastore's methods, which is this one."""
        return self

    def get_api_client(self):
        """A client of the API that acts for this execution."""
        from st2client.client import Client

        return Client()

    def get_user_info(self):
        """The user that the action runs for."""
        return {"username": self._user, "authentication": {"method": "none", "location": "socket"}}

    def list_values(self, local=True, prefix=None, limit=None, offset=None):
        """Items whose name begins with `prefix`, as objects with `name` and `value`."""
        query = {"prefix": (self._prefix if local else "") + (prefix or ""), "scope": SYSTEM_SCOPE}
        query.update((name, value) for name, value in (("limit", limit), ("offset", offset)) if value is not None)
        items = self._request("GET", "/v1/keys", query)
        return [KeyValuePair(item["name"], item.get("value"), expires=item.get("expire_timestamp")) for item in items]

    def get_value(self, name, local=True, scope=SYSTEM_SCOPE, decrypt=False):
        """The value, or None where there is none or the datastore refused (which is logged)."""
        check_scope(scope)
        query = {"scope": scope, "decrypt": "true"} if decrypt else {"scope": scope}
        try:
            item = self._request("GET", self._path(name, local), query)
        except DatastoreError as error:
            return None if error.status == 404 else _note('Reading the value of "%s" failed: %s' % (name, error))
        return item.get("value")

    def set_value(self, name, value, ttl=None, local=True, scope=SYSTEM_SCOPE, encrypt=False):
        """Store `str(value)`, for `ttl` seconds if given; True, or DatastoreError."""
        check_scope(scope)
        full = self._full(name, local)
        body = {"name": full, "value": str(value), "scope": scope}
        if ttl is not None:
            body["ttl"] = ttl
        if encrypt:
            body["secret"] = True
        self._request("PUT", self._path(name, local), {"scope": scope}, body)
        return True

    def delete_value(self, name, local=True, scope=SYSTEM_SCOPE):
        """True, or False where there was no such value or the datastore refused (which is logged)."""
        check_scope(scope)
        try:
            self._request("DELETE", self._path(name, local), {"scope": scope})
        except DatastoreError as error:
            if error.status != 404:
                _note('Deleting the value of "%s" failed: %s' % (name, error))
            return False
        return True

    def _full(self, name, local):
        return self._prefix + name if local else name

    def _path(self, name, local):
        from urllib.parse import quote

        return "/v1/keys/" + quote(self._full(name, local), safe="")

    def _request(self, method, path, query, body=None, more=None):
        from http.client import HTTPException
        from urllib.parse import urlencode

        headers = {"Content-Type": "application/json", "X-Petrel-Execution": self._execution_id or "", **(more or {})}
        headers["X-Petrel-Key"] = _key()
        text = None if body is None else json.dumps(body)
        connection = _connect()
        try:
            connection.request(method, path + "?" + urlencode(query), text, headers)
            response = connection.getresponse()
            return _parsed(response.status, response.read())
        except (OSError, HTTPException) as error:
            raise ConnectionError("the datastore did not answer %s %s: %s" % (method, path, error)) from error
        finally:
            connection.close()


class _Wrapper:
    """Whose action it is. Packs read these names, though they are StackStorm's own affair."""

    def __init__(self, pack, class_name, user):
        self._pack = pack
        self._class_name = class_name
        self._user = user


class DatastoreError(Exception):
    """The daemon refused; `status` is the HTTP status."""

    def __init__(self, status, text):
        super().__init__("%s (HTTP %d)" % (text, status))
        self.status = status


def _connect():
    import socket
    from http.client import HTTPConnection

    path = os.environ.get("PETREL_SOCKET")
    if not path:
        raise ConnectionError("no datastore here: PETREL_SOCKET is not set, which `petrel run` does for its actions")
    connection = HTTPConnection("localhost", timeout=_TIMEOUT_S)
    connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.sock.settimeout(_TIMEOUT_S)
    try:
        connection.sock.connect(path)
    except OSError as error:
        connection.close()
        text = "no datastore at PETREL_SOCKET=%s: %s; is `petrel run` running?" % (path, error)
        raise ConnectionError(text) from error
    return connection


def _key():
    """What the socket asks for where a sensor runs under `strict`; empty where it asks for nothing."""
    try:
        with open(os.path.join(os.environ["PETREL_DATA"], "socket.key")) as file:
            return file.read().strip()
    except (OSError, KeyError):
        return ""


def _parsed(status, data):
    text = data.decode("utf-8", "replace")
    try:
        value = json.loads(text) if text else None
    except ValueError:
        value = None
    if status < 400:
        return value
    fault = value.get("faultstring") if isinstance(value, dict) else None
    raise DatastoreError(status, fault or text.strip()[:200] or "refused")


def _note(message):
    print("WARNING: " + message, file=sys.stderr)
