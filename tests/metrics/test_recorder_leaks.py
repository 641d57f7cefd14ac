"""Nothing is left of what went: services that come and go, and respawns without end."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Sized

import pytest

from metrics.recorder import LATENCY
from metrics.recorder.store import Usage
from supervisor.core import events as ev
from supervisor.core.model import Backoff, GiveUp, UnitKey
from supervisor.core.state import State
from tests.metrics.drill import EPOCH, Drill, spec

WEB = UnitKey("web")
#: Blocks of memory that may differ: the interpreter's own caches and free lists.
SLACK = 200


def grown(work: Callable[[], None]) -> int:
    """Return how many blocks of memory more are held after `work` than before it."""
    gc.collect()
    before = sys.getallocatedblocks()
    work()
    gc.collect()
    return sys.getallocatedblocks() - before


def sizes(drill: Drill) -> tuple[int, ...]:
    """Return how much of everything the recorder holds."""
    recorder = drill.recorder
    held: tuple[Sized, ...] = (
        recorder.replicas,
        recorder.services,
        recorder.histograms,
        recorder.exemplars,
        recorder.events,
    )
    return (*(len(one) for one in held), drill.page().count("\n"))


@pytest.mark.slow
def test_services_that_come_and_go_leave_nothing() -> None:
    """Ten thousand services are added, run, have a trace and a sample, and are removed: all is as it was."""
    drill = Drill(spec("db")).boot()
    drill.launched(UnitKey("db"))

    def cycles(first: int, last: int) -> None:
        for number in range(first, last):
            key = UnitKey(f"job-{number}")
            drill.say(ev.Reconfigured({"db": spec("db"), key.service: spec(key.service)}))
            drill.launched(key)
            drill.recorder.exemplify(LATENCY, key.service, 0.1, "a" * 32, "b" * 16, 1.0)
            drill.recorder.sampled({key: Usage(drill.now)})
            drill.recorder.count_output(key.service, "stdout", 7)
            drill.say(ev.Reconfigured({"db": spec("db")}))
            drill.died(key, 0)
            drill.pass_time(0.001)
            drill.effects.clear()

    cycles(0, 100)
    before = sizes(drill)
    more = grown(lambda: cycles(100, 10_100))
    assert before == sizes(drill)
    assert more < SLACK


@pytest.mark.slow
def test_respawns_without_end_leave_nothing() -> None:
    """A hundred thousand respawns are counted one by one, and nothing but the numbers has changed."""
    drill = Drill(spec(backoff=Backoff(initial=0), give_up=GiveUp(failures=None))).boot()
    drill.launched(WEB)

    def respawn(times: int) -> None:
        fleet, observe = drill.fleet, drill.recorder.observe
        for _ in range(times):
            drill.now += 0.001
            life = fleet.units[WEB].life
            exited = ev.Exited(WEB, life, 1, None, drill.now, drill.now + EPOCH, woke=drill.now - 0.0001)
            launched = ev.Launched(WEB, life + 1, 4000, drill.now, drill.now + EPOCH)
            for event in (exited, launched):
                for fact in fleet.step(event, drill.now).transitions:
                    observe(fact)
            assert fleet.deadline != 0  # as the loop asks in every turn: what is not due any more is let go of

    respawn(100)
    before = sizes(drill)
    more = grown(lambda: respawn(100_000))
    assert before == sizes(drill)
    assert more < SLACK
    assert sum(drill.recorder.replicas[WEB].restarts) == 100_100
    assert drill.unit(WEB).state is State.RUNNING
