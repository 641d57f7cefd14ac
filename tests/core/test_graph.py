"""Who depends on whom: cycles, order, and what must be brought up with what."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.graph import Graph, cycle, holds
from supervisor.core.model import Condition, Kind, Restart, UnitKey, UnitSpec
from supervisor.core.state import State, Unit
from tests.core.world import spec

NAMES = "abcdefgh"


def made(needs: dict[str, list[str]]) -> dict[str, UnitSpec]:
    """Return specifications with these dependencies."""
    return {name: spec(name, depends_on=dict.fromkeys(below, Condition.READY)) for name, below in needs.items()}


@pytest.mark.parametrize(
    ("needs", "found"),
    [
        ({}, ()),
        ({"a": ["b"], "b": []}, ()),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, ()),
        ({"a": ["who"]}, ()),
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["a"]}, ("a", "b", "a")),
        ({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}, ("a", "b", "c", "a")),
    ],
)
def test_cycles_are_named(needs: dict[str, list[str]], found: tuple[str, ...]) -> None:
    """A cycle is told as it would be walked; what does not exist is somebody else's complaint."""
    assert found == cycle(made(needs))


@given(st.dictionaries(st.sampled_from(NAMES), st.sets(st.sampled_from(NAMES), max_size=3), max_size=8))
def test_a_cycle_is_found_if_there_is_one(needs: dict[str, set[str]]) -> None:
    """What is told is a walk that comes back; where nothing is told, every service can be put after its needs."""
    specs = made({name: sorted(below) for name, below in needs.items()})
    found = cycle(specs)
    if found:
        assert found[0] == found[-1]
        assert all(after in needs[before] for before, after in pairwise(found))
        return
    units = {UnitKey(name): Unit(UnitKey(name), one) for name, one in specs.items()}
    order = [key.service for key in Graph(specs).ordered(units, units)]
    assert all(order.index(need) < order.index(name) for name in order for need in needs[name] if need in order)


def test_order_is_dependency_then_priority_then_configuration() -> None:
    """And the exact reverse for stopping."""
    specs = {
        "web": spec("web", depends_on={"db": Condition.READY}, priority=1),
        "late": spec("late", priority=500),
        "early": spec("early", priority=5),
        "db": spec("db", priority=900),
        "same": spec("same", priority=500),
    }
    units = {UnitKey(name): Unit(UnitKey(name), one) for name, one in specs.items()}
    graph = Graph(specs)
    names = ["early", "late", "same", "db", "web"]
    assert names == [key.service for key in graph.ordered(units, units)]
    assert names[::-1] == [key.service for key in graph.ordered(units, units, backwards=True)]


def test_what_is_down_is_brought_up_before() -> None:
    """Dependencies that are down come first, and theirs before them; what is up is not asked about its own."""
    specs = made({"a": [], "b": ["a"], "c": ["b"], "d": ["c"], "x": []})
    units = {UnitKey(name): Unit(UnitKey(name), one) for name, one in specs.items()}
    graph = Graph(specs)
    every = graph.with_dependencies([UnitKey("d")], units, lambda unit: unit.key in units)
    assert ["a", "b", "c", "d"] == [key.service for key in every]
    some = graph.with_dependencies([UnitKey("d"), UnitKey("who")], units, lambda unit: unit.key.service != "b")
    assert ["c", "d"] == [key.service for key in some]


STATES = {
    Condition.STARTED: {State.STARTING, State.RUNNING},
    Condition.READY: {State.RUNNING},
    Condition.COMPLETED: set(),
    Condition.COMPLETED_OK: set(),
}


@pytest.mark.parametrize("condition", Condition)
@pytest.mark.parametrize("state", State)
def test_when_a_condition_holds(condition: Condition, state: State) -> None:
    """For a service by its state, for a job by what it has done, once and for all."""
    service = Unit(UnitKey("a"), spec("a"), state=state)
    assert holds(condition, service) == (state in STATES[condition])
    job = Unit(UnitKey("a"), spec("a", kind=Kind.ONESHOT, restart=Restart.NEVER), state=state)
    assert holds(condition, job) == (condition is Condition.STARTED and state in STATES[condition])
    badly, well = job._replace(completed=True), job._replace(completed=True, completed_ok=True)
    assert holds(condition, badly) == (condition is Condition.COMPLETED or holds(condition, job))
    assert holds(condition, well)
