"""The tables of docs/configuration.md, from the schema; `python -m supervisor.config.reference PAGE` writes them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any

from supervisor.config.page import Page
from supervisor.config.problem import LATER
from supervisor.config.schema import TOP
from supervisor.config.table import UNSET, Key, Table

#: How the sections that are tables of tables, or that repeat another one, are called.
_TITLES = {"service": "service.NAME", "group": "group.NAME"}


def tables() -> str:
    """A section for each table of the file, a row for each key."""
    top = [key for key in TOP.keys.values() if key.table is None]
    parts = ["### At the top\n", _rows(top)]
    for key in TOP.keys.values():
        if key.name == "defaults":
            parts.append(f"### [defaults]\n\n{_sentence(key.says)}\n")
        elif key.table is not None:
            parts += _section(_TITLES.get(key.name, key.name), key, key.table)
    return "\n".join(parts)


def _section(title: str, key: Key, table: Table) -> list[str]:
    return [f"### [{title}]\n\n{_sentence(key.says)}\n", _rows(_flat(table))]


def _flat(table: Table, prefix: str = "") -> Iterator[Key]:
    """The keys of a table, those of its own tables among them as `stop.signal`."""
    for key in table.keys.values():
        yield key._replace(name=prefix + key.name)
        if key.table is not None:
            yield from _flat(key.table, f"{prefix}{key.name}.")


def _rows(keys: Iterator[Key] | list[Key]) -> str:
    lines = ["| key | value | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *map(_row, keys), ""])


def _row(key: Key) -> str:
    meaning = f"*{LATER}*: {key.says}" if key.later else key.says
    cells = (f"`{key.name}`", key.reader.says, _default(key.default), meaning)
    return f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _default(value: Any) -> str:
    """A default as TOML; JSON writes what is among them in the same way."""
    return "" if value is UNSET else f"`{json.dumps(value)}`"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


PAGE = Page("supervisor.config.reference", "docs/configuration.md", tables)

if __name__ == "__main__":
    PAGE.refresh(sys.argv[1])
