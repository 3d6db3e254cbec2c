"""Items of the datastore, as the client library has them."""

__all__ = ["KeyValuePair"]


class KeyValuePair:
    """A key with its value; whatever else is given becomes an attribute."""

    def __init__(self, id=None, name=None, value=None, ttl=None, scope="system", secret=False, **more):
        self.id = id
        self.name = name
        self.value = value
        self.ttl = ttl
        self.scope = scope
        self.secret = secret
        self.__dict__.update(more)
