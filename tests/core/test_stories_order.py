"""Several services: who starts after whom, who bears whose death, who is stopped before whom, and how it all ends."""

from __future__ import annotations

import pytest

from supervisor.core.fleet import Limits
from supervisor.core.model import (
    Condition,
    GiveUp,
    Kind,
    OnDependencyFailure,
    Restart,
)
from supervisor.core.state import State, Trigger, Want
from tests.core.world import World, running, spec

READY = {"db": Condition.READY}
ONCE = Kind.ONESHOT


def test_a_dependent_waits_for_its_condition() -> None:
    """It says what it waits for, and goes in the very step in which the condition holds."""
    world = World.of(spec("web", depends_on=READY), spec("db", start_grace=2.0))
    assert (State.WAITING, ("db ready",)) == (world.state("web"), world.unit("web").waiting_for)
    world.launched("db")
    assert State.WAITING is world.state("web")
    world.advance(2)
    assert State.LAUNCHING is world.state("web")
    world.ended()


@pytest.mark.parametrize(
    ("condition", "code", "goes"),
    [
        (Condition.STARTED, None, True),
        (Condition.READY, None, False),
        (Condition.READY, 0, True),
        (Condition.COMPLETED, None, False),
        (Condition.COMPLETED, 1, True),
        (Condition.COMPLETED_OK, 1, False),
        (Condition.COMPLETED_OK, 0, True),
    ],
)
def test_the_conditions_of_a_job(condition: Condition, code: int | None, goes: bool) -> None:
    """What a oneshot that runs (no code), or has ended, gives to those that depend on it."""
    world = World.of(spec("job", kind=ONCE, restart=Restart.NEVER), spec("web", depends_on={"job": condition}))
    world.launched("job")
    if code is not None:
        world.dies("job", code)
    assert (State.LAUNCHING if goes else State.WAITING) is world.state("web")
    world.ended()


def test_a_completed_condition_stays_satisfied() -> None:
    """A job that is run again, and fails, takes nothing back."""
    world = World.of(
        spec("job", kind=ONCE, restart=Restart.NEVER),
        spec("web", depends_on={"job": Condition.COMPLETED_OK}, on_dependency_failure=OnDependencyFailure.STOP),
    )
    world.launched("job")
    world.dies("job", 0)
    world.launched("web")
    world.start("job")
    world.launched("job")
    world.dies("job", 1)
    assert State.RUNNING is world.state("web")
    world.dies("web")
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_all_replicas_count() -> None:
    """A condition on a service holds when it holds for each replica."""
    world = World.of(spec("db", replicas=2), spec("web", depends_on=READY))
    world.launched("db:0")
    assert State.WAITING is world.state("web")
    world.launched("db:1")
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_a_death_while_a_dependency_is_down_is_not_counted() -> None:
    """It waits for its dependency, and its budget is left alone."""
    world = running(spec("db"), spec("web", depends_on=READY, give_up=GiveUp(failures=0)))
    world.stop("db")
    world.obey()
    world.dies("web")
    assert (State.WAITING, 0) == (world.state("web"), world.unit("web").streak)
    world.start("db")
    world.launched("db")
    assert State.LAUNCHING is world.state("web")
    world.ended()


@pytest.mark.parametrize("cause", ["dies", "restart", "stop"])
@pytest.mark.parametrize(
    ("policy", "state"),
    [
        (OnDependencyFailure.WAIT, State.RUNNING),
        (OnDependencyFailure.IGNORE, State.RUNNING),
        (OnDependencyFailure.RESTART, State.STOPPING),
        (OnDependencyFailure.STOP, State.STOPPING),
    ],
)
def test_what_a_running_dependent_does(policy: OnDependencyFailure, state: State, cause: str) -> None:
    """Its policy answers the loss of a dependency, whether that died, was restarted or was stopped."""
    world = running(spec("db"), spec("web", depends_on=READY, on_dependency_failure=policy))
    getattr(world, cause)("db")
    assert state is world.state("web")
    if cause == "dies":
        world.launched("db")
    world.obey()
    if policy is OnDependencyFailure.RESTART:
        back = cause == "dies"
        assert (State.LAUNCHING if back else State.WAITING) is world.state("web")
        assert Trigger.DEPENDENCY is world.unit("web").trigger
    elif policy is OnDependencyFailure.STOP:
        assert (State.STOPPED, Want.DOWN) == (world.state("web"), world.unit("web").want)
    world.ended()


def test_a_started_condition_is_lost_by_one_that_was_only_starting() -> None:
    """Whoever was content with `started` loses it also when the dependency dies in its grace."""
    needs = {"db": Condition.STARTED}
    world = World.of(
        spec("db", start_grace=5.0), spec("web", depends_on=needs, on_dependency_failure=OnDependencyFailure.RESTART)
    )
    world.up("db", "web")
    assert State.STARTING is world.state("db")
    world.dies("db")
    assert State.STOPPING is world.state("web")
    world.ended()


@pytest.mark.parametrize("grace", [0.0, 5.0])
@pytest.mark.parametrize("policy", [OnDependencyFailure.RESTART, OnDependencyFailure.STOP])
def test_a_dependency_that_dies_while_the_dependent_comes_up(policy: OnDependencyFailure, grace: float) -> None:
    """In exec it cannot be signalled: it is told when exec is answered; in its grace it is told at once."""
    world = World.of(spec("db"), spec("web", depends_on=READY, on_dependency_failure=policy, start_grace=grace))
    world.launched("db")
    world.dies("db")
    assert State.LAUNCHING is world.state("web")
    world.launched("web")
    assert State.STOPPING is world.state("web")
    world.obey()
    assert (State.WAITING if policy is OnDependencyFailure.RESTART else State.STOPPED) is world.state("web")
    world.ended()


def test_one_that_must_go_again_starts_nobody() -> None:
    """A unit that comes up, and has to go for a loss meanwhile, is no dependency for others in that moment."""
    world = World.of(
        spec("a"),
        spec("b", depends_on={"a": Condition.READY}, on_dependency_failure=OnDependencyFailure.RESTART),
        spec("c", depends_on={"b": Condition.READY}),
    )
    world.launched("a")
    world.dies("a")
    world.launched("b")
    assert [State.STOPPING, State.WAITING] == [world.state("b"), world.state("c")]
    world.ended()


def test_who_ignores_its_dependencies_needs_them_only_once() -> None:
    """The first start waits; a respawn does not."""
    world = World.of(spec("db"), spec("web", depends_on=READY, on_dependency_failure=OnDependencyFailure.IGNORE))
    assert State.WAITING is world.state("web")
    world.up("db", "web")
    world.stop("db")
    world.dies("web")
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_start_brings_up_what_is_needed() -> None:
    """Dependencies that an operator had stopped are started before."""
    world = World.of(spec("db"), spec("web", depends_on=READY))
    world.up("db", "web")
    world.stop("db", "web")
    world.obey()
    world.obey()
    assert [State.STOPPED] * 2 == [world.state("db"), world.state("web")]
    world.start("web")
    assert [State.LAUNCHING, State.WAITING] == [world.state("db"), world.state("web")]
    world.ended()


def test_boot_starts_by_priority_and_only_what_starts_by_itself() -> None:
    """Everything that needs nothing starts at once, by priority; the boot is over when that is answered."""
    world = World.of(
        spec("late", priority=10),
        spec("by-hand", autostart=False),
        spec("early", priority=1),
        spec("web", depends_on={"late": Condition.READY}),
        boot=False,
    )
    booted = [world.fleet.booted]
    world.take(world.fleet.boot(world.now))
    assert ["early", "late"] == [one.key.service for one in world.launches]
    assert State.STOPPED is world.state("by-hand")
    world.launched("early")
    booted.append(world.fleet.booted)
    world.launch_failed("late")
    booted.append(world.fleet.booted)
    assert [False, False, True] == booted
    world.ended()


def test_the_boot_is_not_over_while_a_launch_waits_for_a_slot() -> None:
    """Each that needs nothing counts, also those that the parallelism holds back; one that is stopped does not."""
    world = World.of(spec("a"), spec("b"), spec("c"), limits=Limits(rate=None, parallelism=1))
    booted = []
    for name in "ab":
        world.launched(name)
        booted.append(world.fleet.booted)
        world.stop("c")
    booted.append(world.fleet.booted)
    assert [False, True, True] == booted
    world.ended()


def test_a_boot_of_nothing() -> None:
    """A configuration without services is up at once, and ends at once."""
    world = World.of()
    assert world.fleet.booted
    world.ended()


def test_a_restart_of_both_ends_with_both() -> None:
    """Restarted together, the dependent waits for the dependency."""
    world = running(spec("db"), spec("web", depends_on=READY))
    world.restart("db", "web")
    world.obey()
    assert [State.LAUNCHING, State.WAITING] == [world.state("db"), world.state("web")]
    world.up("db", "web")
    assert [1, 1] == [world.unit("db").restarts, world.unit("web").restarts]
    world.ended()
