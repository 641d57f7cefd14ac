"""supervisord's dialect of INI: sections, inline comments, `%(name)s`, and its forms of numbers, flags and lists.

Rules: what supervisord accepts reads the same here, by supervisord's own conversions (its datatypes and options
modules, 4.3.0), except that what it would pass over in silence is a finding: an unknown key, a section that is given
twice.
"""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from supervisor.config.problem import ConfigError, Problem, Refused, quoted

T = TypeVar("T")

_REFERENCE = re.compile(r"%(?:%|\(([^)]*)\)([-0]?[0-9]{0,3}[sd])|.?)", re.DOTALL)
_TRUE = frozenset({"yes", "true", "on", "1"})
_FALSE = frozenset({"no", "false", "off", "0"})
_SIZES = {"kb": 1024, "mb": 1024**2, "gb": 1024**3}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


class Findings:
    """Problems and warnings about one file, each with the line of its key."""

    def __init__(self, label: str, text: str) -> None:
        self.label = label
        self.problems: list[Problem] = []
        self.notes: list[Problem] = []
        self._text = text
        self._lines: dict[tuple[str, str], int] | None = None

    def problem(self, section: str, key: str, reason: str) -> None:
        """What refuses the file."""
        self.problems.append(self._finding(section, key, reason))

    def note(self, section: str, key: str, reason: str) -> None:
        """What the operator should know."""
        self.notes.append(self._finding(section, key, reason))

    def _finding(self, section: str, key: str, reason: str) -> Problem:
        if self._lines is None:
            self._lines = _positions(self._text)
        line = self._lines.get((section, key)) or self._lines.get((section, ""))
        return Problem(self.label, f"{section}.{key}" if key else section, reason, line)


def _positions(text: str) -> dict[tuple[str, str], int]:
    """The line of each section and of each of its keys."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        header = re.match(r"\[([^\]]+)\]", line)
        if header:
            section = header[1]
            found.setdefault((section, ""), number)
        elif line[:1] not in {"", ";", "#", " ", "\t"}:
            found.setdefault((section, re.split(r"[=:]", line, maxsplit=1)[0].strip().lower()), number)
    return found


class Values:
    """The keys of one section, expanded with `names` and converted; what cannot be is told, and its default taken."""

    def __init__(self, section: str, values: Mapping[str, str], names: Mapping[str, Any], findings: Findings) -> None:
        self.section = section
        self.values = values
        self.names = names
        self.findings = findings

    def get(self, key: str, convert: Callable[[str], T], default: T) -> T:
        """The value of `key`, or `default`."""
        raw = self.values.get(key)
        if raw is None:
            return default
        try:
            return convert(expand(raw, self.names))
        except Refused as refused:
            self.findings.problem(self.section, key, str(refused))
            return default

    def given(self, key: str) -> bool:
        """Whether the section has this key."""
        return key in self.values

    def note(self, key: str, reason: str) -> None:
        """Tell something about one key."""
        self.findings.note(self.section, key, reason)


def parse(text: str, label: str, here: str) -> dict[str, dict[str, str]]:
    """The sections of a file with `%(here)s` replaced, as RawConfigParser sees them; ConfigError for a syntax error."""
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))
    try:
        parser.read_string(text)
    except configparser.DuplicateSectionError as error:
        raise ConfigError([Problem(label, str(error.section), "is declared twice", error.lineno)]) from None
    except configparser.DuplicateOptionError as error:
        raise ConfigError([Problem(label, f"{error.section}.{error.option}", "is given twice", error.lineno)]) from None
    except configparser.MissingSectionHeaderError as error:
        raise ConfigError([Problem(label, "", "cannot parse: no [section] before this line", error.lineno)]) from None
    except configparser.ParsingError as error:
        problems = (Problem(label, "", f"cannot parse: {_bare(line)}", number) for number, line in error.errors)
        raise ConfigError(problems) from None
    return {
        name: {key: value.replace("%(here)s", here.replace("%", "%%")) for key, value in parser.items(name)}
        for name in parser.sections()
    }


def _bare(line: str) -> str:
    return line.strip("'\"").removesuffix("\\n")


def expand(text: str, names: Mapping[str, Any]) -> str:
    """`text` with `%(name)s`, `%(name)02d` and `%%` replaced, as Python's % operator would."""
    if "%" not in text:
        return text

    def replace(match: re.Match[str]) -> str:
        if match[0] == "%%":
            return "%"
        if match[1] is None:
            raise Refused(f"cannot expand {quoted(match[0])}: a plain percent sign is written %%")
        if match[1] not in names:
            raise Refused(f"cannot expand %({match[1]})s: no such name")
        try:
            return str(("%" + match[2]) % (names[match[1]],))
        except TypeError:
            raise Refused(f"cannot expand {quoted(match[0])}: it is no number") from None

    return _REFERENCE.sub(replace, text)


def integer(low: int, high: int = 10**9) -> Callable[[str], int]:
    """A converter to a whole number from `low` to `high`."""

    def convert(text: str) -> int:
        if not _INTEGER.fullmatch(text.strip()) or not low <= int(text) <= high:
            raise Refused(f"must be a whole number from {low} to {high}, not {quoted(text)}")
        return int(text)

    return convert


def boolean(text: str) -> bool:
    """A flag: yes, true, on, 1 or no, false, off, 0."""
    if text.lower() not in _TRUE | _FALSE:
        raise Refused(f"must be true or false, not {quoted(text)}")
    return text.lower() in _TRUE


def byte_size(text: str) -> int:
    """Bytes, or with KB, MB or GB, each a multiple of 1024."""
    unit = text[-2:].lower()
    number = text[:-2] if unit in _SIZES else text
    if not re.fullmatch("[0-9]{1,12}", number.strip()):
        raise Refused(f"must be a size such as 1024, 50MB or 1GB, not {quoted(text)}")
    return int(number) * _SIZES.get(unit, 1)


def exit_codes(text: str) -> list[int]:
    """A list of codes with commas between them."""
    return [integer(0, 255)(code) for code in text.split(",")] if text else []


def names(text: str) -> list[str]:
    """A list of words with commas between them."""
    return [word.strip() for word in text.split(",")] if text else []


def words(text: str) -> list[str]:
    """A command line, split as a shell would."""
    try:
        found = shlex.split(text)
    except ValueError as error:
        raise Refused(f"cannot split: {str(error).lower()}") from None
    if not found or not found[0]:
        raise Refused("must not be empty")
    return found


def environment(text: str) -> dict[str, str]:
    """`KEY="value",OTHER='value'` as supervisord's lexer takes it apart."""
    lexer = shlex.shlex(text)
    lexer.wordchars += "/.+-():"
    try:
        tokens = list(lexer)
    except ValueError as error:
        raise Refused(f"cannot split: {str(error).lower()}") from None
    found = {}
    for index in range(0, len(tokens), 4):
        pair = tokens[index : index + 3]
        if len(pair) != 3 or pair[1] != "=":
            raise Refused(f'must be pairs such as KEY="value",OTHER="value", not {quoted(text)}')
        found[pair[0]] = pair[2].strip("'\"")
    return found
