"""A configuration file that was read: a tree in the shape of the schema, and what its loader has to say about it.

Rules: a loader is chosen by the name of the file and imported only then; it raises ConfigError where the file cannot be
understood at all, and otherwise hands over whatever it could read together with its problems.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from supervisor.config.files import read_text
from supervisor.config.problem import ConfigError, Problem, Refused
from supervisor.config.readers import Source

_SUFFIXES = {
    ".toml": "toml_file",
    ".yaml": "yaml_file",
    ".yml": "yaml_file",
    ".json": "json_file",
    ".ini": "ini_file",
    ".conf": "ini_file",
}


class Host(NamedTuple):
    """What a loader may know beside the file: the environment, and whom the daemon runs as."""

    environ: Mapping[str, str]
    euid: int


class Place(NamedTuple):
    """Where a file is: as messages call it, the directory its relative paths start at, and the host."""

    label: str
    base: str
    host: Host


class Document(NamedTuple):
    """One file in the shape of the schema. `notes` are warnings; `source` says how its values are read.

    Its includes are read by `include_loader`, or by their names where that is None, with what `include_environ` adds.
    """

    label: str
    source: Source
    tree: Mapping[str, Any]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()
    include_loader: str | None = None
    include_environ: Mapping[str, str] = MappingProxyType({})


def open_document(label: str, host: Host, loader: str | None = None) -> Document:
    """Read the file that messages call `label`; ConfigError where it cannot be read or understood."""
    name = loader or loader_of(label)
    place = Place(label, os.path.dirname(absolute(label)), host)
    try:
        text = read_text(label, host.euid)
    except Refused as refused:
        raise ConfigError([Problem(label, "", str(refused))]) from None
    document: Document = import_module(f"supervisor.config.formats.{name}").load(text, place)
    return document


def loader_of(label: str) -> str:
    """The loader for a file of this name; ConfigError where no format goes by it."""
    name = os.path.basename(label)
    if name == "Procfile" or name.startswith("Procfile."):
        return "procfile"
    loader = _SUFFIXES.get(os.path.splitext(name)[1].lower())
    if loader is None:
        known = ", ".join([*_SUFFIXES, "Procfile"])
        raise ConfigError([Problem(label, "", f"cannot tell the format from the name: known are {known}")])
    return loader


def absolute(path: str) -> str:
    """The absolute path of `path`; a working directory that was deleted counts as the root."""
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        return os.path.normpath(os.path.join("/", path))
