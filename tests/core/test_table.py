"""The table itself: total, true to its rows, and every target that a row declares is reached."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from supervisor.core import events as ev
from supervisor.core.decide import COLUMNS, TABLE, Row, decide
from supervisor.core.handlers import Impossible, ignore, impossible
from supervisor.core.model import (
    Backoff,
    ExitAction,
    ExitRule,
    ExitSet,
    GiveUp,
    OnDependencyFailure,
    Restart,
    UnitKey,
    UnitSpec,
)
from supervisor.core.state import ALIVE, LIFELESS, RESTING, LaunchError, Reason, State, Trigger, Unit, Want
from supervisor.core.state import Exit as HowItEnded
from supervisor.core.steps import OPEN, Gate
from tests.core.world import spec

if TYPE_CHECKING:
    from collections.abc import Iterator

WEB = UnitKey("web")
NOW = 500.0
SPECS = (
    spec("web", start_grace=2.0, backoff=Backoff(initial=0.0), on_dependency_failure=OnDependencyFailure.RESTART),
    spec("web", backoff=Backoff(initial=1.0), on_dependency_failure=OnDependencyFailure.STOP),
    spec("web", restart=Restart.NEVER, give_up=GiveUp(failures=0)),
    spec("web", exit_rules=(ExitRule(ExitSet(frozenset({1})), ExitAction.FAIL),)),
)
NEW = UnitSpec("web", ("/bin/false",))
GATES = (OPEN, Gate(dependencies=("db ready",)), Gate(tokens=("rate",)))
#: What each state may want: on its way up, or up, it is wanted.
WANTS = {
    State.LAUNCHING: (Want.UP, Want.DOWN),
    State.STOPPING: (Want.UP, Want.DOWN),
    State.KILLING: (Want.UP, Want.DOWN),
    State.STOPPED: (Want.DOWN,),
}


def event_of(column: type) -> tuple[Any, ...]:
    """Return events of a column, for life 3 of web."""
    found: dict[type, tuple[Any, ...]] = {
        ev.Start: (ev.Start((WEB,)),),
        ev.Stop: (ev.Stop((WEB,)),),
        ev.RestartAsked: (ev.RestartAsked((WEB,)),),
        ev.DeadlineReached: (ev.DeadlineReached(WEB),),
        ev.Launched: (ev.Launched(WEB, 3, 77, NOW, NOW),),
        ev.LaunchFailed: (ev.LaunchFailed(WEB, 3, LaunchError("exec", 2, "no such file")),),
        ev.Ready: (ev.Ready(WEB, 3),),
        ev.Exited: tuple(
            ev.Exited(WEB, 3, code, None, NOW, NOW, left=left) for code in (0, 1) for left in (False, True)
        ),
        ev.Gone: (ev.Gone(WEB, 3),),
        ev.Unhealthy: (ev.Unhealthy(WEB, 3),),
        ev.Adopted: (ev.Adopted(WEB, 4, 77, NOW, NOW),),
        ev.DependencyLost: (ev.DependencyLost(WEB, "db"),),
        ev.DependencyBack: (ev.DependencyBack(WEB),),
        ev.ConfigChanged: (ev.ConfigChanged(WEB, NEW, replace=True), ev.ConfigChanged(WEB, NEW, replace=False)),
        ev.Quarantined: (ev.Quarantined(WEB, "ValueError"),),
    }
    return found[column]


def units(state: State) -> Iterator[Unit]:
    """Yield units in a state, with the histories that lead to different answers."""
    dead = HowItEnded(1, None, Reason.ERROR, NOW)
    for one, want, trigger, gone in itertools.product(
        SPECS, WANTS.get(state, (Want.UP,)), (None, Trigger.MANUAL), (False, True)
    ):
        timed = state not in RESTING and state is not State.WAITING
        base = Unit(WEB, one, want, state, life=3, since=NOW - 9, deadline=NOW if timed else None, launched_as=one)
        base = base._replace(streak=1, failures=(NOW - 1,), trigger=trigger, exit=dead, started_wall=NOW, draw=0.5)
        if state in ALIVE:
            yield base._replace(pid=7, main_gone=gone and state in (State.STOPPING, State.KILLING))
        elif state is State.WAITING:
            yield base._replace(waiting_for=("db ready",))
        elif state is State.FATAL:
            yield base._replace(aside=State.LAUNCHING if gone else None)
            yield base._replace(aside=State.RUNNING, pid=7, main_gone=gone)
        else:
            yield base


def answers(state: State) -> Iterator[tuple[Unit, Any, Gate]]:
    """Yield everything that can be asked of a state."""
    for unit, gate in itertools.product(units(state), GATES):
        for column in COLUMNS:
            yield from ((unit, event, gate) for event in event_of(column))


def test_the_table_is_total() -> None:
    """Every state has a row, every row an answer to every column, and every event of a unit has a column."""
    assert set(State) == set(TABLE)
    assert {len(COLUMNS)} == {len(row.answers) for row in TABLE.values()}
    assert set(COLUMNS) == {*ev.UnitEvent.__args__, ev.Start, ev.Stop, ev.RestartAsked}
    assert len(COLUMNS) == len(set(COLUMNS))


@pytest.mark.parametrize("state", State)
def test_every_answer_is_true_to_its_row(state: State) -> None:
    """Whatever is asked: impossible raises, ignore changes nothing, and nobody goes where the row does not lead."""
    for unit, event, gate in answers(state):
        handler = TABLE[state].answers[COLUMNS.index(type(event))]
        if handler is impossible:
            with pytest.raises(Impossible, match=f"{type(event).__name__} for web in {state.value}"):
                decide(unit, event, NOW, gate)
            continue
        after, effects = decide(unit, event, NOW, gate)
        assert handler is not ignore or (unit, ()) == (after, effects)
        assert after.key == WEB
        assert after.state in {state, *TABLE[state].leads_to} or isinstance(event, ev.Quarantined)


@pytest.mark.parametrize("state", State)
def test_every_declared_target_is_reached(state: State) -> None:
    """A row declares no state that nothing leads to: the diagram shows what can happen and no more."""
    reached = set()
    for unit, event, gate in answers(state):
        handler = TABLE[state].answers[COLUMNS.index(type(event))]
        if handler is not impossible and not isinstance(event, ev.Quarantined):
            reached.add(decide(unit, event, NOW, gate)[0].state)
    assert TABLE[state].leads_to == reached - {state}


@pytest.mark.parametrize("state", State)
def test_a_ghost_changes_nothing_in_any_state(state: State) -> None:
    """News of an older life is passed over before the table is asked, even where it would be impossible."""
    for unit in units(state):
        for column in COLUMNS:
            for event in event_of(column):
                if getattr(event, "life", None) == 3:
                    assert (unit, ()) == decide(unit, evolve(event, life=2), NOW, OPEN)


@pytest.mark.parametrize("state", State)
def test_every_state_can_be_quarantined(state: State) -> None:
    """The last resort is always open: fatal without a timer, told, and the life left as it is."""
    for unit in units(state):
        after, effects = decide(unit, ev.Quarantined(WEB, "ValueError"), NOW, OPEN)
        assert (State.FATAL, None) == (after.state, after.deadline)
        assert ["quarantined: ValueError"] == [effect.text for effect in effects]  # type: ignore[union-attr]  # a Notice
        assert (unit.state not in LIFELESS or unit.aside is not None) == (after.aside is not None)


def test_a_handler_is_held_to_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transition that the row does not declare is a fault, not a surprise."""
    monkeypatch.setitem(TABLE, State.STOPPED, Row(TABLE[State.STOPPED].answers, frozenset()))
    with pytest.raises(Impossible, match="web: stopped may not lead to launching"):
        decide(Unit(WEB, SPECS[1]), ev.Start((WEB,)), NOW, OPEN)


def test_words_and_codes_of_outsiders() -> None:
    """Outsiders see eight words, and supervisord's numbers for them."""
    codes = {"stopped": 0, "waiting": 5, "starting": 10, "running": 20, "backoff": 30, "stopping": 40}
    codes |= {"exited": 100, "fatal": 200}
    assert codes == {state.word: state.code for state in State}
    assert {"launching": "starting", "killing": "stopping", "scheduled": "waiting"} == {
        state.value: state.word for state in State if state.value != state.word
    }
