"""The files that a configuration includes, each a part of its own, broken or not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from supervisor.config.formats.document import Document, Host, absolute, loader_of, open_document
from supervisor.config.parts import Part, read_part
from supervisor.config.problem import ConfigError, Problem, quoted


def read_includes(main: Document, patterns: Iterable[str], host: Host) -> tuple[list[Part], list[Problem]]:
    """The parts that the patterns name, in their order and then by file name, and what is worth a warning."""
    parts: list[Part] = []
    notes: list[Problem] = []
    host = host._replace(environ={**host.environ, **main.include_environ})
    for label in _labels(main, patterns, notes):
        try:
            document = open_document(label, host, main.include_loader or loader_of(label))
        except ConfigError as error:
            parts.append(Part(label, error.problems, included=True, missing=True))
            continue
        notes += document.notes
        parts.append(read_part(document, included=True))
    return parts, notes


def _labels(main: Document, patterns: Iterable[str], notes: list[Problem]) -> Iterator[str]:
    """Each file once, as the operator would call it, who called the main file as they did."""
    from glob import glob, has_magic  # noqa: PLC0415 - only where something is included

    seen = {absolute(main.label)}
    for pattern in patterns:
        matches = sorted(glob(pattern)) if has_magic(pattern) else [pattern]
        if not matches:
            notes.append(Problem(main.label, "include", f"no file matches {quoted(pattern)}"))
        for match in matches:
            if match not in seen and not os.path.isdir(match):
                seen.add(match)
                yield _label(match, main.label)


def _label(path: str, main: str) -> str:
    base = os.path.dirname(absolute(main)).rstrip("/") + "/"
    if not path.startswith(base):
        return path
    return os.path.join(os.path.dirname(main), path.removeprefix(base))
