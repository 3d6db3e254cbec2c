"""StackStorm's filters for templates within packs (st2common/expressions/functions).

What a filter needs beyond the standard library comes from the base environment, when it is first used.
"""

import datetime
import json
import os
import re

_NONE = "%*****__%NONE%__*****%"


def all_filters():
    """The filters by their names."""
    named = (
        from_json_string,
        from_yaml_string,
        json_escape,
        jsonpath_query,
        regex_match,
        regex_replace,
        regex_search,
        regex_substring,
        to_human_time_from_seconds,
        to_json_string,
        to_yaml_string,
    )
    filters = {one.__name__: one for one in named}
    filters.update(_of_versions())
    filters.update(to_complex=json.dumps, basename=os.path.basename, dirname=os.path.dirname)
    filters["use_none"] = lambda value: _NONE if value is None else value
    return filters


def from_json_string(value):
    """The value of a JSON text."""
    return json.loads(str(value))


def to_json_string(value, indent=None, sort_keys=False, separators=(",", ": ")):
    """A value as JSON."""
    return json.dumps(value, indent=indent, sort_keys=sort_keys, separators=separators)


def json_escape(value):
    """A text as it stands between the quotes of a JSON text."""
    return json.dumps(value).strip('"')


def from_yaml_string(value):
    """The value of a YAML text."""
    import yaml

    return yaml.safe_load(str(value))


def to_yaml_string(value, indent=None, allow_unicode=True):
    """A value as YAML, one line for each item."""
    import yaml

    return yaml.safe_dump(value, indent=indent, allow_unicode=allow_unicode, default_flow_style=False)


def jsonpath_query(value, query):
    """A list of what a JSONPath finds; None where it finds nothing."""
    import jsonpath_rw

    return [found.value for found in jsonpath_rw.parse(query).find(value)] or None


def regex_match(value, pattern, ignorecase=False):
    """Whether the beginning matches."""
    return _compiled(pattern, ignorecase).match(str(value)) is not None


def regex_search(value, pattern, ignorecase=False):
    """Whether any part matches."""
    return _compiled(pattern, ignorecase).search(str(value)) is not None


def regex_replace(value, pattern, replacement, ignorecase=False):
    """The text with each match replaced."""
    return _compiled(pattern, ignorecase).sub(replacement, str(value))


def regex_substring(value, pattern, result_index=0, ignorecase=False):
    """One of the matches, the first unless told otherwise; IndexError where there is none."""
    return _compiled(pattern, ignorecase).findall(str(value))[result_index]


def _compiled(pattern, ignorecase):
    return re.compile(pattern, re.IGNORECASE if ignorecase else 0)


def to_human_time_from_seconds(seconds):
    """`1h3m5s`; a year has 365 days, and what is below a second is told in its own unit."""
    assert isinstance(seconds, (int, float))
    if 0 < seconds < 1:
        return "%s\u03bcs" % seconds
    moment = datetime.datetime(1, 1, 1) + datetime.timedelta(seconds=round(seconds))
    parts = [(moment.year - 1, "y"), (moment.day - 1, "d"), (moment.hour, "h"), (moment.minute, "m")]
    parts.append((moment.second, "s"))
    while len(parts) > 1 and not parts[0][0]:
        parts.pop(0)
    return "".join("%d%s" % part for part in parts)


def _of_versions():
    def parsed(value):
        import semver

        return semver.Version.parse(value)

    return {
        "version_compare": lambda value, other: parsed(value).compare(other),
        "version_more_than": lambda value, other: parsed(value).compare(other) == 1,
        "version_less_than": lambda value, other: parsed(value).compare(other) == -1,
        "version_equal": lambda value, other: parsed(value).compare(other) == 0,
        "version_match": lambda value, pattern: parsed(value).match(pattern),
        "version_bump_major": lambda value: str(parsed(value).bump_major()),
        "version_bump_minor": lambda value: str(parsed(value).bump_minor()),
        "version_bump_patch": lambda value: str(parsed(value).bump_patch()),
        "version_strip_patch": lambda value: "%d.%d" % (parsed(value).major, parsed(value).minor),
    }
