"""The JSON of units: the promised shape, and the truth in it at every stage of a life."""

from __future__ import annotations

import os
import time
from typing import Any

import psutil
import pytest
from attrs import evolve

from metrics.recorder.store import Usage
from supervisor.control.status import document, row
from supervisor.core import events as ev
from supervisor.core.model import Condition, GiveUp, StopPolicy
from supervisor.core.state import State, Unit
from tests.control.fakes import FIRST_PID, FakeDaemon, daemon, key_of, spec


def shown(fake: FakeDaemon, name: str) -> dict[str, Any]:
    """The row of one unit, now."""
    return row(fake.unit(name), time.monotonic())


def test_the_promised_shape() -> None:
    """The keys that docs/cli.md promises, with null for what is absent."""
    fake = daemon(spec("web", replicas=2))
    said = document(fake.about, fake.view(), [key_of("web:1")], {})
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
    said = document(fake.about, fake.view(), [], {})
    assert psutil.Process().create_time() == pytest.approx(time.time() - said["daemon"]["uptime_seconds"], abs=1)
    fake.about = evolve(fake.about, pid=FIRST_PID, started_wall=time.time() - 50)
    said = document(fake.about, fake.view(), [], {})
    assert 50 == pytest.approx(said["daemon"]["uptime_seconds"], abs=1)
    assert [] == said["services"]


def test_a_unit_that_left_meanwhile_has_no_row() -> None:
    """Names are looked up in one picture, rows made of another perhaps: what is gone is passed over."""
    fake = daemon(spec("web"))
    assert [] == document(fake.about, fake.view(), [key_of("gone")], {})["services"]


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


@pytest.mark.parametrize(
    ("expected", "used"),
    [
        ((12.3, 5 << 20, 3, 9, 40), {}),
        ((12.3, 5 << 20, 3, 9, None), {"open_fds": None}),
        ((None, None, None, None, None), {"processes": 0}),
        ((None, None, None, None, None), {"ago": 11.0}),
    ],
)
def test_what_a_replica_uses(expected: tuple[float | None, ...], used: dict[str, Any]) -> None:
    """The figures of its whole tree; none where no process was found, or only those of the life before were seen."""
    fake = daemon(spec("web", replicas=2))
    given = {"ago": 0.5, "processes": 3, "open_fds": 40, **used}
    sample = Usage(
        time.monotonic() - given["ago"], resident=5 << 20, threads=9, processes=given["processes"],
        open_fds=given["open_fds"], cpu_share=12.34,
    )  # fmt: skip
    rows = document(fake.about, fake.view(), fake.view().units, {key_of("web:1"): sample})["services"]
    keys = ("cpu_percent", "memory_bytes", "processes", "threads", "open_fds")
    assert (None,) * 5 == tuple(rows[0][key] for key in keys)
    assert expected == tuple(rows[1][key] for key in keys)


def test_what_is_down_uses_nothing() -> None:
    """The last sample of a life that has ended is not shown."""
    fake = daemon(spec("web"))
    fake.step(ev.Stop((key_of("web"),)))
    (web,) = document(
        fake.about, fake.view(), fake.view().units, {key_of("web"): Usage(time.monotonic(), processes=1)}
    )["services"]
    assert ("stopped", None, None) == (web["state"], web["memory_bytes"], web["processes"])
