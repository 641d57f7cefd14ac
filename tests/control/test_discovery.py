"""Service discovery: what Prometheus is told of the services that have metrics of their own."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from supervisor.control import client
from supervisor.control.body import RefusedError
from supervisor.control.daemon import About
from supervisor.control.discovery import targets
from supervisor.control.request import Headers, Kind, Request, TcpPeer, UnixPeer, parse_target
from supervisor.core import events as ev
from supervisor.core.model import Kind as Lives
from supervisor.core.model import Restart, UnitSpec
from tests.control.fakes import FakeDaemon, daemon, key_of, serving, spec

ABOUT = About(7, "1", 0.0, 1, "/etc/respawnd.toml", "/run/respawnd.sock", "127.0.0.1:9747")
WEB = spec("web", metrics_port=9100)


def asked(host: str, query: str = "", kind: Kind = "tcp") -> Request:
    """Build a request."""
    peer = TcpPeer("127.0.0.1", 5) if kind == "tcp" else UnixPeer(1, 0, 0)
    return Request("GET", parse_target(f"/sd{query}"), Headers([(b"host", host.encode())]), peer, kind, False, 0.0)


def addresses(request: Request, *specs: UnitSpec, http: str | None = "127.0.0.1:9747") -> list[str]:
    """The targets, each of which has a group of its own."""
    groups = targets(request, evolve(ABOUT, http=http), {one.name: one for one in specs})
    assert all(len(group["targets"]) == 1 for group in groups)
    return [group["targets"][0] for group in groups]


@pytest.mark.parametrize(
    ("expected", "host"),
    [
        ("db1.example:9100", "db1.example:9747"),
        ("db1.example:9100", "DB1.Example"),
        ("10.0.0.7:9100", "10.0.0.7:9747"),
        ("localhost:9100", "localhost."),
        ("[::1]:9100", "[::1]:9747"),
        ("[2001:db8::7]:9100", "[2001:DB8::7]"),
        ("my_host:9100", "my_host:80"),
    ],
)
def test_the_host_is_the_callers(expected: str, host: str) -> None:
    """Under whatever name this host was reached, its services are as well."""
    assert [expected] == addresses(asked(host), WEB)


@pytest.mark.parametrize(
    "host", ["", ":9747", "a b", "evil/path", "a'b", "[::1", "[fe80::1%25eth0]", "-x", "é", "a" * 300]
)
def test_a_host_that_makes_no_address(host: str) -> None:
    """Refused: a target that cannot be right is worse than none."""
    with pytest.raises(RefusedError, match="cannot tell by which host"):
        addresses(asked(host), WEB)


def test_over_the_unix_socket() -> None:
    """The machine's own name, whatever the request says."""
    assert [f"{socket.gethostname()}:9100"] == addresses(asked("evil.example", kind="unix"), WEB)


@pytest.mark.parametrize(
    ("expected", "http", "kind"),
    [
        (["127.0.0.1:9747", "127.0.0.1:9100"], "127.0.0.1:9747", "unix"),
        (["[::1]:9747", "[::1]:9100"], "[::1]:9747", "unix"),
        (["HERE:80", "HERE:9100"], "0.0.0.0:80", "unix"),
        (["HERE:80", "HERE:9100"], "[::]:80", "unix"),
        (["HERE:9100"], None, "unix"),
        (["db1:80", "db1:9100"], "0.0.0.0:80", "tcp"),
    ],
)
def test_with_the_daemon_itself(expected: list[str], http: str | None, kind: Kind) -> None:
    """First of all; over the Unix socket all go by the one address that it listens on, where there is one."""
    expected = [address.replace("HERE", socket.gethostname()) for address in expected]
    assert expected == addresses(asked("db1", "?self=1", kind), WEB, http=http)


def test_what_is_said_of_a_service() -> None:
    """Path and name for the target; the rest for relabelling, every value text."""
    one = spec(
        "job", metrics_port=9101, metrics_path="/m", groups=("back", "night"), criticality="high",
        kind=Lives.ONESHOT, restart=Restart.NEVER,
    )  # fmt: skip
    own, job, web = targets(asked("h", "?self=1"), ABOUT, {"job": one, "web": WEB})
    assert {"__metrics_path__": "/metrics"} == own["labels"]
    assert {
        "__metrics_path__": "/m",
        "respawnd_service": "job",
        "__meta_respawnd_criticality": "high",
        "__meta_respawnd_groups": ",back,night,",
        "__meta_respawnd_type": "oneshot",
    } == job["labels"]
    assert ("/metrics", "") == (web["labels"]["__metrics_path__"], web["labels"]["__meta_respawnd_groups"])


@pytest.fixture
def fake() -> FakeDaemon:
    """Services with metrics of their own, one without, one with no replicas."""
    return daemon(
        WEB, spec("none"), spec("db", metrics_port=9187, replicas=3), spec("idle", metrics_port=1, replicas=0)
    )


def discovered(site: Any) -> Any:
    """Ask as Prometheus does."""
    headers = {"accept": "application/json", "x-prometheus-refresh-interval-seconds": "60"}
    answer = client.request(site.address, "GET", "/sd", headers=headers)
    assert (200, "application/json") == (answer.status, answer.headers["content-type"])
    return json.loads(answer.body)


def test_over_http(fake: FakeDaemon, tmp_path: Path) -> None:
    """Open to whoever reaches the port; the whole list, stopped services too; the empty list when there are none."""
    with serving(fake, tmp_path) as site:
        assert [["127.0.0.1:9100"], ["127.0.0.1:9187"]] == [group["targets"] for group in discovered(site)]
        fake.step(ev.Stop((key_of("web"),)))
        assert ["web", "db"] == [group["labels"]["respawnd_service"] for group in discovered(site)]
        fake.step(ev.Reconfigured({"web": evolve(WEB, metrics_port=9200)}))
        assert [["127.0.0.1:9200"]] == [group["targets"] for group in discovered(site)]
        fake.step(ev.Reconfigured({}))
        assert [] == discovered(site)


def test_a_wrong_question(fake: FakeDaemon, tmp_path: Path) -> None:
    """400 in words; 405 for another method."""
    with serving(fake, tmp_path) as site:
        answer = client.request(site.address, "GET", "/sd?self=maybe")
        assert (400, "cannot use self=maybe: 1 or 0 is needed") == (answer.status, answer.json()["detail"])
        assert 405 == client.request(site.socket, "POST", "/sd").status
