"""Which handler answers a method and a path.

Rules: a pattern is a path whose segments are words or `{name}`, which matches one non-empty segment. A path spelled
out wins over one with parameters. HEAD is answered by the handler of GET. The route's name labels its metric, so that
no client can mint series.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from supervisor.control.request import Request, Target
    from supervisor.control.response import Response

Handler = Callable[["Request"], "Response"]


class Route(NamedTuple):
    """A handler, and how it is to be called."""

    method: str
    pattern: str
    handler: Handler
    blocking: bool  # True: on a worker thread; False: on the I/O thread, so it must be quick
    body_limit: int | None  # bytes; None is the server's default
    name: str


class Match(NamedTuple):
    """What a request met. `route` is None when nothing answers: then `allow` names the methods that would, if any."""

    route: Route | None
    params: Mapping[str, str] = MappingProxyType({})
    allow: tuple[str, ...] = ()


Methods = dict[str, Route]


class Router:
    """The table of routes; filled at boot, only read afterwards."""

    def __init__(self) -> None:
        self._plain: dict[tuple[str, ...], Methods] = {}
        self._shaped: dict[tuple[str, ...], Methods] = {}

    def add(
        self,
        method: str,
        pattern: str,
        handler: Handler,
        *,
        blocking: bool = False,
        body_limit: int | None = None,
        name: str = "",
    ) -> None:
        """Let `handler` answer `method` on `pattern`. ValueError for a pattern that is no path, or taken."""
        if not pattern.startswith("/"):
            raise ValueError(f"pattern {pattern!r} does not begin with a slash")
        segments = tuple(pattern[1:].split("/"))
        table = self._shaped if any(_is_parameter(part) for part in segments) else self._plain
        methods = table.setdefault(segments, {})
        if method in methods:
            raise ValueError(f"{method} {pattern} is taken")
        methods[method] = Route(method, pattern, handler, blocking, body_limit, name or pattern)

    def find(self, method: str, target: Target) -> Match:
        """Look up who answers. Total: a path nobody knows gives a Match without route and without `allow`."""
        params: dict[str, str] = {}
        methods = self._plain.get(target.segments)
        if methods is None:
            methods, params = self._find_shaped(target.segments)
        route = methods.get(method) or (methods.get("GET") if method == "HEAD" else None)
        return Match(route, params) if route else Match(None, {}, _allowed(methods))

    def _find_shaped(self, segments: tuple[str, ...]) -> tuple[Methods, dict[str, str]]:
        for shape, methods in self._shaped.items():
            if len(shape) == len(segments):
                params = _parameters(shape, segments)
                if params is not None:
                    return methods, params
        return {}, {}


def _is_parameter(part: str) -> bool:
    return part.startswith("{") and part.endswith("}")


def _parameters(shape: tuple[str, ...], segments: tuple[str, ...]) -> dict[str, str] | None:
    params = {}
    for part, segment in zip(shape, segments, strict=True):
        if _is_parameter(part) and segment:
            params[part[1:-1]] = segment
        elif part != segment:
            return None
    return params


def _allowed(methods: Methods) -> tuple[str, ...]:
    return tuple(sorted({*methods, "HEAD"} if "GET" in methods else methods))
