"""Command lines as StackStorm writes them: `--name=value` or `--name value`, without argparse's import time."""


class Arguments:
    """The options as attributes, `-` read as `_`; those not given are None. ValueError says what is wrong."""

    def __init__(self, argv, required=(), optional=()):
        names = tuple(required) + tuple(optional)
        for name in names:
            setattr(self, name.replace("-", "_"), None)
        rest = list(argv)
        while rest:
            name, value = self._next(rest, names)
            setattr(self, name.replace("-", "_"), value)
        missing = ["--" + name for name in required if getattr(self, name.replace("-", "_")) is None]
        if missing:
            raise ValueError("the following arguments are required: " + ", ".join(missing))

    @staticmethod
    def _next(rest, names):
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if not name.startswith("--") or name[2:] not in names:
            raise ValueError("unrecognized arguments: " + word)
        if equals:
            return name[2:], value
        if not rest:
            raise ValueError("argument %s: expected one argument" % name)
        return name[2:], rest.pop(0)


def number(name, text):
    """The number in `text`, whole where it is whole; None for None."""
    if text is None:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    raise ValueError("argument --%s: invalid number: %r" % (name, text))
