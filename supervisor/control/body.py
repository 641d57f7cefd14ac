"""What a request asks for, taken out of its body and query and checked; what makes no sense is refused with 400.

Rules: a key nobody knows is refused like a wrong value, for a misspelt `"wait"` would otherwise wait for ever. Whoever
raises RefusedError has its answer in it; `api` hands that out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supervisor.config.problem import Refused, nearest, quoted
from supervisor.config.quantity import parse_signal
from supervisor.control.request import Request
from supervisor.control.response import problem

#: Seconds that the result of a command is waited for when the caller does not say, and at most.
PATIENCE, LONGEST_PATIENCE = 60.0, 3600.0
_LONGEST_NUMBER = 7
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}


class RefusedError(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.response = problem(status, detail)


def fields(request: Request, known: Mapping[str, type]) -> dict[str, Any]:
    """The body as a JSON object that has no other keys than the `known`, each of its type; an empty body has none."""
    if not request.body:
        return {}
    import json  # noqa: PLC0415 - a daemon that only serves /metrics never needs it

    try:
        value = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, f"cannot read the body as JSON: {error}") from error
    if not isinstance(value, dict):
        raise RefusedError(400, "cannot use the body: it must be a JSON object")
    for key, given in value.items():
        _check(key, given, known)
    return value


def _check(key: str, given: object, known: Mapping[str, type]) -> None:
    if key not in known:
        raise RefusedError(400, f"cannot use the body: no key {quoted(key)}{nearest(key, known)}")
    kind = known[key]
    if kind is bool and not isinstance(given, bool):
        raise RefusedError(400, f"cannot use the body: {key} must be true or false")
    if kind is float and (isinstance(given, bool) or not isinstance(given, int | float)):
        raise RefusedError(400, f"cannot use the body: {key} must be a number")


def patience(body: Mapping[str, Any]) -> float:
    """The seconds that a result is waited for."""
    value = float(body.get("timeout", PATIENCE))
    if not 0 <= value <= LONGEST_PATIENCE:
        raise RefusedError(400, f"cannot wait {value:g} s: timeout is a number from 0 to {LONGEST_PATIENCE:.0f}")
    return value


def whole(request: Request, name: str, default: int) -> int:
    """A whole number from the query."""
    text = request.first(name, str(default))
    if not (text.isascii() and text.isdecimal()) or len(text) > _LONGEST_NUMBER:
        raise RefusedError(400, f"cannot use {name}={text}: a whole number is needed")
    return int(text)


def flag(request: Request, name: str) -> bool:
    """A flag from the query: 1 or 0, true or false."""
    text = request.first(name).lower()
    if text not in _FLAGS:
        raise RefusedError(400, f"cannot use {name}={text}: 1 or 0 is needed")
    return _FLAGS[text]


def one_of(request: Request, name: str, words: tuple[str, ...]) -> str:
    """A word from the query, the first of `words` if it has none."""
    text = request.first(name, words[0])
    if text not in words:
        raise RefusedError(400, f"cannot use {name}={text}: it is one of {', '.join(words)}")
    return text


def signal_number(value: object) -> int:
    """A signal by its number, or by its name with or without SIG, in any case."""
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        try:
            return parse_signal(str(value))
        except Refused as refused:
            raise RefusedError(400, f"cannot send it: signal {refused}") from None
    raise RefusedError(400, "cannot send it: the body must have a signal, by name or number")
