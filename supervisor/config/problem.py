"""What is wrong with a configuration, in one line each: the file, the key, the reason, and the nearest known key.

Rules: a reader of one value raises `Refused`, which knows only what lies below that value; whoever called it puts its
own key in front. All problems of a configuration are gathered and told at once, as one `ConfigError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import frozen

#: What a key of the contract is refused with until a version has it.
LATER = "not in this version"

#: A key that TOML takes without quotes.
BARE = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 40


@frozen
class Problem:
    """One finding: `key` is a dotted path ("" for the whole file), `line` counts from 1 where it is cheaply known."""

    file: str
    key: str
    text: str
    line: int | None = None

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return one_line(": ".join(part for part in (where, self.key, self.text) if part))


class ConfigError(Exception):
    """A configuration that cannot be used; `problems` holds every reason, in the order of the files."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


class Refused(ValueError):
    """A value that cannot be used: `parts` are (path below it, reason), `partial` is what could be read of it."""

    def __init__(
        self,
        text: str = "",
        parts: Iterable[tuple[tuple[str, ...], str]] = (),
        partial: Mapping[str, Any] | None = None,
    ) -> None:
        self.parts = tuple(parts) or (((), text),)
        self.partial = partial
        super().__init__("; ".join(reason for _, reason in self.parts))

    def below(self, *names: str) -> tuple[tuple[tuple[str, ...], str], ...]:
        """The same reasons as seen from further up, where the value is called `names`."""
        return tuple(((*names, *path), reason) for path, reason in self.parts)


def dotted(path: Iterable[str]) -> str:
    """A key path as TOML writes it: `service.web.command`, with quotes where a part needs them."""
    return ".".join(part if BARE.fullmatch(part) else quoted(part) for part in path)


def quoted(text: str) -> str:
    """`text` in double quotes, shortened, on one line."""
    short = text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
    return '"' + one_line(short.replace('"', '\\"')) + '"'


def one_line(text: str) -> str:
    """`text` with everything that is not printable written as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def nearest(word: str, known: Iterable[str]) -> str:
    """` (did you mean X?)` for the closest of the `known` words, or nothing where none is close."""
    from difflib import get_close_matches  # noqa: PLC0415 - 3 ms that only a refusal needs to spend

    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" (did you mean {close[0]}?)" if close else ""
