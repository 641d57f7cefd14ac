"""Whether a web page may be behind a request: the Host and Origin rules, as one pure function.

The threat is a page on the operator's own screen. It can point a name it owns at 127.0.0.1 (DNS rebinding;
process-compose had GHSA-5gm3-9crp-6g3v for it) and then read answers as its own; or it can post blindly to us from
anywhere.

Rules: against rebinding, what looks like a browser must use a Host that no stranger can own: localhost, a loopback
address, or a name the operator allowed. Looking like one takes a single mark, for a script may change some of a
browser's headers (Firefox lets it change User-Agent) but can take none of these all away; a false alarm only costs a
client that uses an odd Host as well. Against blind posts, a write that names an origin must name ours: scripts cannot
forge Origin or Sec-Fetch-Site (Fetch standard, 2.2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from supervisor.control.request import Request

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MARKS = ("origin", "referer", "cookie", "accept-language", "upgrade-insecure-requests", "dnt")
_PORTS = {"http": "80", "https": "443"}


def refusal(request: Request, allowed_hosts: Collection[str] = ()) -> str | None:
    """Why this request must be refused with 403, or None. `allowed_hosts` are names without port."""
    if request.kind == "tcp" and request.loopback and not _exempt(request.target.segments) and is_browser(request):
        host, _ = split_host(request.headers.get("host", ""))
        if not _is_ours(host, allowed_hosts):
            return f"cannot answer for host {host!r}: it is neither loopback nor in http.allowed_hosts"
    if request.method not in SAFE_METHODS:
        return _foreign(request)
    return None


def is_browser(request: Request) -> bool:
    """Whether a header is there that browsers send and tools mostly do not."""
    headers = request.headers
    if any(mark in headers for mark in _MARKS) or any(name.startswith("sec-") for name in headers):
        return True
    # curl and Prometheus accept nothing or gzip alone; browsers name deflate too, and scripts cannot change that header
    return "mozilla" in headers.get("user-agent", "").lower() or "deflate" in headers.get("accept-encoding", "").lower()


def split_host(value: str) -> tuple[str, str]:
    """`Host` as (lower-case name or address without brackets, port or empty)."""
    text = value.strip().lower()
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        return host if bracket else "", rest.removeprefix(":")
    host, _, port = text.partition(":")
    return host.removesuffix("."), port


def _exempt(segments: tuple[str, ...]) -> bool:
    return segments[:1] in {("metrics",), ("-",)}


def _is_ours(host: str, allowed_hosts: Collection[str]) -> bool:
    return host in {"localhost", "::1"} or _is_loopback_v4(host) or host in {name.lower() for name in allowed_hosts}


def _is_loopback_v4(host: str) -> bool:
    """Only the dotted form: `127.0.0.1.evil.example` is a name, and `127.1` no browser sends."""
    parts = host.split(".")
    return len(parts) == 4 and parts[0] == "127" and all(part.isdecimal() and part.isascii() for part in parts)


def _foreign(request: Request) -> str | None:
    origin = request.headers.get("origin")
    if origin is not None and not _same_origin(origin, request.headers.get("host", "")):
        return f"cannot accept a write from origin {origin!r}"
    if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
        return "cannot accept a write from another site"
    return None


def _same_origin(origin: str, host: str) -> bool:
    scheme, separator, authority = origin.partition("://")
    if not separator or scheme not in _PORTS:
        return False
    name, port = split_host(authority)
    our_name, our_port = split_host(host)
    return (name, port or _PORTS[scheme]) == (our_name, our_port or _PORTS[scheme])
