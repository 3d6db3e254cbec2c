"""The client library's managers over petrel's socket: what its API has, they have."""

import os
from urllib.parse import quote

from petrel_sdk.action_service import ActionService, DatastoreError
from st2client.commands.resource import ResourceNotFoundError
from st2client.models.keyvalue import KeyValuePair

#: What the API itself understands; other words of a query are compared with what it answers.
_OF_THE_API = ("limit", "offset", "pack", "action", "status", "rule", "trigger", "prefix", "scope", "decrypt")


class ResourceManager:
    """Reads one kind of thing."""

    def __init__(self, path, model):
        self._path = "/v1/" + path
        self._model = model
        self._service = ActionService("client", "Client", os.environ.get("PETREL_EXECUTION_ID"))

    def get_all(self, **query):
        """All of them, or those that the query picks: `limit`, `pack`, or any attribute."""
        asked = {name: _text(value) for name, value in query.items() if name in _OF_THE_API and value is not None}
        items = self._request("GET", self._path, asked)
        wanted = {name: value for name, value in query.items() if name not in _OF_THE_API}
        return [self._made(item) for item in items if all(item.get(name) == wanted[name] for name in wanted)]

    query = get_all

    def get_by_id(self, id, **_):
        """The one with this id or reference; ResourceNotFoundError where there is none."""
        return self._made(self._request("GET", self._one(id), {}))

    get_by_ref_or_id = get_by_id

    def get_by_name(self, name, **query):
        """The one with this name, or None."""
        found = self.get_all(name=name, **query)
        if len(found) > 1:
            raise Exception('More than one item named "%s" are found.' % name)
        return found[0] if found else None

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError("st2client: petrel cannot %s at %s yet" % (name, self._path))

    def _one(self, id):
        return "%s/%s" % (self._path, quote(str(id), safe=""))

    def _made(self, fields):
        # StackStorm's API leaves out what is null, and packs ask whether an attribute is there.
        return self._model(**{name: value for name, value in fields.items() if value is not None})

    def _request(self, method, path, query, body=None):
        try:
            return self._service._request(method, path, query, body)
        except DatastoreError as error:
            if error.status == 404:
                raise ResourceNotFoundError(str(error)) from error
            raise


class ListManager(ResourceManager):
    """Reads what the API has as a list only."""

    def get_by_id(self, id, **_):
        """The one with this id or reference; ResourceNotFoundError where there is none."""
        for one in self.get_all():
            if id in (getattr(one, "id", None), getattr(one, "ref", None)):
                return one
        raise ResourceNotFoundError('Resource with a reference or id "%s" not found' % id)

    get_by_ref_or_id = get_by_id


class ExecutionManager(ResourceManager):
    """Reads, starts and cancels executions."""

    def create(self, instance, **_):
        """Start what the instance names: `action`, `parameters`, and perhaps `user`."""
        body = {"action": instance.action, "parameters": getattr(instance, "parameters", None) or {}}
        if getattr(instance, "user", None):
            body["user"] = instance.user
        return self._made(self._request("POST", self._path, {}, body))

    def re_run(self, execution_id, parameters=None, tasks=None, no_reset=None, delay=0, **_):
        """Start it once more, with other parameters where they are given."""
        if tasks or no_reset or delay:
            raise NotImplementedError("st2client: petrel runs an execution again as a whole and at once")
        path, body = self._one(execution_id) + "/re_run", {"parameters": parameters or {}}
        return self._made(self._request("POST", path, {}, body))

    def delete_by_id(self, instance_id, **_):
        """Cancel it."""
        return self._request("DELETE", self._one(instance_id), {})

    def delete(self, instance, **_):
        """Likewise; False where there is none."""
        try:
            self.delete_by_id(instance.id)
        except ResourceNotFoundError:
            return False
        return True

    def get_result(self, execution_id, **_):
        """What it returned."""
        return self.get_by_id(execution_id).result


class KeyManager(ResourceManager):
    """Reads and writes the datastore."""

    def __init__(self):
        super().__init__("keys", KeyValuePair)

    def get_all(self, prefix="", scope="system", decrypt=False, **query):
        """All items whose name begins so."""
        if decrypt:
            query["decrypt"] = True
        return super().get_all(prefix=prefix or "", scope=scope, **query)

    query = get_all

    def get_by_name(self, name, scope="system", decrypt=False, **_):
        """The item, or None."""
        query = {"scope": scope, "decrypt": "true"} if decrypt else {"scope": scope}
        try:
            return self._made(self._request("GET", self._one(name), query))
        except ResourceNotFoundError:
            return None

    get_by_id = get_by_ref_or_id = get_by_name

    def update(self, instance, **_):
        """Store an item."""
        body = {"name": instance.name, "value": str(instance.value), "scope": instance.scope or "system"}
        if instance.ttl:
            body["ttl"] = int(instance.ttl)
        if instance.secret:
            body["secret"] = True
        return self._made(self._request("PUT", self._one(instance.name), {"scope": body["scope"]}, body))

    def delete(self, instance, **_):
        """Remove an item; False where it was not there."""
        try:
            self._request("DELETE", self._one(instance.name), {"scope": instance.scope or "system"})
        except ResourceNotFoundError:
            return False
        return True


def _text(value):
    return str(value).lower() if isinstance(value, bool) else value


class WebhookManager:
    """Sends events."""

    def __init__(self):
        self._service = ActionService("client", "Client", os.environ.get("PETREL_EXECUTION_ID"))

    def post_generic_webhook(self, trigger, payload=None, trace_tag=None, **_):
        """Send an event; what was sent, with the event's id, once it is on disk."""
        body = {"trigger": trigger, "payload": payload or {}}
        headers = {"St2-Trace-Tag": trace_tag} if trace_tag else {}
        return self._service._request("POST", "/v1/webhooks/st2", {}, body, headers)
