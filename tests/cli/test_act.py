"""Commands that change something: what they say, and how they end."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from supervisor.control import act
from supervisor.core import events as ev
from supervisor.core.model import Condition, StopPolicy
from tests.cli.rig import RESPAWND, environment, respawnd
from tests.control.fakes import FIRST_PID, daemon, key_of, serving, spec


def test_what_went_well_is_on_stdout(tmp_path: Path) -> None:
    """A line a unit."""
    fake = daemon(spec("web", replicas=2), spec("db"))
    with serving(fake, tmp_path) as site:
        to = ("--socket", site.socket)
        stopped = respawnd("stop", "web", *to)
        started = respawnd("start", "web:1", "db", *to)
        restarted = respawnd("restart", "db", *to)
    assert (0, "web:0: stopped\nweb:1: stopped\n", "") == (stopped.code, stopped.out, stopped.err)
    assert {f"web:1: running, pid {FIRST_PID + 4}", f"db: running already, pid {FIRST_PID + 3}"} == set(
        started.out.splitlines()
    )
    assert (0, f"db: running, pid {FIRST_PID + 5}\n") == (restarted.code, restarted.out)


def test_what_failed_is_on_stderr(tmp_path: Path) -> None:
    """Which service and why; exit status 1, though others went well."""
    fake = daemon(spec("web"), spec("db", stop=StopPolicy(timeout=9)))
    fake.held.add("db")
    with serving(fake, tmp_path) as site:
        ran = respawnd("stop", "all", "--timeout", "50ms", "--socket", site.socket)
    said = f"respawnd: cannot stop db: not done after 0.05 s: still stopping, pid {FIRST_PID + 2}\n"
    assert (1, "web: stopped\n", said) == (ran.code, ran.out, ran.err)


def test_as_json(tmp_path: Path) -> None:
    """One object a line, failures among them."""
    fake = daemon(spec("web"), spec("db"))
    fake.held.add("db")
    with serving(fake, tmp_path) as site:
        ran = respawnd("stop", "web", "db", "--timeout", "0", "--json", "--socket", site.socket)
    assert (1, "") == (ran.code, ran.err)
    assert [{"unit": "web", "ok": True, "state": "stopped", "text": "stopped"}, ("db", False, "stopping")] == [
        line if line["ok"] else (line["unit"], line["ok"], line["state"])
        for line in map(json.loads, ran.out.splitlines())
    ]


def test_without_waiting(tmp_path: Path) -> None:
    """Accepted is enough; there is no result that could be bad."""
    fake = daemon(spec("web", replicas=2), spec("db"))
    fake.held.update({"web", "db"})
    with serving(fake, tmp_path) as site:
        ran = respawnd("restart", "web,db", "--no-wait", "--socket", site.socket)
        data = respawnd("stop", "db", "--no-wait", "--json", "--socket", site.socket)
    assert (0, "accepted: web:0, web:1, db\n", "") == (ran.code, ran.out, ran.err)
    assert {"accepted": ["db"]} == data.json()


def test_a_long_wait_says_for_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, and it is no failure: it may still go well."""
    monkeypatch.setattr(act, "SILENCE", 0.0)
    fake = daemon(spec("db"), spec("web", depends_on={"db": Condition.STARTED}), held=("db",))
    wait = fake.board.wait
    fake.board.wait = lambda *how: (fake.launched("db") if fake.unit("db").pid is None else None, wait(*how))[1]  # type: ignore[method-assign, func-returns-value]
    with serving(fake, tmp_path) as site:
        ran = respawnd("start", "web", "--socket", site.socket)
    assert (0, f"web: running, pid {FIRST_PID + 2}\n") == (ran.code, ran.out)
    assert "respawnd: web: waiting for db started (db is starting)\n" == ran.err


def test_signals(tmp_path: Path) -> None:
    """By name or number; none of that name is wrong usage, nobody to get it a failure."""
    fake = daemon(spec("web"), spec("db"))
    fake.unsignalled = {"db": "no such process"}
    with serving(fake, tmp_path) as site:
        sent = respawnd("signal", "usr1", "web", "--socket", site.socket)
        failed = respawnd("signal", "1", "db", "--socket", site.socket)
        wrong = respawnd("signal", "HPU", "web", "--socket", site.socket)
    assert (0, "web: sent USR1\n") == (sent.code, sent.out)
    assert (1, "respawnd: cannot signal db: no such process\n") == (failed.code, failed.err)
    assert (2, True) == (wrong.code, "did you mean HUP?" in wrong.err)


def test_names_that_mean_nothing(tmp_path: Path) -> None:
    """All of them are told, and nothing is done to the others."""
    fake = daemon(spec("web"), spec("db"))
    with serving(fake, tmp_path) as site:
        ran = respawnd("stop", "db", "wbe", "d?b", "x/y#z", "--socket", site.socket)
    said = "no service wbe (did you mean web?); no service d?b: nothing matches; no service x/y#z"
    assert (1, f"respawnd: {said}\n") == (ran.code, ran.err)
    assert [] == fake.asked


def test_during_a_shutdown(tmp_path: Path) -> None:
    """A start is refused in the daemon's words."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    fake.step(ev.Shutdown())
    with serving(fake, tmp_path) as site:
        for how in ((), ("--no-wait",)):
            ran = respawnd("start", "web", *how, "--socket", site.socket)
            assert (1, "respawnd: cannot start: respawnd is shutting down\n") == (ran.code, ran.err)


def test_a_loop_that_does_not_turn(tmp_path: Path) -> None:
    """Said as it is, with or without waiting."""
    fake = daemon(spec("web"))
    fake.stuck = True
    with serving(fake, tmp_path) as site:
        for how in ((), ("--no-wait",)):
            ran = respawnd("stop", "web", *how, "--socket", site.socket)
            assert (1, "respawnd: the loop has not answered within 10 s\n") == (ran.code, ran.err)


def test_the_trace_of_a_deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRACEPARENT of whoever runs the command goes with it, waited for or not; one that is none does not."""
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        monkeypatch.setenv("TRACEPARENT", trace)
        for command in (("restart", "web"), ("stop", "web", "--no-wait"), ("shutdown", "--no-wait")):
            assert 0 == respawnd(*command, "--socket", site.socket).code
        monkeypatch.setenv("TRACEPARENT", f"{trace}\r\nx: y")
        respawnd("stop", "web", "--socket", site.socket)
    events = [event for event in fake.asked if isinstance(event, ev.RestartAsked | ev.Stop | ev.Shutdown)]
    assert [trace, trace, trace, ""] == [event.origin.trace for event in events if event.origin is not None]


@pytest.mark.slow
def test_ctrl_c(tmp_path: Path) -> None:
    """Ends the wait, as the shell counts it, and says that the command goes on."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    asked = threading.Event()
    wait = fake.board.wait
    fake.board.wait = lambda *how: (asked.set(), wait(*how))[1]  # type: ignore[method-assign, func-returns-value]
    with serving(fake, tmp_path) as site:
        command = [*RESPAWND, "stop", "web", "--socket", site.socket]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
            assert asked.wait(20)
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=20)
    assert (130, "respawnd: waits no longer; what was asked for goes on\n") == (process.returncode, error)
    assert "stopping" == fake.unit("web").state.word
    assert key_of("web") in fake.view().units
