"""One file, or one value from outside, read section by section: what it holds and every problem in it.

Rules: what can be read is kept beside the problems, so that one pass finds them all; the services that a file names are
known even where their keys are wrong, so that one slip is not told again by everything that depends on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from supervisor.config.formats.document import Document
from supervisor.config.problem import Problem, Refused, dotted
from supervisor.config.readers import Source, kind, unknown
from supervisor.config.schema import INCLUDED, TOP
from supervisor.config.schema_service import GROUP, SERVICE
from supervisor.config.service_values import check_name
from supervisor.config.table import Table


class Part:
    """What one document holds. `missing`: the file could not be read, so that not even its services are known."""

    def __init__(self, label: str, problems: Iterable[Problem] = (), *, included: bool, missing: bool = False) -> None:
        self.label = label
        self.included = included
        self.missing = missing
        self.sections: dict[str, Any] = {}
        self.services: dict[str, dict[str, Any]] = {}
        self.groups: dict[str, dict[str, Any]] = {}
        #: Services of which not even the table could be read.
        self.unread: set[str] = set()
        self._problems: dict[Problem, None] = dict.fromkeys(problems)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Everything that is wrong, in the order it was found."""
        return tuple(self._problems)

    @property
    def broken(self) -> bool:
        """Whether this is an include whose services are left out."""
        return self.included and bool(self._problems)

    def problem(self, path: Iterable[str], reason: str) -> None:
        """Tell what is wrong at a key, once."""
        self._problems.setdefault(Problem(self.label, dotted(path), reason))

    def refuse(self, refused: Refused, *path: str) -> None:
        """Tell everything that a reader or constructor refused below a key."""
        for below, reason in refused.parts:
            self.problem((*path, *below), reason)

    def section(self, name: str) -> Mapping[str, Any]:
        """What was read of `[name]`, empty where it is not there."""
        found: Mapping[str, Any] = self.sections.get(name, {})
        return found


def read_part(document: Document, *, included: bool) -> Part:
    """Read a document with the schema."""
    part = Part(document.label, document.problems, included=included)
    read_tree(part, document.tree, document.source)
    return part


def read_tree(part: Part, tree: Mapping[Any, Any], source: Source) -> None:
    """Read the sections of a tree into a part."""
    for name, value in tree.items():
        if name == "service":
            _read_named(part, "service", value, SERVICE, part.services, source)
        elif name == "group":
            _read_named(part, "group", value, GROUP, part.groups, source)
        elif name not in TOP.keys:
            part.problem([str(name)], unknown(name, TOP.keys) + _hint(name, value))
        elif part.included and name not in INCLUDED:
            part.problem([name], "belongs in the main configuration")
        else:
            _read_section(part, name, value, source)


def _hint(name: object, value: object) -> str:
    """A service that was written as a table of the file."""
    return f"; a service is [service.{name}]" if isinstance(value, dict) and "command" in value else ""


def _read_section(part: Part, name: str, value: Any, source: Source) -> None:
    try:
        part.sections[name] = TOP.keys[name].reader.read(value, source)
    except Refused as refused:
        part.refuse(refused, name)
        if refused.partial is not None:
            part.sections[name] = refused.partial


def _read_named(
    part: Part, section: str, value: Any, table: Table, into: dict[str, dict[str, Any]], source: Source
) -> None:
    """Read every table of a section of tables; one that is wrong is kept as far as it could be read."""
    if not isinstance(value, dict):
        part.problem([section], f"must be a table of tables, as in [{section}.NAME], not {kind(value)}")
        return
    for name, item in value.items():
        try:
            check_name(str(name))
            into[str(name)] = table.read(item, source)
        except Refused as refused:
            part.refuse(refused, section, str(name))
            into[str(name)] = {**(refused.partial or {})}
            if refused.partial is None:
                part.unread.add(str(name))
