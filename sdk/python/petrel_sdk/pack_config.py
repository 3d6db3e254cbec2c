"""The configuration that an action of StackStorm's base class has."""


class PackConfigDict(dict):
    """A dict; a missing key is a ValueError that says which one, and where to write it."""

    def __init__(self, pack_name, *values):
        super().__init__(*values)
        self._pack_name = pack_name

    def __missing__(self, key):
        raise ValueError(
            'Config for pack "%s" is missing key "%s".\n'
            "Add it to configs/%s.yaml beside the packs folder, or give it a default in the pack's "
            "config.schema.yaml." % (self._pack_name, key, self._pack_name)
        )
