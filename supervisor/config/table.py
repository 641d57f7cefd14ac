"""Tables of keys: what may stand in one table of a configuration, as data that the reader and the reference both use.

Rules: a table reads only what is given, into a dictionary by key; defaults are the model's own, so that they are
written once. A key that is not in this version is read all the same: its documented default is accepted in silence,
anything else is refused in those words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from supervisor.config.problem import LATER, Refused
from supervisor.config.readers import Reader, Source, kind, unknown

#: A key that has no value unless one is given.
UNSET: Final = "\0unset"
_NOWHERE = Source("/", None)


class Key(NamedTuple):
    """One key: its reader, its default as a file would spell it, what it means; `later` is not in this version."""

    name: str
    reader: Reader
    default: Any
    says: str
    later: bool = False
    table: Table | None = None

    def is_default(self, value: Any) -> bool:
        """Whether a value that was read is the documented default."""
        return self.default is not UNSET and bool(value == self.reader.read(self.default, _NOWHERE))


class Table:
    """The keys of one table; `finish` may complete or refuse what was read; `idle` means that no key has an effect."""

    __slots__ = ("finish", "idle", "keys")

    def __init__(self, *keys: Key, finish: Callable[[dict[str, Any]], dict[str, Any]] | None = None) -> None:
        self.keys = {key.name: key for key in keys}
        self.finish = finish
        self.idle = all(key.later for key in keys)

    def read(self, value: Any, source: Source) -> dict[str, Any]:
        """What is given in a table, read; every refusal in it at once."""
        if not isinstance(value, dict):
            raise Refused(f"must be a table, not {kind(value)}")
        found: dict[str, Any] = {}
        parts: list[tuple[tuple[str, ...], str]] = []
        for name, item in value.items():
            try:
                self._item(name, item, source, found)
            except Refused as refused:
                parts.extend(refused.below(str(name)))
        if parts:
            raise Refused(parts=parts, partial=found)
        return self.finish(found) if self.finish else found

    def _item(self, name: object, item: Any, source: Source, found: dict[str, Any]) -> None:
        key = self.keys.get(name) if isinstance(name, str) else None
        if key is None:
            raise Refused(unknown(name, self.keys))
        read = key.reader.read(item, source)
        if not key.later:
            if key.table is None or not key.table.idle:
                found[key.name] = read
        elif not key.is_default(read):
            raise Refused(LATER)


def nested(name: str, table: Table, says: str, *, reader: Reader | None = None) -> Key:
    """A key that holds a table of its own; `reader` where something else may stand there too."""
    return Key(name, reader or Reader(table.read, "table"), UNSET, says, table=table)


def later(name: str, reader: Reader, default: Any, says: str) -> Key:
    """A key of the contract that is not in this version."""
    return Key(name, reader, default, says, later=True)
