"""Debian's Prometheus scrapes the daemon: what it stored agrees with what was done to the services."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supervisor.control import client
from tests.system.rig import Daemon, eventually
from tests.system.scraper import Prometheus

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.needs("prometheus", "promtool")]
Make = Callable[..., Daemon]

SERVICES = """
[service.web]
command = ["sleep", "600"]
backoff = "none"
[service.flap]
command = ["sh", "-c", "exit 3"]
backoff = { initial = "10ms" }
give_up = { failures = 4, then = "stay" }
[service.job]
type = "oneshot"
command = ["true"]
[service.ghost]
command = ["/nonexistent"]
give_up = { failures = 0, then = "stay" }
"""


@pytest.fixture
def prometheus(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[[str], Prometheus]]:
    """Give a function that starts a Prometheus on a target."""
    started: list[Prometheus] = []

    def start(target: str) -> Prometheus:
        started.append(Prometheus(tmp_path, free_port(), target, "200ms"))
        return started[-1]

    yield start
    for one in started:
        one.end()


def test_what_was_done_is_what_is_stored(daemon: Make, prometheus: Callable[[str], Prometheus]) -> None:
    """Kills, a stop, a restart, a crash loop and a job: counted exactly, by reason and trigger."""
    one = daemon(SERVICES).start()
    status = client.request(one.socket, "GET", "/api/v1/services").json()
    ask = prometheus(status["daemon"]["http"]).value
    for number in range(1, 4):
        os.kill(one.service("web")["pid"], signal.SIGKILL)
        one.until("web", state="running", restarts=number)
    one.run("restart", "web")
    one.run("stop", "web")
    one.until("flap", state="fatal")
    one.until("job", state="exited")

    def stored(query: str, value: float) -> None:
        eventually(lambda: ask(query) == value or None, 30, what=f"{query} == {value} (is {ask(query)})")

    stored('up{job="respawnd"}', 1)
    stored('respawnd_service_restarts_total{service="web",trigger="crash"}', 3)
    stored('respawnd_service_restarts_total{service="web",trigger="manual"}', 1)
    stored('respawnd_service_exits_total{service="web",reason="signal"}', 3)
    stored('respawnd_service_exits_total{service="web",reason="stopped"}', 2)
    stored('respawnd_service_state_code{service="web"}', 0)
    stored('respawnd_service_exits_total{service="flap",reason="error"}', 5)
    stored('respawnd_service_state{service="flap",state="fatal"}', 1)
    stored('respawnd_service_last_exit_code{service="flap"}', 3)
    stored('respawnd_service_exits_total{service="job",reason="ok"}', 1)
    stored('respawnd_service_spawns_total{service="ghost",result="error"}', 1)
    stored('respawnd_service_respawn_latency_seconds_count{service="web"}', 4)
    latency = ask('respawnd_service_respawn_latency_seconds_sum{service="web"}')
    assert latency is not None
    assert 0 < latency < 5


def test_promtool_has_no_complaint(daemon: Make) -> None:
    """`promtool check metrics` on a page with everything on it."""
    one = daemon(SERVICES).start()
    one.until("flap", state="fatal")
    page = client.request(one.socket, "GET", "/metrics").body
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (0, b"", b"") == (checked.returncode, checked.stdout, checked.stderr)
