"""JSON: an object in the shape of the schema, or an array of `{"name": …, "command": …}` with commands for a shell.

Rules: a key that is given twice in one object is refused; nothing is expanded in the array format, which is run as it
is.
"""

from __future__ import annotations

import json
from typing import Any

from supervisor.config.formats.document import Document, Place
from supervisor.config.problem import ConfigError, Problem, Refused, quoted
from supervisor.config.readers import Source, kind, unknown

_KEYS = ("name", "command")


def load(text: str, place: Place) -> Document:
    """A document of JSON, or of the array format."""
    try:
        found = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        problem = Problem(place.label, "", f"cannot parse: {error.msg[:1].lower()}{error.msg[1:]}", error.lineno)
        raise ConfigError([problem]) from None
    except (ValueError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError([Problem(place.label, "", f"cannot parse: {reason}")]) from None
    if isinstance(found, list):
        return _array(found, place)
    if not isinstance(found, dict):
        raise ConfigError([Problem(place.label, "", f"must be an object or an array of services, not {kind(found)}")])
    return Document(place.label, Source(place.base, place.host.environ), found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Refused(f"key {quoted(twice)} is given twice in one object")
    return found


def _no_constant(name: str) -> None:
    raise Refused(f"{name} is not a number")


def _array(items: list[Any], place: Place) -> Document:
    """The array format: each item is one service whose command goes to a shell."""
    services: dict[str, Any] = {}
    problems = []
    for index, item in enumerate(items):
        try:
            name, command = _item(item, services)
            services[name] = {"command": command, "shell": True}
        except Refused as refused:
            problems += [Problem(place.label, ".".join((f"[{index}]", *path)), text) for path, text in refused.parts]
    return Document(place.label, Source(place.base, None), {"service": services}, tuple(problems))


def _item(item: object, known: dict[str, Any]) -> tuple[str, str]:
    if not isinstance(item, dict):
        raise Refused(f"must be an object with name and command, not {kind(item)}")
    parts = [((str(key),), unknown(key, _KEYS)) for key in item if key not in _KEYS]
    for key in _KEYS:
        if key not in item:
            parts.append(((key,), "is missing"))
        elif not isinstance(item[key], str) or not item[key].strip():
            parts.append(((key,), f"must be text that is not empty, not {kind(item[key])}"))
    if not parts and item["name"] in known:
        parts.append((("name",), f"service {quoted(item['name'])} is declared twice"))
    if parts:
        raise Refused(parts=parts)
    return item["name"], item["command"]
