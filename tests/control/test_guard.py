"""The door: what is open over TCP, what needs the token, and that a refusal comes before the body is read."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

from supervisor.config import HttpSettings
from supervisor.control import api
from supervisor.control.guard import OPEN, Guard
from supervisor.control.request import Headers, Request, TcpPeer, parse_target
from tests.control.fakes import daemon, serving, spec
from tests.control.serving import Caller

TOKEN = "correct horse"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    """A file that root would believe."""
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    path.chmod(0o600)
    return path


def request(method: str, path: str, kind: Any = "tcp", route: str = "", **headers: str) -> Request:
    """A request that has found its route."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    peer, target = TcpPeer("127.0.0.1", 5), parse_target(path)
    return Request(method, target, Headers(pairs), peer, kind, loopback=True, received_at=0.0, route=route or path)


def status(guard: Guard, *what: Any, **headers: str) -> int | None:
    """The status of the refusal, None where there is none."""
    refused = guard(request(*what, **headers))
    return None if refused is None else refused.status


@pytest.mark.parametrize("route", sorted(OPEN))
def test_what_is_open(route: str) -> None:
    """Metrics, health, the page and the states of services can be read by whoever reaches the port."""
    guard = Guard(HttpSettings())
    assert status(guard, "GET", "/x", "tcp", route, host="localhost") is None
    assert status(guard, "HEAD", "/x", "tcp", route, host="localhost") is None
    assert 403 == status(guard, "POST", "/x", "tcp", route, host="localhost")


def test_all_else_is_closed() -> None:
    """Every route that the table has and `OPEN` has not is closed over TCP, open on the Unix socket."""
    guard = Guard(HttpSettings())
    router = api.routes(daemon(spec("web")))
    routes = [
        route for table in (router._plain, router._shaped) for methods in table.values() for route in methods.values()
    ]
    closed = [route for route in routes if (route.method, route.pattern) not in {("GET", one) for one in OPEN}]
    assert {"/api/v1/logs/{name}", "/api/v1/shutdown"} < {route.pattern for route in closed}
    for route in closed:
        assert 403 == status(guard, route.method, "/x", "tcp", route.name, host="localhost")
        assert status(guard, route.method, "/x", "unix", route.name, host="localhost") is None


def test_the_token(token_file: Path) -> None:
    """The right one opens, whatever the case of the scheme; none, a wrong one or another scheme does not."""
    guard = Guard(HttpSettings(token_file=str(token_file)))
    asked = ("POST", "/api/v1/shutdown")
    assert status(guard, *asked, authorization=f"Bearer {TOKEN}") is None
    assert status(guard, *asked, authorization=f"bearer  {TOKEN} ") is None
    for wrong in ("Bearer", "Bearer x", f"Basic {TOKEN}", TOKEN, "Bearer correct horsé"):
        assert 401 == status(guard, *asked, authorization=wrong)
    assert 401 == status(guard, *asked)
    refused = guard(request(*asked, authorization="Bearer x"))
    assert refused is not None
    assert 'Bearer realm="respawnd", error="invalid_token"' == dict(refused.headers)["www-authenticate"]


def test_a_new_token_holds_at_once(token_file: Path) -> None:
    """The file is read for each request: the old one is worth nothing any more."""
    guard = Guard(HttpSettings(token_file=str(token_file)))
    token_file.write_text("ünïcode")
    assert 401 == status(guard, "POST", "/x", authorization=f"Bearer {TOKEN}")
    assert status(guard, "POST", "/x", authorization="Bearer ünïcode") is None


def test_a_token_file_that_cannot_be_used(token_file: Path) -> None:
    """Missing, empty, or (for root) writable by others: nobody gets in, and it is said why."""
    guard = Guard(HttpSettings(token_file=str(token_file)))
    token_file.write_text("\n")
    assert 503 == status(guard, "POST", "/x", authorization="Bearer ")
    token_file.write_text(TOKEN)
    if os.geteuid() == 0:
        token_file.chmod(0o666)
        assert 503 == status(guard, "POST", "/x", authorization=f"Bearer {TOKEN}")
    token_file.unlink()
    assert 503 == status(guard, "POST", "/x", authorization=f"Bearer {TOKEN}")


def test_strangers_pages() -> None:
    """A browser led to us by a name of its own, and a write from another site, are refused on both roads."""
    guard = Guard(HttpSettings(allowed_hosts=("ops.example",)))
    rebound = {"user_agent": "Mozilla/5.0", "host": "evil.example:9747"}
    assert 403 == status(guard, "GET", "/api/v1/services", **rebound)
    assert status(guard, "GET", "/api/v1/services", **{**rebound, "host": "ops.example"}) is None
    assert status(guard, "GET", "/metrics", **rebound) is None
    assert 403 == status(guard, "POST", "/api/v1/apply", "unix", host="localhost", origin="http://evil.example")


def test_a_refusal_does_not_wait_for_the_body(tmp_path: Path) -> None:
    """Who may not write is told so before a byte of the body is there."""
    with serving(daemon(spec("web")), tmp_path) as site, _call(site.address) as caller:
        caller.send(b"POST /api/v1/shutdown HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n")
        code, headers, _ = caller.answer("POST")
        assert (403, "application/problem+json") == (code, headers["content-type"])


def _call(address: tuple[str, int]) -> Caller:
    return Caller(socket.create_connection(address, 10))
