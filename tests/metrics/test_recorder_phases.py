"""Where the time of a respawn went: the phases make up the latency, whatever came between."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from metrics.catalog import PHASES
from supervisor.core import events as ev
from supervisor.core.model import Backoff, Condition, GiveUp, UnitKey
from tests.core.adversary import FleetMachine
from tests.metrics.drill import EPOCH, Drill, spec
from tests.metrics.drill_world import STEPS, STORIES, play

WEB = UnitKey("web")
NOTHING = dict.fromkeys(PHASES, 0.0)
WITHIN = ("decide", "sweep", "backoff", "queue", "spawn")


def phases(drill: Drill) -> dict[str, float]:
    """Return the seconds of web by phase."""
    return dict(zip(PHASES, drill.recorder.services["web"].phases, strict=True))


def up(*specs: object, **fields: object) -> Drill:
    """Boot one service (or `specs`), with its first launch confirmed."""
    drill = Drill(*(specs or (spec(**fields),))).boot()  # type: ignore[arg-type]  # whatever the test wants
    for key in list(drill.fleet.units):
        drill.launched(key)
    return drill


def launched(drill: Drill, after: float, spent: float) -> None:
    """Exec is confirmed `after` seconds, `spent` of them since the call."""
    drill.now += after
    drill.say(ev.Launched(WEB, drill.unit(WEB).life, 4000, drill.now, drill.now + EPOCH, spent))


def test_a_first_start_is_no_respawn() -> None:
    """All phases are there, at nothing."""
    assert phases(up(start_grace=1.0)) == NOTHING


def test_each_phase_has_its_own_seconds() -> None:
    """Notice before the exit, a late decision, the wait for a launcher, exec, readiness after it."""
    drill = up(start_grace=2.0)
    drill.pass_time(10)
    exited = ev.Exited(WEB, 1, 1, None, drill.now, drill.now + EPOCH, woke=drill.now - 0.125)
    drill.now += 0.25
    drill.say(exited)
    launched(drill, after=1.5, spent=1.0)
    drill.pass_time(5)
    assert phases(drill) == NOTHING | {"notice": 0.125, "decide": 0.25, "queue": 0.5, "spawn": 1.0, "ready": 2.0}
    assert drill.recorder.services["web"].latency[1] == 1.75


def test_stragglers_are_swept_first() -> None:
    """From the exit until the last straggler is gone it is sweep, whatever killed that."""
    drill = up()
    drill.died(WEB, left=True)
    drill.now += 0.75
    drill.say(ev.Gone(WEB, 1))
    launched(drill, after=0.5, spent=0.5)
    assert phases(drill) == NOTHING | {"sweep": 0.75, "spawn": 0.5}


def test_a_delay_that_lasts_too_long_is_a_late_decision() -> None:
    """Backoff is what was configured; the rest of the wait is the loop's."""
    drill = up(backoff=Backoff(initial=4, jitter=0))
    drill.died(WEB)
    launched(drill, 0.0, 0.0)
    drill.died(WEB)
    drill.now += 4.5
    drill.pass_time(0)
    launched(drill, 0.0, 0.0)
    assert phases(drill) == NOTHING | {"backoff": 4.0, "decide": 0.5}


def test_tries_that_fail_belong_to_the_respawn() -> None:
    """A launch that failed was spawn, and the delays before and after it are backoff."""
    drill = up(backoff=Backoff(initial=1, factor=1, jitter=0), give_up=GiveUp(failures=None))
    drill.died(WEB)
    drill.now += 0.25
    drill.not_launched(WEB)
    drill.pass_time(1)
    launched(drill, after=0.75, spent=0.5)
    assert phases(drill) == NOTHING | {"backoff": 1.0, "queue": 0.25, "spawn": 0.75}


def test_waiting_for_what_it_needs_is_queue() -> None:
    """A service that died waits for its dependency."""
    drill = up(spec("db"), spec("web", depends_on={"db": Condition.STARTED}))
    db = UnitKey("db")
    drill.say(ev.Stop((db,)))
    drill.died(db, 0)
    drill.died(WEB)
    drill.pass_time(30)
    drill.say(ev.Start((db,)))
    drill.launched(db)
    launched(drill, after=0.5, spent=0.5)
    assert phases(drill) == NOTHING | {"queue": 30.0, "spawn": 0.5}


def test_a_restart_counts_from_the_exit() -> None:
    """The time to stop is no part of the respawn; a start after a stop is none."""
    drill = up()
    drill.say(ev.RestartAsked((WEB,)))
    drill.now += 3
    drill.died(WEB, 0)
    launched(drill, after=0.5, spent=0.25)
    assert phases(drill) == NOTHING | {"queue": 0.25, "spawn": 0.25}
    drill.say(ev.Stop((WEB,)))
    drill.died(WEB, 0)
    drill.now += 5
    drill.say(ev.Start((WEB,)))
    launched(drill, after=1.0, spent=1.0)
    assert phases(drill) == NOTHING | {"queue": 0.25, "spawn": 0.25}


@pytest.mark.slow
@settings(max_examples=150)
@given(STORIES, STEPS)
def test_phases_make_up_the_latency(machine: FleetMachine, steps: list[tuple[str, int]]) -> None:
    """Under any order of deaths, failures, limits, reloads, faults the sum holds, and each phase is the ledger's."""
    world = play(machine, steps)
    for name, service in world.recorder.services.items():
        found = dict(zip(PHASES, service.phases, strict=True))
        assert world.ledger.respawns[name] == sum(service.latency[0])
        assert world.ledger.latency[name] == pytest.approx(service.latency[1], abs=1e-6)
        assert service.latency[1] == pytest.approx(sum(found[word] for word in WITHIN), abs=1e-6)
        assert world.ledger.phases.get(name, NOTHING) == pytest.approx(found, abs=1e-6)
