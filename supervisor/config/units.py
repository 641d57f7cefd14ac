"""From what a file says of a service to its UnitSpec: defaults below, constructors on top, equal parts shared.

Rules: tables of `[defaults]` merge key by key, everything else is replaced; equal values become one object, so that a
thousand services cost little more than their differences.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, Final

from supervisor.config.expand import expand, read_by_shell
from supervisor.config.problem import Refused, quoted
from supervisor.config.readers import plain
from supervisor.config.service_values import Command
from supervisor.core.model import Backoff, GiveUp, Kind, LogPolicy, Restart, StopPolicy, UnitSpec

_MERGED = ("environment", "backoff", "give_up", "stop", "logs", "limits", "metrics")
_FIELDS = {"type": "kind", "env_file": "env_files"}
#: Keys that became part of others, or were refused.
_NOT_FIELDS = frozenset({"command", "shell", "max_retries", "metrics"})
_FOR_EVER = frozenset({Restart.ALWAYS, Restart.ON_SUCCESS})
_MAKERS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "backoff": lambda found: Backoff(**found),
    "give_up": lambda found: GiveUp(**found),
    "stop": lambda found: StopPolicy(**found),
    "logs": lambda found: LogPolicy(**found),
    "limits": lambda found: tuple(found.values()),
}
_EMPTY: Final[Mapping[str, Any]] = {}


def merged(defaults: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A service's keys above those of its defaults."""
    found = {**defaults, **given}
    for name in _MERGED:
        if name in defaults and name in given:
            found[name] = {**defaults[name], **given[name]}
    if "restart" not in given and found.get("type") is Kind.ONESHOT and found.get("restart") in _FOR_EVER:
        # A default that was meant for services: a oneshot keeps its own.
        del found["restart"]
    return found


class Builder:
    """Builds specifications and lets them share what is equal."""

    def __init__(self) -> None:
        self._shared: dict[Any, Any] = {}

    def build(self, name: str, found: Mapping[str, Any], groups: tuple[str, ...], source: str) -> UnitSpec:
        """One specification; Refused with every reason that the parts of a service alone could not give."""
        fields = {
            _FIELDS.get(key, key): self._value(key, value) for key, value in found.items() if key not in _NOT_FIELDS
        }
        fields |= {f"metrics_{key}": self._value(key, value) for key, value in found.get("metrics", _EMPTY).items()}
        fields["command"] = self._command(found)
        if fields.get("kind") is Kind.ONESHOT:
            fields.setdefault("restart", Restart.ON_FAILURE)
            if fields["restart"] in _FOR_EVER:
                asked = quoted(fields["restart"].value)
                reason = f"{asked} would run a oneshot for ever: it takes on-failure, on-abnormal or never"
                raise Refused(parts=[(("restart",), reason)])
        fields.setdefault("environment", _EMPTY)
        fields.setdefault("depends_on", _EMPTY)
        try:
            return UnitSpec(name=name, groups=self._share(groups), source=source, **fields)
        except ValueError as error:
            raise Refused(str(error)) from None

    def _command(self, found: Mapping[str, Any]) -> tuple[str, ...]:
        if "command" not in found:
            raise Refused(parts=[(("command",), "is missing")])
        try:
            argv = arguments(found["command"], shell=found.get("shell", False))
        except Refused as refused:
            raise Refused(parts=refused.below("command")) from None
        return tuple([self._share(word) for word in argv])

    def _value(self, key: str, value: Any) -> Any:
        """A value as the specification holds it, shared with those that are equal."""
        maker = _MAKERS.get(key)
        if maker is not None:
            return self._share(maker(value))
        if isinstance(value, dict):
            return self._shared.setdefault((key, *value.items()), value) if value else _EMPTY
        return self._share(value) if isinstance(value, str | tuple) else value

    def _share(self, value: Any) -> Any:
        return self._shared.setdefault(value, value)


def arguments(command: Command, *, shell: bool) -> tuple[str, ...]:
    """The argument vector: split and expanded, or left as it is for a shell."""
    words, source = command
    if shell:
        if not isinstance(words, str):
            raise Refused("must be one text where shell = true, not a list")
        return ("/bin/sh", "-c", words)
    argv = tuple(_split(words)) if isinstance(words, str) else words
    if source.environ is not None and any("${" in word for word in argv) and not read_by_shell(argv):
        argv = tuple(plain(expand(word, source.environ), source._replace(environ=None)) for word in argv)
    if not argv or not argv[0]:
        raise Refused("must not be empty")
    return argv


def _split(text: str) -> list[str]:
    """Split like a shell; the lexer costs 30 microseconds a line, which plain words need not pay."""
    if text.isascii() and text.isprintable() and not any(mark in text for mark in "\"'\\"):
        return text.split()
    try:
        return shlex.split(text)
    except ValueError as error:
        raise Refused(f"cannot split: {str(error).lower()}") from None
