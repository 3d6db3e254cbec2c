"""Times that know their zone (names and results of st2common/util/date.py)."""

import datetime

__all__ = ["get_datetime_utc_now", "append_milliseconds_to_time", "add_utc_tz", "convert_to_utc", "parse"]

_UTC = datetime.timezone.utc


def get_datetime_utc_now():
    """Now, in UTC."""
    return datetime.datetime.now(_UTC)


def append_milliseconds_to_time(date, millis):
    """So many milliseconds later, in UTC."""
    return convert_to_utc(date + datetime.timedelta(milliseconds=millis))


def add_utc_tz(dt):
    """The same reading of the clock, as UTC; ValueError where it is of another zone."""
    if dt.utcoffset():
        raise ValueError("datetime already contains a non UTC timezone")
    return dt.replace(tzinfo=_UTC)


def convert_to_utc(dt):
    """The same moment in UTC; what names no zone is UTC already."""
    return dt.astimezone(_UTC) if dt.tzinfo else add_utc_tz(dt)


def parse(value, preserve_original_tz=False):
    """The moment that a text names."""
    text = str(value)
    try:
        dt = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        # Only texts of other forms need the library.
        from dateutil.parser import parse as parse_any

        dt = parse_any(text)
    dt = dt if dt.tzinfo else add_utc_tz(dt)
    return dt if preserve_original_tz else convert_to_utc(dt)
