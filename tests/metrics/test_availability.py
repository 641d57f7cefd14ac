"""Running and desired seconds against an oracle that looks at the units at every moment at which anything happens."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.recorder.store import Span
from supervisor.core import events as ev
from supervisor.core.model import Backoff, GiveUp, UnitKey
from supervisor.core.state import State
from supervisor.core.view import desired
from tests.core.adversary import FleetMachine
from tests.metrics.drill import Drill, spec
from tests.metrics.drill_world import STEPS, STORIES, play

KEYS = (UnitKey("web", 0), UnitKey("web", 1))
DEEDS = st.tuples(st.sampled_from(["launch", "fail", "die", "stop", "start", "page"]), st.sampled_from(KEYS))


class Watched(Drill):
    """A drill whose seconds are also added up step by step."""

    running = wished = 0.0

    def wait(self, seconds: float) -> None:
        """Let time pass in one step that no deadline falls into, and add up what it was spent in."""
        deadline = self.fleet.deadline
        step = seconds if deadline is None else min(seconds, max(0.0, deadline - self.now))
        self.running += step * sum(unit.state is State.RUNNING for unit in self.fleet.units.values())
        self.wished += step * sum(map(desired, self.fleet.units.values()))
        self.pass_time(step)

    def do(self, deed: str, key: UnitKey) -> None:
        """Let happen what can happen in the unit's present state."""
        state = self.unit(key).state
        if deed == "launch" and state is State.LAUNCHING:
            self.launched(key)
        elif deed == "fail" and state is State.LAUNCHING:
            self.not_launched(key)
        elif deed == "die" and state in {State.STARTING, State.RUNNING, State.STOPPING, State.KILLING}:
            self.died(key)
        elif deed == "stop" and state in {State.STARTING, State.RUNNING, State.BACKOFF}:
            self.say(ev.Stop((key,)))
        elif deed == "start" and state in {State.STOPPED, State.FATAL, State.BACKOFF}:
            self.say(ev.Start((key,)))
        elif deed == "page":
            self.page()


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(st.tuples(DEEDS, st.floats(0, 30)), max_size=60))
def test_seconds_are_those_that_passed(story: list[tuple[tuple[str, UnitKey], float]]) -> None:
    """Whatever happens and whenever pages are made, the counters hold the seconds spent up and desired."""
    backoff, give_up = Backoff(initial=1, jitter=0), GiveUp(failures=4, within=60, cooldown=20)
    drill = Watched(spec(replicas=2, start_grace=0.5, backoff=backoff, give_up=give_up))
    drill.boot()
    for (deed, key), seconds in story:
        drill.do(deed, key)
        drill.wait(seconds)
    running = drill.value("respawnd_service_running_seconds_total", service="web")
    wished = drill.value("respawnd_service_desired_seconds_total", service="web")
    assert running == pytest.approx(drill.running, abs=0.001)
    assert wished == pytest.approx(drill.wished, abs=0.001)


@pytest.mark.slow
@settings(max_examples=150)
@given(STORIES, STEPS)
def test_availability_is_the_integral_over_the_units(machine: FleetMachine, steps: list[tuple[str, int]]) -> None:
    """Whatever happens to a fleet (reloads, scaling, faults, quarantine), no moment is counted twice or not at all."""
    world = play(machine, steps)
    found = {name: _seconds(service.span, world.now) for name, service in world.recorder.services.items()}
    assert {*world.fleet.specs, *(key.service for key in world.fleet.units)} == set(found)
    assert {name: world.ledger.running[name] for name in found} == pytest.approx(
        {name: running for name, (running, _) in found.items()}, abs=1e-6
    )
    assert {name: world.ledger.wished[name] for name in found} == pytest.approx(
        {name: wished for name, (_, wished) in found.items()}, abs=1e-6
    )


def _seconds(span: Span, now: float) -> tuple[float, float]:
    """Replica-seconds up and desired until `now`, the interval that is open included."""
    running, up, wished, wants, last = span
    return running + up * (now - last), wished + wants * (now - last)
