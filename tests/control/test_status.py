"""The JSON of units: the promised shape, and the truth in it at every stage of a life."""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import Any

import pytest
from attrs import evolve

from supervisor.control import usage
from supervisor.control.status import document, row
from supervisor.control.usage import Usage, age
from supervisor.core import events as ev
from supervisor.core.model import Condition, GiveUp, StopPolicy
from supervisor.core.state import State, Unit
from supervisor.host import procfs
from tests.control.fakes import FIRST_PID, FakeDaemon, daemon, key_of, spec

ENOUGH = 15  # ticks of 10 ms


def shown(fake: FakeDaemon, name: str) -> dict[str, Any]:
    """The row of one unit, now."""
    return row(fake.unit(name), time.monotonic())


def test_the_promised_shape() -> None:
    """The keys of product.md section 4, with null for what is absent."""
    fake = daemon(spec("web", replicas=2))
    said = document(fake.about, fake.view(), [key_of("web:1")], Usage())
    assert {"pid", "version", "uptime_seconds", "generation"} <= set(said["daemon"])
    assert (os.getpid(), "9.8.7", 1, True, False) == tuple(
        said["daemon"][key] for key in ("pid", "version", "generation", "booted", "closing")
    )
    (web,) = said["services"]
    promised = {"service", "replica", "state", "want", "pid", "ready", "uptime_seconds", "restarts"}
    assert promised | {"next_start_seconds", "waiting_for", "last_exit"} <= set(web)
    assert ("web", 1, "web:1", "running", 20, "up", True) == tuple(
        web[key] for key in ("service", "replica", "name", "state", "state_code", "want", "ready")
    )
    assert (FIRST_PID + 2, 0, None, None, None, None) == tuple(
        web[key] for key in ("pid", "restarts", "next_start_seconds", "waiting_for", "last_exit", "error")
    )
    assert 10 == pytest.approx(web["uptime_seconds"], abs=1)
    assert time.time() - 10 == pytest.approx(web["started_at"], abs=1)


def test_the_daemon_is_as_old_as_its_process() -> None:
    """Its uptime does not follow a wall clock that was set; where its process cannot be seen, that clock must do."""
    fake = daemon(spec("web"))
    fake.about = evolve(fake.about, started_wall=time.time() + 3600)
    said = document(fake.about, fake.view(), [], Usage())
    assert age(os.getpid()) == pytest.approx(said["daemon"]["uptime_seconds"], abs=1)
    fake.about = evolve(fake.about, pid=FIRST_PID, started_wall=time.time() - 50)
    said = document(fake.about, fake.view(), [], Usage())
    assert 50 == pytest.approx(said["daemon"]["uptime_seconds"], abs=1)
    assert [] == said["services"]


def test_a_unit_that_left_meanwhile_has_no_row() -> None:
    """Names are looked up in one picture, rows made of another perhaps: what is gone is passed over."""
    fake = daemon(spec("web"))
    assert [] == document(fake.about, fake.view(), [key_of("gone")], Usage())["services"]


def test_a_crash() -> None:
    """The exit of the last life, the failures of the window, and the next start."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    fake.dies("web", 3)
    fake.launched("web")
    fake.dies("web", None, 11)
    web = shown(fake, "web")
    assert ("backoff", None, None, 1, 2, 10) == tuple(
        web[key] for key in ("state", "pid", "uptime_seconds", "restarts", "failures", "failures_allowed")
    )
    assert (None, 11, "signal", False) == tuple(web["last_exit"][key] for key in ("code", "signal", "reason", "core"))
    assert 0.25 == pytest.approx(web["next_start_seconds"], abs=0.1)


def test_old_failures_are_forgotten() -> None:
    """A failure that has left the window no longer counts, though nothing has happened since."""
    fake = daemon(spec("web", give_up=GiveUp(failures=3, within=100)))
    fake.dies("web")
    assert 1 == shown(fake, "web")["failures"]
    assert 0 == row(fake.unit("web"), time.monotonic() + 101)["failures"]


def test_a_launch_that_failed() -> None:
    """Its stage and errno are there while it is retried."""
    fake = daemon(spec("web"), boot=False, held=("web",))
    fake.step(ev.Start((key_of("web"),)))
    assert ("starting", "launching", None) == tuple(shown(fake, "web")[key] for key in ("state", "phase", "pid"))
    fake.launch_fails("web")
    assert {"stage": "exec", "errno": 2, "text": "exec /no/such: no such file"} == shown(fake, "web")["error"]


def test_given_up() -> None:
    """Fatal, and the moment of the next try."""
    fake = daemon(spec("web", give_up=GiveUp(failures=0, cooldown=600)))
    fake.dies("web")
    web = shown(fake, "web")
    assert ("fatal", 200) == (web["state"], web["state_code"])
    assert 600 == pytest.approx(web["next_start_seconds"], abs=1)


def test_stopping() -> None:
    """How long until SIGKILL; a main process that is gone has no pid any more, though its stragglers live."""
    fake = daemon(spec("web", stop=StopPolicy(timeout=9)))
    fake.held.add("web")
    fake.step(ev.Stop((key_of("web"),)))
    assert 9 == pytest.approx(shown(fake, "web")["kill_in_seconds"], abs=1)
    assert FIRST_PID + 1 == shown(fake, "web")["pid"]
    fake.dies("web", None, 15, left=True)
    web = shown(fake, "web")
    assert ("stopping", None, None, None) == tuple(web[key] for key in ("state", "pid", "started_at", "uptime_seconds"))
    fake.tick(ahead=60)
    assert ("stopping", "killing", None) == tuple(
        shown(fake, "web")[key] for key in ("state", "phase", "kill_in_seconds")
    )


def test_waiting() -> None:
    """For what, in words."""
    fake = daemon(spec("db"), spec("web", depends_on={"db": Condition.STARTED}), held=("db",))
    assert ("waiting", "db started") == tuple(shown(fake, "web")[key] for key in ("state", "waiting_for"))


def test_scheduled_is_a_kind_of_waiting() -> None:
    """Outsiders see waiting, for the schedule, and when it is due."""
    unit = Unit(key_of("job"), spec("job"), state=State.SCHEDULED, deadline=time.monotonic() + 60)
    said = row(unit, time.monotonic())
    assert ("waiting", 5, "schedule") == tuple(said[key] for key in ("state", "state_code", "waiting_for"))
    assert 60 == pytest.approx(said["next_start_seconds"], abs=1)


@pytest.mark.slow
def test_what_a_session_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory and processor time of all processes of the session: what its child burns counts."""
    fake = daemon(spec("web"), boot=False, held=("web",))
    fake.step(ev.Start((key_of("web"),)))
    burn = "import os\npid = os.fork()\nwhile not pid: pass\nprint(pid, flush=True)\nos.waitpid(pid, 0)"
    with subprocess.Popen(["python3", "-c", burn], start_new_session=True, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        burner = int(child.stdout.readline())
        unit = fake.unit("web")._replace(state=State.RUNNING, pid=child.pid, started_at=time.monotonic())
        asked = Usage()
        first = asked.of([unit])[unit.key]
        assert first.memory_bytes > 1 << 20
        assert first is not None
        assert first.cpu_percent == asked.of([unit])[unit.key].cpu_percent  # too soon for another answer
        monkeypatch.setattr(usage, "SHORTEST", 0.1)
        while (burnt := procfs.entry(burner)) is not None and burnt.ticks < ENOUGH:
            select.select([], [], [], 0.01)
        assert asked.of([unit])[unit.key].cpu_percent > 10
        os.kill(burner, 9)


def test_a_pid_that_is_nobody_uses_nothing() -> None:
    """No row of figures for a process that is gone, or that leads no session of its own."""
    unit = Unit(key_of("web"), spec("web"), state=State.RUNNING, pid=FIRST_PID, started_at=0.0)
    assert {} == Usage().of([unit])
    assert age(FIRST_PID) is None
