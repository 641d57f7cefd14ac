"""What dies comes back, what is stopped stays down, and the end leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest

from tests.system.rig import Daemon, alive

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]

SLEEPER = """
[service.web]
command = ["sleep", "600"]
"""


def test_a_killed_service_comes_back(daemon: Make) -> None:
    """SIGKILL of a service is answered at once by a new life; the exit, the restart and the reason are told."""
    one = daemon(SLEEPER).start()
    before = one.until("web", state="running")
    os.kill(before["pid"], signal.SIGKILL)
    after = one.until("web", state="running", restarts=1)
    assert before["pid"] != after["pid"]
    assert {"code": None, "signal": 9, "reason": "signal"} == {
        k: after["last_exit"][k] for k in ("code", "signal", "reason")
    }
    samples = one.metrics()
    assert 1 == samples['respawnd_service_restarts_total{replica="0",service="web",trigger="crash"}']
    assert 1 == samples['respawnd_service_exits_total{reason="signal",service="web"}']
    assert 1 == samples['respawnd_service_respawn_latency_seconds_count{service="web"}']


def test_a_shutdown_leaves_no_process(daemon: Make) -> None:
    """TERM to the daemon stops everything and ends it with 0."""
    one = daemon(SLEEPER).start()
    pid = one.until("web", state="running")["pid"]
    assert 0 == one.end()
    assert not alive(pid)
    assert not os.path.exists(one.socket)


def test_stop_start_restart(daemon: Make) -> None:
    """The three commands do what they say and tell each result."""
    one = daemon(SLEEPER).start()
    stopped = one.run("stop", "web")
    assert (0, "web: stopped\n") == (stopped.returncode, stopped.stdout)
    assert "stopped" == one.service("web")["state"]
    started = one.run("start", "web")
    assert 0 == started.returncode
    assert started.stdout.startswith("web: running, pid ")
    first = one.service("web")["pid"]
    assert 0 == one.run("restart", "web").returncode
    assert first != one.service("web")["pid"]
    assert 1 == one.service("web")["restarts"]


def test_a_service_that_cannot_be_launched_costs_itself_alone(daemon: Make) -> None:
    """A binary that is not there is told with stage and errno; the other service runs."""
    one = daemon(SLEEPER + '[service.ghost]\ncommand = ["/nonexistent/ghost"]\n').start()
    row = one.until("ghost", state="backoff")
    assert ("exec", 2) == (row["error"]["stage"], row["error"]["errno"])
    assert "running" == one.until("web", state="running")["state"]
    failed = one.run("start", "ghost")
    assert 1 == failed.returncode
    assert "/nonexistent/ghost" in failed.stderr
