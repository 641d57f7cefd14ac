"""Who gave a command, and in which trace: what the events of commands say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.control import client
from supervisor.control.caller import origin
from supervisor.control.request import Headers, Peer, Request, TcpPeer, UnixPeer, parse_target
from supervisor.core.events import Origin, RestartAsked, Shutdown, Start, Stop
from supervisor.core.traceparent import traceparent
from tests.control.fakes import daemon, serving, spec

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
WHO = f"uid {os.getuid()} over the control socket"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        TRACE.upper(),
        f"{TRACE}-x",
        f"{TRACE}\n",
        f"{TRACE}, {TRACE}",
    ],
)
def test_what_is_no_traceparent(value: str) -> None:
    """All zeroes, another version, capitals, something behind it, two of them: none of these is passed on."""
    assert "" == traceparent(value)


def test_a_traceparent() -> None:
    """Version 00 passes as it is, whatever its flags."""
    assert TRACE == traceparent(TRACE)
    assert f"{TRACE[:-2]}00" == traceparent(f"{TRACE[:-2]}00")


def test_commands_over_the_socket(tmp_path: Path) -> None:
    """Each event says which user asked, and its trace."""
    fake = daemon(spec("web"))
    keys = tuple(fake.fleet.units)
    with serving(fake, tmp_path) as site:
        for verb, headers in (("stop", {"traceparent": TRACE}), ("start", {}), ("restart", {"traceparent": "x"})):
            client.request(site.socket, "POST", f"/api/v1/services/web/{verb}", headers=headers)
        client.request(site.socket, "POST", "/api/v1/shutdown", headers={"Traceparent": TRACE})
    assert [
        Stop(keys, origin=Origin(WHO, TRACE)),
        Start(keys, origin=Origin(WHO)),
        RestartAsked(keys, origin=Origin(WHO)),
        Shutdown(origin=Origin(WHO, TRACE)),
    ] == fake.asked


@pytest.mark.parametrize(
    ("expected", "peer"),
    [
        ("uid 7 over the control socket", UnixPeer(1, 7, 8)),
        ("10.0.0.7 over HTTP", TcpPeer("10.0.0.7", 5)),
        ("10.0.0.7 over HTTP", TcpPeer("::ffff:10.0.0.7", 5)),
        ("2001:db8::1 over HTTP", TcpPeer("2001:db8::1", 5)),
    ],
)
def test_who(expected: str, peer: Peer) -> None:
    """In words; an IPv4 address is the same on every kind of socket."""
    request = Request("POST", parse_target("/"), Headers([]), peer, "tcp", loopback=False, received_at=0.0)
    assert Origin(expected) == origin(request)


def test_commands_over_tcp(tmp_path: Path) -> None:
    """The address of the caller, without its port: what says who it was, not which connection."""
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o600)
    fake = daemon(spec("web"))
    with serving(fake, tmp_path, token_file=str(token)) as site:
        headers = {"authorization": "Bearer secret"}
        client.request(site.address, "POST", "/api/v1/services/web/stop", headers=headers)
    assert [Stop(tuple(fake.fleet.units), origin=Origin("127.0.0.1 over HTTP"))] == fake.asked
