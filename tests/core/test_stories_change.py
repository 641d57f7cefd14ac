"""A configuration that changes under living services: added, removed, replaced, scaled, and all of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.model import (
    Backoff,
    Condition,
    GiveUp,
    GiveUpThen,
    Kind,
    OnDependencyFailure,
    Restart,
    Scope,
    StopPolicy,
    UnitKey,
    UnitSpec,
)
from supervisor.core.state import State, Trigger, Want
from tests.core.world import World, spec

READY = {"db": Condition.READY}


def other(name: str, **fields: Any) -> UnitSpec:
    """Return a specification with another command."""
    return UnitSpec(name, ("/bin/false",), **fields)


def test_added_and_removed() -> None:
    """What is new starts, what left is stopped and then forgotten, what stayed is not touched."""
    world = World.of(spec("a"), spec("b"))
    world.up("a", "b")
    world.reconfigure(spec("b"), spec("c"))
    assert [State.STOPPING, State.RUNNING, State.LAUNCHING] == [world.state(name) for name in "abc"]
    world.obey()
    assert [UnitKey("a")] == world.forgotten
    assert {"b", "c"} == {key.service for key in world.fleet.units}
    assert [1] == [one.life for one in world.launches if one.key.service == "b"]
    world.ended()


@pytest.mark.parametrize("state", [State.BACKOFF, State.FATAL, State.EXITED, State.WAITING, State.STOPPED])
def test_what_is_removed_at_rest_is_forgotten_at_once(state: State) -> None:
    """Nothing of it lives: nothing needs to be waited for."""
    cases: dict[State, dict[str, Any]] = {
        State.BACKOFF: {"backoff": Backoff(initial=5.0)},
        State.FATAL: {"give_up": GiveUp(failures=1)},
        State.EXITED: {"restart": Restart.NEVER},
        State.WAITING: {"depends_on": READY},
        State.STOPPED: {"autostart": False},
    }
    fields = cases[state]
    world = World.of(spec("db"), spec("web", **fields))
    for _ in range(2):
        if world.state("web") is State.LAUNCHING:
            world.launched("web")
            world.dies("web")
    assert state is world.state("web")
    world.reconfigure(spec("db"))
    assert [UnitKey("web")] == world.forgotten
    world.ended()


def test_removed_together_they_go_in_order() -> None:
    """A dependency that leaves with its dependent waits for it, and is forgotten after it."""
    world = World.of(spec("db"), spec("web", depends_on=READY))
    world.up("db", "web")
    world.reconfigure(spec("rest"))
    assert [State.RUNNING, State.STOPPING] == [world.state("db"), world.state("web")]
    world.obey()
    world.obey()
    assert [UnitKey("web"), UnitKey("db")] == world.forgotten
    world.ended()


def test_a_new_program_replaces_the_old_by_the_old_rules() -> None:
    """The life ends by the stop rules it was started under, and the next one is by the new specification."""
    world = World.of(spec("web", stop=StopPolicy(signal=3)))
    world.launched("web")
    world.reconfigure(other("web"))
    assert [fx.Signal(UnitKey("web"), 1, 3, Scope.MAIN)] == world.turn.effects
    world.dies("web", signal=3)
    assert (Trigger.CONFIG, ("/bin/false",)) == (world.unit("web").trigger, world.launches[-1].spec.command)
    world.ended()


def test_what_holds_at_once_costs_no_life() -> None:
    """A changed policy, priority or dependency is taken without a restart."""
    world = World.of(spec("web"))
    world.launched("web")
    world.reconfigure(spec("web", restart=Restart.NEVER, priority=1))
    assert (State.RUNNING, Restart.NEVER) == (world.state("web"), world.unit("web").spec.restart)
    world.dies("web")
    assert State.EXITED is world.state("web")
    world.ended()


def test_changed_while_it_is_launched() -> None:
    """A launch in flight is of the old program: it is replaced as soon as it is there."""
    world = World.of(spec("web", stop=StopPolicy(signal=3)))
    world.reconfigure(other("web"))
    assert State.LAUNCHING is world.state("web")
    world.launched("web")
    assert [fx.Signal(UnitKey("web"), 1, 3, Scope.MAIN)] == world.turn.effects
    world.obey()
    assert ("/bin/false",) == world.launches[-1].spec.command
    world.launched("web")
    assert State.RUNNING is world.state("web")
    world.ended()


def test_changed_and_changed_back_while_it_is_launched() -> None:
    """What is in flight is what is wanted again: nothing needs to be replaced."""
    world = World.of(spec("web"))
    world.reconfigure(other("web"))
    world.reconfigure(spec("web"))
    world.launched("web")
    assert State.RUNNING is world.state("web")
    world.ended()


@pytest.mark.parametrize("state", [State.BACKOFF, State.FATAL, State.EXITED])
def test_a_new_program_for_what_had_come_to_nothing(state: State) -> None:
    """An operator who mends the command need not start it too."""
    cases: dict[State, dict[str, Any]] = {
        State.BACKOFF: {"backoff": Backoff(initial=5.0)},
        State.FATAL: {"give_up": GiveUp(failures=1, then=GiveUpThen.STAY)},
        State.EXITED: {"restart": Restart.NEVER},
    }
    fields = cases[state]
    world = World.of(spec("web", **fields))
    for _ in range(2):
        if world.state("web") is State.LAUNCHING:
            world.launched("web")
            world.dies("web")
    assert state is world.state("web")
    world.reconfigure(other("web", **fields))
    assert (State.LAUNCHING, Trigger.CONFIG) == (world.state("web"), world.unit("web").trigger)
    assert 0 == world.unit("web").streak
    world.ended()


def test_a_new_program_with_new_dependencies_waits_for_them() -> None:
    """The conditions that count are those of the configuration that is taken."""
    world = World.of(spec("db", autostart=False), spec("web", restart=Restart.NEVER))
    world.launched("web")
    world.dies("web")
    world.reconfigure(spec("db", autostart=False), other("web", restart=Restart.NEVER, depends_on=READY))
    assert (State.WAITING, ("db ready",)) == (world.state("web"), world.unit("web").waiting_for)
    world.ended()


def test_a_new_program_for_what_an_operator_stopped() -> None:
    """It stays stopped: a configuration does not overrule a command."""
    world = World.of(spec("web"))
    world.launched("web")
    world.stop("web")
    world.obey()
    world.reconfigure(other("web"))
    assert (State.STOPPED, Want.DOWN) == (world.state("web"), world.unit("web").want)
    world.ended()


def test_a_waiting_unit_looks_at_its_new_dependencies() -> None:
    """What it waited for may have left with the configuration; what it waits for now may be another."""
    world = World.of(spec("db", start_grace=60.0), spec("cache", start_grace=60.0), spec("web", depends_on=READY))
    world.up("db", "cache")
    both = spec("db", start_grace=60.0), spec("cache", start_grace=60.0)
    world.reconfigure(*both, spec("web", depends_on={"cache": Condition.READY}))
    assert ("cache ready",) == world.unit("web").waiting_for
    world.reconfigure(*both, spec("web"))
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_the_graph_changes_under_a_stop_wave() -> None:
    """One that was held for a dependent is let go when the dependent no longer needs it."""
    world = World.of(spec("db"), spec("web", depends_on=READY))
    world.up("db", "web")
    world.stop("db", "web")
    assert State.RUNNING is world.state("db")
    world.reconfigure(spec("db"), spec("web"))
    assert State.STOPPING is world.state("db")
    world.obey()
    assert world.resting()


def test_scaled_down_and_up_again() -> None:
    """Replicas that leave and come back before they are down live on under their number."""
    world = World.of(spec("web", replicas=3))
    world.up("web:0", "web:1", "web:2")
    world.reconfigure(spec("web", replicas=1))
    assert [State.RUNNING, State.STOPPING] == [world.state("web:0"), world.state("web:2")]
    world.dies("web:2", signal=15)
    assert [UnitKey("web", 2)] == world.forgotten
    world.reconfigure(spec("web", replicas=3))
    assert [State.STOPPING, State.LAUNCHING] == [world.state("web:1"), world.state("web:2")]
    world.dies("web:1", signal=15)
    assert State.LAUNCHING is world.state("web:1")
    world.ended()


@pytest.mark.parametrize("policy", OnDependencyFailure)
def test_scaling_a_dependency_down_is_no_loss(policy: OnDependencyFailure) -> None:
    """A replica that leaves the configuration is no dependency any more."""
    web = spec("web", depends_on=READY, on_dependency_failure=policy)
    world = World.of(spec("db", replicas=2), web)
    world.up("db:0", "db:1", "web")
    world.reconfigure(spec("db", replicas=1), web)
    world.obey()
    assert State.RUNNING is world.state("web")
    world.dies("web")
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_a_dependency_loses_a_replica_together_with_its_dependent() -> None:
    """The leaving replica waits for the leaving dependent, and is not forgotten in its place."""
    world = World.of(spec("db", replicas=2), spec("web", depends_on=READY))
    world.up("db:0", "db:1", "web")
    world.reconfigure(spec("db", replicas=1))
    assert [State.RUNNING, State.STOPPING] == [world.state("db:1"), world.state("web")]
    world.obey()
    world.obey()
    assert [UnitKey("web"), UnitKey("db", 1)] == world.forgotten
    world.ended()


def test_removed_and_added_again_at_once() -> None:
    """Before it is down: it is down first, then back under its new specification, a restart."""
    world = World.of(spec("web"))
    world.launched("web")
    world.reconfigure()
    world.reconfigure(other("web"))
    assert (State.STOPPING, Want.UP) == (world.state("web"), world.unit("web").want)
    world.obey()
    assert (State.LAUNCHING, ("/bin/false",)) == (world.state("web"), world.launches[-1].spec.command)
    assert [] == world.forgotten
    world.ended()


def test_removed_and_added_while_it_is_launched() -> None:
    """The launch in flight is of the old program, even though the unit left meanwhile."""
    world = World.of(spec("web"))
    world.reconfigure()
    world.reconfigure(other("web"))
    world.launched("web")
    world.obey()
    assert ("/bin/false",) == world.launches[-1].spec.command
    world.ended()


def test_the_numbers_of_a_removed_service_are_not_used_again() -> None:
    """News of a life before the removal is a ghost to the service that came back."""
    world = World.of(spec("web", stop=StopPolicy(timeout=0.0)))
    world.launched("web")
    world.reconfigure()
    world.obey()
    world.reconfigure(spec("web"))
    assert 2 == world.launches[-1].life
    world.step(ev.LaunchFailed(UnitKey("web"), 1, world.unit("web").error))  # type: ignore[arg-type]  # a ghost
    assert (1, State.LAUNCHING) == (world.fleet.ghosts, world.state("web"))
    world.ended()


def test_start_of_what_is_leaving() -> None:
    """What left the configuration cannot be started; it goes, and is forgotten."""
    world = World.of(spec("web"))
    world.launched("web")
    world.reconfigure()
    world.start("web")
    world.restart("web")
    world.obey()
    assert [UnitKey("web")] == world.forgotten
    world.ended()


def test_a_dependency_turned_round_while_the_old_one_lingers() -> None:
    """Old replicas need what now needs them: nobody waits for each other, and all comes to rest."""
    world = World.of(spec("db"), spec("web", replicas=2, depends_on=READY))
    world.up("db", "web:0", "web:1")
    world.cannot_die("web:1")
    world.reconfigure(spec("web", replicas=1), spec("db", depends_on={"web": Condition.READY}))
    assert State.STOPPING is world.state("web:1")
    world.reconfigure(spec("web", replicas=0))
    world.dies("db", signal=15)
    world.dies("web:0", signal=15)
    world.dies("web:1", signal=9)
    assert 3 == len(world.forgotten)
    assert world.resting()


def test_a_job_with_a_new_program_runs_again() -> None:
    """Its completion stays: those that waited for it need not wait again."""
    job = {"kind": Kind.ONESHOT, "restart": Restart.NEVER}
    world = World.of(spec("job", **job), spec("web", depends_on={"job": Condition.COMPLETED_OK}))
    world.launched("job")
    world.dies("job", 0)
    world.launched("web")
    world.reconfigure(other("job", **job), spec("web", depends_on={"job": Condition.COMPLETED_OK}))
    assert [State.LAUNCHING, State.RUNNING] == [world.state("job"), world.state("web")]
    world.ended()
