"""TOML, the format that the documentation uses."""

from __future__ import annotations

import re
import tomllib

from supervisor.config.formats.document import Document, Place
from supervisor.config.problem import ConfigError, Problem, dotted
from supervisor.config.readers import Source

_POSITION = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_TWICE = re.compile(r"Cannot declare \((.*?),?\) twice")


def load(text: str, place: Place) -> Document:
    """A document of TOML; a syntax error names its line, a table that is declared twice its name."""
    try:
        tree = tomllib.loads(text)
    except RecursionError:
        raise ConfigError([Problem(place.label, "", "cannot parse: nested too deeply")]) from None
    except ValueError as error:
        raise ConfigError([_problem(str(error), place.label)]) from None
    return Document(place.label, Source(place.base, place.host.environ), tree)


def _problem(message: str, label: str) -> Problem:
    position = _POSITION.search(message)
    line = int(position[1]) if position and position[1] else None
    reason = _POSITION.sub("", message)
    twice = _TWICE.match(reason)
    if twice:
        path = dotted(re.findall(r"'((?:[^'\\]|\\.)*)'", twice[1]))
        return Problem(label, path, "is declared twice", line)
    if reason == "Cannot overwrite a value":
        reason = "a key is given twice"
    return Problem(label, "", f"cannot parse: {reason[:1].lower()}{reason[1:]}", line)
