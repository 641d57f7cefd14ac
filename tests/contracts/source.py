"""Our own source, parsed once for the contract tests."""

from __future__ import annotations

import ast
import functools
import os
from pathlib import Path

from attrs import frozen

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("supervisor", "metrics", "alerts", "dashboards")
FOLDERS = (*PACKAGES, "tests", "bench", "examples")


@frozen
class Source:
    """One Python file: its path in the checkout, its dotted name, text and tree."""

    path: str
    name: str
    text: str
    tree: ast.Module


def parsed(file: Path) -> Source:
    """Read one file; the dotted name of a package is that of its folder."""
    path = file.relative_to(ROOT)
    parts = path.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    text = file.read_text(encoding="utf-8")
    return Source(str(path), name, text, ast.parse(text, str(path)))


@functools.cache
def sources(folders: tuple[str, ...] = FOLDERS) -> tuple[Source, ...]:
    """Return all Python files below `folders` in path order; what starts with a dot is not ours."""
    files = []
    for folder in folders:
        for where, names, inside in os.walk(ROOT / folder):
            names[:] = [name for name in names if not name.startswith((".", "__pycache__"))]
            files += [Path(where, name) for name in inside if name.endswith(".py")]
    return tuple(map(parsed, sorted(files)))
