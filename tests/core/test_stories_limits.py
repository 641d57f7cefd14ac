"""The host's limits: respawns a second, launches at once, and that nobody is passed over."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.core.fleet import Limits
from supervisor.core.model import Backoff, Condition, GiveUp, UnitKey, UnitSpec
from supervisor.core.state import State, Trigger
from tests.core.world import World, spec

SLOW = Limits(rate=1.0, burst=1.0)
READY = {"db": Condition.READY}


def quick(name: str, **fields: Any) -> UnitSpec:
    """Return a service that is respawned without delay and never given up."""
    return spec(name, backoff=Backoff(initial=0.0), give_up=GiveUp(failures=None), **fields)


def waiting(world: World) -> list[str]:
    """Return who waits for a token or a slot."""
    return [unit.name for unit in world.fleet.units.values() if unit.waiting_for in {("rate",), ("parallelism",)}]


def test_a_storm_is_let_through_at_the_rate() -> None:
    """What the bucket holds goes at once; then one a second, in the order of dying."""
    world = World.of(*(quick(name) for name in "abcd"), limits=Limits(rate=1.0, burst=2.0))
    world.up(*"abcd")
    for name in "cadb":
        world.dies(name)
    assert ["b", "d"] == waiting(world)
    launches = len(world.launches)
    world.advance(0.999)
    assert launches == len(world.launches)
    world.advance(0.001)
    assert ["b"] == waiting(world)
    world.advance(1)
    assert [] == waiting(world)
    world.ended()


def test_the_first_crash_draws_a_token_too() -> None:
    """A service that has never been respawned stands in the same queue."""
    world = World.of(quick("a"), quick("b"), limits=SLOW)
    world.up("a", "b")
    world.dies("a")
    world.dies("b")
    assert [State.LAUNCHING, State.WAITING] == [world.state("a"), world.state("b")]
    world.ended()


def test_starts_and_restarts_by_hand_are_free() -> None:
    """What an operator asked for waits for no token, and takes none from others."""
    world = World.of(quick("a"), quick("b"), quick("c"), limits=SLOW)
    world.up(*"abc")
    world.dies("a")
    world.restart("b")
    world.obey()
    assert [State.LAUNCHING] * 2 == [world.state("a"), world.state("b")]
    world.restart("c", trigger=Trigger.LIMIT)
    world.obey()
    assert ("rate",) == world.unit("c").waiting_for
    world.ended()


def test_nobody_is_overtaken_at_the_moment_of_a_token() -> None:
    """A death in the very turn in which a token comes does not take it from who waited for it."""
    world = World.of(*(quick(name) for name in "abc"), limits=SLOW)
    world.up(*"abc")
    world.dies("a")
    world.dies("b")
    world.now += 1.0
    world.dies("c")
    assert [State.LAUNCHING, State.WAITING] == [world.state("b"), world.state("c")]
    world.ended()


def test_a_token_wait_after_a_dependency_wait() -> None:
    """Its dependency is back, but there is no token: it says so, and is served when there is one."""
    world = World.of(quick("db"), quick("web", depends_on=READY), limits=SLOW)
    world.up("db", "web")
    world.dies("db")
    world.dies("web")
    assert ("db ready",) == world.unit("web").waiting_for
    world.launched("db")
    assert ("rate",) == world.unit("web").waiting_for
    world.advance(1)
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_a_dependency_is_lost_while_waiting_for_a_token() -> None:
    """It leaves the queue, and those behind it are served."""
    world = World.of(quick("db"), quick("web", depends_on=READY), quick("x"), limits=SLOW)
    world.up("db", "web", "x")
    world.dies("x")
    world.dies("web")
    world.launched("x")
    world.dies("x")
    assert ["web", "x"] == waiting(world)
    world.stop("db")
    world.advance(1)
    assert [("db ready",), State.LAUNCHING] == [world.unit("web").waiting_for, world.state("x")]
    world.ended()


def test_stopped_while_waiting_for_a_token() -> None:
    """It rests at once, its place is free, and it comes back at the end of the queue."""
    world = World.of(*(quick(name) for name in "abc"), limits=SLOW)
    world.up(*"abc")
    for name in "abc":
        world.dies(name)
    world.stop("b")
    assert State.STOPPED is world.state("b")
    world.advance(1)
    assert State.LAUNCHING is world.state("c")
    world.ended()


def test_start_while_waiting_for_a_token_forgives() -> None:
    """The record is clean, the place in the queue stays."""
    world = World.of(quick("a"), quick("b"), limits=SLOW)
    world.up("a", "b")
    world.dies("a")
    world.dies("b")
    world.start("b")
    assert (("rate",), 0) == (world.unit("b").waiting_for, world.unit("b").streak)
    world.ended()


def test_failed_launches_draw_tokens() -> None:
    """A program that cannot be started, without a delay of its own, is tried only at the host's rate."""
    world = World.of(quick("a"), limits=Limits(rate=2.0, burst=1.0))
    for _ in range(40):
        if world.state("a") is State.LAUNCHING:
            world.launch_failed("a")
        world.to_deadline()
    assert world.now - 1000.0 > 8
    world.ended()


@pytest.mark.parametrize("now", [0.1, 1e7, 3e8])
def test_the_moment_of_a_token_does_not_depend_on_the_uptime(now: float) -> None:
    """However large the clock's numbers, at the moment that the deadline names there is a token."""
    world = World.of(quick("a"), limits=Limits(rate=3.0, burst=1.0), now=now)
    world.launched("a")
    for _ in range(50):
        world.dies("a")
        if world.state("a") is State.WAITING:
            world.to_deadline()
        assert State.LAUNCHING is world.state("a")
        world.launched("a")
    world.ended()


def test_a_bucket_smaller_than_a_token() -> None:
    """A rate so slow that five seconds hold no whole token still lets one through now and then."""
    world = World.of(quick("a"), quick("b"), limits=Limits(rate=0.1, burst=0.5))
    world.up("a", "b")
    world.dies("a")
    world.dies("b")
    world.advance(10)
    assert [State.LAUNCHING] * 2 == [world.state("a"), world.state("b")]
    world.ended()


def test_launches_at_once() -> None:
    """With a parallelism of one, each launch waits for the answer to the one before, by priority."""
    world = World.of(spec("a", priority=3), spec("b", priority=1), spec("c", priority=2), limits=Limits(None, 0, 1))
    order = []
    for _ in range(3):
        order.append(world.launches[-1].key.service)
        world.launched(order[-1])
    assert ["b", "c", "a"] == order
    world.ended()


def test_a_failed_launch_gives_its_slot_to_the_next() -> None:
    """The slot is free, and who waited longer has it."""
    world = World.of(spec("a"), spec("b"), limits=Limits(None, 0, 1))
    world.launch_failed("a")
    assert [State.BACKOFF, State.LAUNCHING] == [world.state("a"), world.state("b")]
    world.tick(world.now)
    assert ("parallelism",) == world.unit("a").waiting_for
    world.launched("b")
    assert State.LAUNCHING is world.state("a")
    world.ended()


def test_who_waits_for_a_token_does_not_hold_up_who_needs_none() -> None:
    """The two queues are apart: a boot goes on while a crash waits."""
    world = World.of(*(quick(name) for name in "abcd"), limits=Limits(1.0, 1.0, 1))
    world.up("a", "b")
    world.dies("a")
    world.dies("b")
    assert [State.LAUNCHING, ("parallelism",)] == [world.state("c"), world.unit("d").waiting_for]
    world.launched("c")
    assert State.LAUNCHING is world.state("d")
    world.launched("d")
    assert State.LAUNCHING is world.state("a")
    world.launched("a")
    assert ("rate",) == world.unit("b").waiting_for
    assert UnitKey("b") in world.fleet.units
    world.ended()


def test_a_slot_that_is_free_belongs_to_who_waits_for_it() -> None:
    """Whoever may go in the very step that frees a slot stands behind those who waited for it."""
    web = spec("web", depends_on={"a": Condition.STARTED})
    world = World.of(spec("a"), spec("b"), web, limits=Limits(None, 0, 1))
    world.launched("a")
    assert [State.LAUNCHING, State.WAITING] == [world.state("b"), world.state("web")]
    world.launched("b")
    assert State.LAUNCHING is world.state("web")
    world.ended()
