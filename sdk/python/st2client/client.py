"""`Client`: the datastore by way of petrel's socket. Other parts of StackStorm's API are not here yet, and say so."""

import os
from urllib.parse import quote

from petrel_sdk.action_service import ActionService, DatastoreError
from st2client.models.keyvalue import KeyValuePair

__all__ = ["Client"]


class Client:
    """Where to and with which token is known already: these arguments are taken and not needed."""

    def __init__(self, *args, **kwargs):
        self.keys = _Keys()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        raise NotImplementedError("st2client: petrel has no Client.%s yet; Client.keys is there" % name)


class _Keys:
    def __init__(self):
        self._service = ActionService("client", "Client", os.environ.get("PETREL_EXECUTION_ID"))

    def get_by_name(self, name, scope="system", decrypt=False, **_):
        """The item, or None."""
        query = {"scope": scope, "decrypt": "true"} if decrypt else {"scope": scope}
        try:
            return _item(self._service._request("GET", _path(name), query))
        except DatastoreError as error:
            if error.status == 404:
                return None
            raise

    get_by_id = get_by_name

    def get_all(self, prefix="", scope="system", decrypt=False, limit=None, **_):
        """All items whose name begins so."""
        query = {"prefix": prefix or "", "scope": scope}
        if decrypt:
            query["decrypt"] = "true"
        if limit is not None:
            query["limit"] = limit
        return [_item(item) for item in self._service._request("GET", "/v1/keys", query)]

    query = get_all

    def update(self, instance, **_):
        """Store an item."""
        body = {"name": instance.name, "value": str(instance.value), "scope": instance.scope or "system"}
        if instance.ttl:
            body["ttl"] = int(instance.ttl)
        if instance.secret:
            body["secret"] = True
        return _item(self._service._request("PUT", _path(instance.name), {"scope": body["scope"]}, body))

    def delete(self, instance, **_):
        """Remove an item; False where it was not there."""
        try:
            self._service._request("DELETE", _path(instance.name), {"scope": instance.scope or "system"})
        except DatastoreError as error:
            if error.status == 404:
                return False
            raise
        return True


def _path(name):
    return "/v1/keys/" + quote(name, safe="")


def _item(fields):
    return KeyValuePair(**fields)
