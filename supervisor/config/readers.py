"""Readers: one value of a file to the value we mean, or Refused with what it must be. They know nothing of services.

Rules: a reader never trusts a type (JSON and YAML hold anything), never walks what it does not know, and is a pure
function of the value and of where it stands (`Source`): which directory paths are relative to, and which environment
expands. Numbers and flags may also be text where that text holds a reference, since `${WORKERS}` can only be written
as text.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple

from supervisor.config import quantity
from supervisor.config.expand import expand
from supervisor.config.problem import LATER, Refused, nearest, quoted


class Source(NamedTuple):
    """Where a value stands: `base` is where its paths start, `environ` what it expands from (None: nothing)."""

    base: str
    environ: Mapping[str, str] | None


Read = Callable[[Any, Source], Any]
_KINDS = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a table"}
_DIGITS = re.compile(r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?")
#: Stands for every number past all bounds: JSON's integers may be too large for a float.
_BEYOND = 10**18
_FLAGS = {"true": True, "false": False}


class Reader(NamedTuple):
    """How one kind of value is read, and what the reference calls it."""

    read: Read
    says: str


def kind(value: object) -> str:
    """What a value of a file is, in words."""
    return "nothing" if value is None else _KINDS.get(type(value), f"a {type(value).__name__}")


def plain(value: str, source: Source) -> str:
    """Text with its references expanded; what the kernel or a log could not take is refused."""
    if "${" in value and source.environ is not None:
        value = expand(value, source.environ)
    if "\0" in value:
        raise Refused("must not hold a NUL byte")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise Refused("must be valid Unicode text") from None
    return value


def text(value: Any, source: Source) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise Refused(f"must be text, not {kind(value)}")
    return plain(value, source)


def word(value: Any, source: Source) -> str:
    """Text that is not empty."""
    found = text(value, source)
    if not found:
        raise Refused("must not be empty")
    return found


def path(value: Any, source: Source) -> str:
    """An absolute path; a relative one starts at the directory of its file."""
    return os.path.normpath(os.path.join(source.base, word(value, source)))


def path_or_none(value: Any, source: Source) -> str:
    """An absolute path, or "" for none."""
    found = text(value, source)
    return path(found, Source(source.base, None)) if found else ""


def account(value: Any, source: Source) -> str:
    """A user or group, by name or by number."""
    if type(value) is int and 0 <= value < 2**32 - 1:
        return str(value)
    return word(value, source)


def boolean(value: Any, source: Source) -> bool:
    """True or false."""
    if isinstance(value, str):
        value = _FLAGS.get(_expanded(value, source), value)
    if not isinstance(value, bool):
        raise Refused(f"must be true or false, not {_shown(value)}")
    return value


def _expanded(value: str, source: Source) -> str:
    return plain(value, source) if "${" in value and source.environ is not None else ""


def _shown(value: object) -> str:
    return quoted(value) if isinstance(value, str) else kind(value)


def _number(value: Any, source: Source, asked: str) -> int | float:
    """A finite number, as such or as what a reference stands for."""
    if isinstance(value, str):
        digits = _expanded(value, source).strip()
        if not _DIGITS.fullmatch(digits):
            raise Refused(f"must be {asked}, not {quoted(digits or value)}")
        value = float(digits) if "." in digits else int(digits)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(f"must be {asked}, not {kind(value)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refused(f"must be {asked}, not {value}")
    return value


def integer(low: int, high: int) -> Reader:
    """A whole number from `low` to `high`."""
    says = f"whole number from {low} to {high}"

    def read(value: Any, source: Source) -> int:
        number = _number(value, source, f"a {says}")
        if not low <= number <= high or number != int(number) or isinstance(number, float):
            raise Refused(f"must be a {says}, not {_brief(number)}")
        return number

    return Reader(read, says)


def number(low: float, high: float) -> Reader:
    """A number from `low` to `high`."""
    says = f"number from {low:g} to {high:g}"

    def read(value: Any, source: Source) -> float:
        found = _number(value, source, f"a {says}")
        if not low <= found <= high:
            raise Refused(f"must be a {says}, not {_brief(found)}")
        return float(found)

    return Reader(read, says)


def _brief(value: float) -> str:
    """A number in a message; JSON and TOML allow thousands of digits."""
    return str(value) if abs(value) < 10**15 else "a number that large" if value > 0 else "a number that low"


def duration(low: float = 0.0, high: float = quantity.LONGEST) -> Reader:
    """Seconds, from `250ms`, `1h30m` or a number; at least `low`, at most `high`."""
    form = "duration such as 250ms, 10s or 1h30m"

    def read(value: Any, source: Source) -> float:
        if isinstance(value, str):
            seconds = quantity.parse_duration(plain(value, source).strip())
        else:
            seconds = float(max(-_BEYOND, min(_number(value, source, f"a {form}"), _BEYOND)))
        if not low <= seconds <= high:
            least, most = quantity.format_duration(low), quantity.format_duration(high)
            raise Refused(f"must be from {least} to {most}, not {_shown_number(value)}")
        return seconds

    return Reader(read, "duration")


def _shown_number(value: object) -> str:
    return _brief(value) if isinstance(value, int | float) else _shown(value)


def size(value: Any, source: Source) -> int:
    """Bytes, from `64KiB`, `1GB` or a number."""
    if isinstance(value, str):
        return quantity.parse_size(plain(value, source).strip())
    found = _number(value, source, "a size such as 64KiB, 512MiB or 1GB")
    if not 0 <= found <= quantity.LARGEST or found != int(found):
        raise Refused(f"must be from 0 to 8 EiB, in whole bytes, not {_brief(found)}")
    return int(found)


def parsed(parse: Callable[[str], Any], says: str) -> Reader:
    """Text in a form of its own, read by `parse`."""

    def read(value: Any, source: Source) -> Any:
        if not isinstance(value, str):
            raise Refused(f"must be a {says}, not {kind(value)}")
        return parse(plain(value, source).strip())

    return Reader(read, says)


def signal_number(value: Any, source: Source) -> int:
    """A signal by name, with or without SIG, or by number."""
    if type(value) is int:
        value = str(value) if 0 <= value < quantity.LARGEST else "0"
    if not isinstance(value, str):
        raise Refused(f"must be a signal such as TERM, SIGHUP or 10, not {kind(value)}")
    return quantity.parse_signal(plain(value, source).strip())


def choice(words: Iterable[str] | type[Enum], later: Iterable[str] = ()) -> Reader:
    """One of some words, as a member where they come from an Enum; `later` are known and not in this version."""
    members: dict[str, Any] = {str(w.value) if isinstance(w, Enum) else w: w for w in words}
    known = [*members, *later]
    says = "one of " + ", ".join(members)

    def read(value: Any, source: Source) -> Any:
        found = text(value, source)
        if found in members:
            return members[found]
        raise Refused(f"{quoted(found)} is {LATER}" if found in known else f"must be {says}, not {quoted(found)}")

    return Reader(read, says)


def or_word(reader: Reader, special: str, meaning: Any) -> Reader:
    """What `reader` reads, or one special word such as "off" that means `meaning`."""

    def read(value: Any, source: Source) -> Any:
        if isinstance(value, str) and (value == special or _expanded(value, source) == special):
            return meaning
        return reader.read(value, source)

    return Reader(read, f'{reader.says}, or "{special}"')


def list_of(reader: Reader, *, single: bool = False) -> Reader:
    """A tuple of what `reader` reads; with `single`, one value may stand for a list of one."""

    def read(value: Any, source: Source) -> tuple[Any, ...]:
        if single and isinstance(value, str):
            return (reader.read(value, source),)
        if not isinstance(value, list):
            raise Refused(f"must be a list, not {kind(value)}")
        return tuple(_each(reader, ((str(index), item) for index, item in enumerate(value)), source).values())

    return Reader(read, f"list of {reader.says}" + (", or one of them" if single else ""))


def mapping_of(reader: Reader, name: Callable[[str], None]) -> Reader:
    """A table with free names, each checked by `name`, of values that `reader` reads."""

    def read(value: Any, source: Source) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Refused(f"must be a table, not {kind(value)}")
        for key in value:
            if not isinstance(key, str):
                raise Refused(f"must have names that are text, not {kind(key)}")
        return _each(Reader(named, ""), ((key, (key, item)) for key, item in value.items()), source)

    def named(value: Any, source: Source) -> Any:
        key, item = value
        name(key)
        return reader.read(item, source)

    return Reader(read, f"table of {reader.says}")


def _each(reader: Reader, items: Iterable[tuple[str, Any]], source: Source) -> dict[str, Any]:
    """Read every item, and refuse them together."""
    found: dict[str, Any] = {}
    parts: list[tuple[tuple[str, ...], str]] = []
    for key, item in items:
        try:
            found[key] = reader.read(item, source)
        except Refused as refused:
            parts.extend(refused.below(key))
    if parts:
        raise Refused(parts=parts, partial=found)
    return found


def unknown(name: object, known: Iterable[str]) -> str:
    """The refusal of a key that does not exist."""
    return "unknown key" + nearest(str(name), known)
