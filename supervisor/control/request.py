"""What was asked, and by whom: one frozen value for each request, complete before any handler sees it.

Rules: a value is decoded once, here, or the request is refused with 400 (`ValueError` below). Header names are
case-insensitive; repeated headers are joined by a comma (RFC 9110, 5.3). The path is split before it is decoded, so
`%2F` never makes a segment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from attrs import Factory, field, frozen

Kind = Literal["tcp", "unix"]


class UnixPeer(NamedTuple):
    """Who connected to the Unix socket, as the kernel saw it at connect(2) (unix(7), SO_PEERCRED)."""

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"uid {self.uid} pid {self.pid}"


class TcpPeer(NamedTuple):
    """The far end of a TCP connection."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Peer = UnixPeer | TcpPeer


class Headers(Mapping[str, str]):
    """Headers by name, whatever its case. Values are latin-1, as RFC 9110 has it."""

    __slots__ = ("_values",)

    def __init__(self, pairs: list[tuple[bytes, bytes]]) -> None:
        values: dict[str, str] = {}
        for raw, value in pairs:
            name = raw.decode("latin-1").lower()
            text = value.decode("latin-1")
            values[name] = f"{values[name]}, {text}" if name in values else text
        self._values = values

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Headers({self._values!r})"


class Target(NamedTuple):
    """A request target taken apart: `segments` is the decoded path between its slashes, `raw` what the client sent."""

    raw: str
    segments: tuple[str, ...]
    query: Mapping[str, list[str]]

    @property
    def path(self) -> str:
        """The decoded path, for messages: routing goes by `segments`."""
        return "/" + "/".join(self.segments)


@frozen
class Request:
    """One request. `received_at` is monotonic seconds, taken when its headers were complete."""

    method: str
    target: Target
    headers: Headers
    peer: Peer
    kind: Kind
    loopback: bool  # a TCP listener bound to a loopback address; decides whether Host is checked
    received_at: float
    route: str = ""  # pattern of the route, empty where none matched
    params: Mapping[str, str] = field(default=Factory(dict))
    body: bytes = b""

    @property
    def path(self) -> str:
        """The decoded path."""
        return self.target.path

    @property
    def query(self) -> Mapping[str, list[str]]:
        """Decoded query parameters, each with all its values in order."""
        return self.target.query

    def first(self, name: str, default: str = "") -> str:
        """First value of a query parameter."""
        return self.target.query.get(name, [default])[0]


def percent_decoded(text: str) -> str:
    """Undo %XX (RFC 3986, 2.1). ValueError for a broken escape or what is not UTF-8.

    Ours because urllib.parse would be imported for this alone (5 ms), and because it lets broken escapes through.
    """
    if "%" not in text:
        return text
    head, *rest = text.encode("latin-1").split(b"%")
    decoded = bytearray(head)
    for part in rest:
        if len(part) < 2 or not part[:2].isalnum():
            raise ValueError(f"broken escape in {text!r}")
        decoded += bytes.fromhex(part[:2].decode("ascii")) + part[2:]
    return decoded.decode("utf-8")


def parse_query(text: str) -> dict[str, list[str]]:
    """`a=1&a=2&b` as {"a": ["1", "2"], "b": [""]}; a plus is a space. ValueError as `percent_decoded`."""
    found: dict[str, list[str]] = {}
    for pair in text.split("&") if text else ():
        name, _, value = pair.replace("+", " ").partition("=")
        found.setdefault(percent_decoded(name), []).append(percent_decoded(value))
    return found


def parse_target(raw: str) -> Target:
    """Take a request target apart: origin form, or absolute form (RFC 9112, 3.2.2). ValueError for anything else."""
    text = raw
    if text[:7].lower() == "http://" or text[:8].lower() == "https://":
        text = "/" + text.split("://", 1)[1].partition("/")[2]
    if not text.startswith("/"):
        raise ValueError(f"target {raw!r} is not a path")
    path, _, query = text.partition("#")[0].partition("?")
    segments = tuple([percent_decoded(part) for part in path[1:].split("/")])
    return Target(raw, segments, parse_query(query))
