"""What all models of the client library share."""

__all__ = ["Resource"]


class Resource:
    """Whatever is given becomes an attribute."""

    def __init__(self, *args, **fields):
        self.__dict__.update(fields)

    def to_dict(self, exclude_attributes=None):
        """The attributes, but for those named and those that begin with an underscore."""
        left_out = exclude_attributes or []
        return {name: value for name, value in vars(self).items() if name not in left_out and name[0] != "_"}

    def serialize(self):
        """All of them."""
        return self.to_dict()

    @classmethod
    def deserialize(cls, doc):
        """One made of a dict."""
        return cls(**doc)

    def __repr__(self):
        named = getattr(self, "ref", None) or getattr(self, "name", None) or getattr(self, "id", None)
        return "<%s %s>" % (type(self).__name__, named)
