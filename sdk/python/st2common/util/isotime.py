"""Times as ISO 8601 texts (names and results of st2common/util/isotime.py)."""

import datetime
import re

from st2common.util import date as _date

__all__ = ["format", "validate", "parse"]

_ACCEPTED = re.compile(r"\d{4}-\d{2}-\d{2}[\sT]\d{2}:\d{2}:\d{2}(\.\d{3,6})?(Z|\+00|\+0000|\+00:00)")


def format(dt, usec=True, offset=True):
    """The text of a datetime, a text or seconds since 1970: `…+00:00`, or `…Z` without `offset`."""
    if isinstance(dt, str):
        dt = parse(dt)
    elif isinstance(dt, int):
        dt = datetime.datetime.fromtimestamp(dt, datetime.timezone.utc)
    text = dt.strftime("%Y-%m-%dT%H:%M:%S" + (".%f" if usec else ""))
    if offset:
        zone = dt.strftime("%z")
        return text + (zone[:3] + ":" + zone[3:] if zone else "+00:00")
    name = dt.tzname() or "UTC"
    return text + ("Z" if name == "UTC" else name)


def validate(value, raise_exception=True):
    """Whether it is a datetime, or a text of a moment in UTC."""
    if isinstance(value, datetime.datetime) or (isinstance(value, str) and _ACCEPTED.fullmatch(value)):
        return True
    if raise_exception:
        raise ValueError("Datetime value does not match expected format.")
    return False


def parse(value, preserve_original_tz=False, validate_value=True):
    """The datetime of such a text."""
    if validate_value:
        validate(value)
    return _date.parse(value, preserve_original_tz=preserve_original_tz)
