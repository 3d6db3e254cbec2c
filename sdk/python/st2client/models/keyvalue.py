"""Items of the datastore, as the client library has them."""

from st2client.models.core import Resource

__all__ = ["KeyValuePair"]


class KeyValuePair(Resource):
    """A key with its value; whatever else is given becomes an attribute."""

    def __init__(self, id=None, name=None, value=None, ttl=None, scope="system", secret=False, **more):
        super().__init__(id=id, name=name, value=value, ttl=ttl, scope=scope, secret=secret, **more)
