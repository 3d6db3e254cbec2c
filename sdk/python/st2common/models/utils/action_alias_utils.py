"""What a command of a chat says to an alias (names and results of st2common/models/utils/action_alias_utils.py).

A format is a regular expression in which `{{ name }}` stands for a parameter and `{{ name = value }}` for one
that may be left out. Behind what the format asks for, a command may give more parameters as `name=value`.
"""

import re

try:
    from re import _parser as _syntax
except ImportError:
    import sre_parse as _syntax

from st2common.exceptions.content import ParseException

__all__ = ["ActionAliasFormatParser", "extract_parameters_for_action_alias_db", "extract_parameters"]

# Each form of a value captures what is inside it; `""` and `''` capture nothing, and give an empty text.
_ENCLOSED = "|".join(['""', "''", '"(.+?)"', "'(.+?)'", "({.+?})"])
_NAME = r"\s*(\S+?)\s*"
_PAIR = r"(?:^|\s+)%s=(%s|(\S+))" % (_NAME, _ENCLOSED)
_PAIRS_AT_END = re.compile(r".*?((?:%s\s*)*)$" % _PAIR, re.DOTALL)
_WITH_DEFAULT = r"{{%s\s*=\s*(?:%s|(.+?))\s*}}" % (_NAME, _ENCLOSED)
_WITHOUT = "{{%s}}" % _NAME

_QUOTED = [r"(?<=%s).+?(?=%s)" % (quote, quote) for quote in "'\""]
_VALUE = "|".join(_QUOTED + ["{.+?}", ".+?"])
_QUOTE = "[\"']?"


class ActionAliasFormatParser:
    """Matches one command against one format."""

    def __init__(self, alias_format=None, param_stream=None):
        self._format = alias_format or ""
        self._command = param_stream or ""
        pairs, self._stream = _split(self._command)
        self._given = {pair[0]: "".join(pair[2:]) for pair in pairs}
        found = re.findall(_WITH_DEFAULT, self._format, re.DOTALL)
        self._defaults = {name: "".join(values) for name, *values in found}
        self._pattern = _pattern(self._format)

    def get_extracted_param_value(self):
        """The parameters as a dict; ParseException where the command does not have the form."""
        return self._parameters(self._pattern.search(self._stream))

    def get_multiple_extracted_param_value(self):
        """A dict for each place of the command that has the form."""
        return [self._parameters(match) for match in self._pattern.finditer(self._stream)]

    def _parameters(self, match):
        if match is None:
            raise ParseException('Command "%s" doesn\'t match format string "%s"' % (self._command, self._format))
        found = match.groupdict()
        found.update((name, found.get(name) or value) for name, value in self._defaults.items())
        found.update(self._given)
        if self._format and not self._stream.strip() and not any(found.values()):
            raise ParseException("No value supplied and no default value found.")
        return found


def extract_parameters(format_str, param_stream, match_multiple=False):
    """The parameters of a command; with `match_multiple` a list of them."""
    parser = ActionAliasFormatParser(format_str, param_stream)
    return parser.get_multiple_extracted_param_value() if match_multiple else parser.get_extracted_param_value()


def extract_parameters_for_action_alias_db(action_alias_db, format_str, param_stream, match_multiple=False):
    """Likewise; ValueError where the alias has no such format."""
    if format_str not in action_alias_db.get_format_strings():
        raise ValueError(
            'Format string "%s" is not available on the alias "%s"' % (format_str, action_alias_db.name)
        )
    return extract_parameters(format_str, param_stream, match_multiple)


def _split(command):
    """The pairs at the end of a command, and the command without them, with a blank at each end."""
    end = _PAIRS_AT_END.match(command)
    text = end.group(1) if end else ""
    if not text:
        return [], " %s " % command
    return re.findall(_PAIR, text, re.DOTALL), " %s " % command.replace(text, "")


def _pattern(text):
    """The format as a regular expression for the whole of a command, unless it says otherwise itself."""
    text = re.sub(r"(\s*)" + _WITH_DEFAULT, lambda place: "(?:%s)?" % _group(place), text)
    text = re.sub(r"(\s*)" + _WITHOUT, _group, text)
    tokens = list(_syntax.parse(text, flags=re.DOTALL))
    start = "" if _anchored(tokens, ("AT_BEGINNING", "AT_BEGINNING_STRING")) else r"^\s*"
    end = "" if _anchored(tokens, ("AT_END", "AT_END_STRING")) else r"\s*$"
    return re.compile(start + text + end, re.DOTALL)


def _group(place):
    return "%s%s(?P<%s>%s)%s" % (place.group(1), _QUOTE, place.group(2), _VALUE, _QUOTE)


def _anchored(tokens, names):
    """Whether one of the anchors stands here, in a group, or in the second branch of a choice."""
    for kind, value in tokens:
        if str(kind) == "AT" and str(value) in names:
            return True
        inside = {"SUBPATTERN": lambda: value[-1], "BRANCH": lambda: value[1][1]}.get(str(kind))
        if inside and _anchored(list(inside()), names):
            return True
    return False
