"""The datastore's vocabulary, shared by sensors and actions."""

SYSTEM_SCOPE = "system"


class KeyValuePair:
    """One item of the datastore as StackStorm's client names it; `key` is its name without the owner's prefix."""

    def __init__(self, name, value, key=None, expires=None):
        self.name = name
        self.value = value
        self.key = name if key is None else key
        self.expire_timestamp = expires
        self.scope = SYSTEM_SCOPE

    def __repr__(self):
        return "<KeyValuePair name=%s,value=%s>" % (self.name, self.value)


def check_scope(scope):
    """ValueError, in StackStorm's words, for a scope that packs cannot use."""
    if scope != SYSTEM_SCOPE:
        raise ValueError("Scope %s is unsupported." % (scope,))
