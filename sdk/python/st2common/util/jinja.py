"""Templates within packs (names of st2common/util/jinja.py); Jinja2 comes from the base environment."""

import json

from petrel_sdk.filters import all_filters

__all__ = ["get_jinja_environment", "get_filters", "render_values", "is_jinja_expression"]


def get_filters():
    """StackStorm's filters by their names, but for `decrypt_kv`: actions decrypt with `get_value`."""
    return all_filters()


def get_jinja_environment(allow_undefined=False, trim_blocks=True, lstrip_blocks=True):
    """An environment that fails on what is not defined, unless told otherwise."""
    from jinja2 import StrictUndefined, Undefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=Undefined if allow_undefined else StrictUndefined,
        trim_blocks=trim_blocks,
        lstrip_blocks=lstrip_blocks,
    )
    environment.filters.update(get_filters())
    environment.tests["in"] = lambda item, container: item in container
    return environment


def is_jinja_expression(value):
    """Whether a text has a template in it."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)


def render_values(mapping=None, context=None, allow_undefined=False):
    """Every value of a mapping, rendered; lists and maps by way of JSON."""
    environment = get_jinja_environment(allow_undefined=allow_undefined)
    names = dict(context or {})
    names.update(mapping or {})
    rendered = {}
    for key, value in (mapping or {}).items():
        if isinstance(value, (dict, list)):
            rendered[key] = json.loads(environment.from_string(json.dumps(value)).render(names))
        else:
            rendered[key] = environment.from_string(value).render(names) if is_jinja_expression(value) else value
    return rendered
