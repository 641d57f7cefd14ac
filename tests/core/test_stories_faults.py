"""Faults of our own: where deciding fails, the unit is set aside with its life, and taken back by a start or a stop."""

from __future__ import annotations

import pytest

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.decide import COLUMNS, TABLE, Row
from supervisor.core.handlers import Impossible, impossible
from supervisor.core.model import Condition, UnitKey
from supervisor.core.state import LaunchError, State, Trigger, Want
from tests.core.adversary import Faulty
from tests.core.world import World, key_of, spec

FLIGHT, PROCESS, STRAGGLERS = "flight", "process", "stragglers"


def broken(world: World, name: str) -> None:
    """Let deciding for a unit fail."""
    world.books.faults += 1
    world.step(Faulty(key_of(name)))


def aside(what: str) -> World:
    """Return a world in which web is quarantined with something of its life there."""
    world = World.of(spec("web"), spec("other"), strict=False)
    world.launched("other")
    if what != FLIGHT:
        world.launched("web")
    if what == STRAGGLERS:
        world.dies("web", left=True)
    broken(world, "web")
    assert State.FATAL is world.state("web")
    assert world.resting()
    return world


def test_under_test_a_fault_is_raised() -> None:
    """A strict fleet hides nothing."""
    world = World.of(spec("web"))
    with pytest.raises(KeyError):
        world.fleet.step(Faulty(UnitKey("web")), world.now)
    world.launched("web")
    with pytest.raises(Impossible, match="Launched for web in running"):
        world.step(ev.Launched(UnitKey("web"), 1, 7, world.now, world.now))


def test_the_others_go_on() -> None:
    """The unit is fatal and told; its process is left alone, with its pid; nobody else is touched."""
    world = aside(PROCESS)
    assert [("web", "error")] == [(one.unit.name, one.level) for one in world.notices]
    assert world.notices[0].text.startswith("quarantined: KeyError")
    assert (102, 1) == (world.unit("web").pid, world.fleet.quarantined)
    world.dies("other")
    assert State.LAUNCHING is world.state("other")
    world.ended()


@pytest.mark.parametrize("what", [FLIGHT, PROCESS, STRAGGLERS])
@pytest.mark.parametrize("verb", ["start", "restart"])
def test_started_again_what_is_left_is_ended_first(what: str, verb: str) -> None:
    """Two lives of one unit there are never; a launch that is still in flight becomes the start."""
    world = aside(what)
    getattr(world, verb)("web")
    if what == FLIGHT:
        assert (State.LAUNCHING, 1) == (world.state("web"), world.unit("web").life)
        world.launched("web")
        assert State.RUNNING is world.state("web")
    else:
        assert (State.STOPPING if what == PROCESS else State.KILLING) is world.state("web")
        if what == STRAGGLERS:
            world.gone("web")
        else:
            world.dies("web", signal=15)
        assert (State.LAUNCHING, Trigger.MANUAL) == (world.state("web"), world.unit("web").trigger)
        assert 2 == world.unit("web").life
    world.ended()


@pytest.mark.parametrize("what", [FLIGHT, PROCESS, STRAGGLERS])
def test_stopped_it_goes_down_as_any_other(what: str) -> None:
    """A stop takes it back and ends what is there."""
    world = aside(what)
    world.stop("web")
    assert State.FATAL is not world.state("web")
    world.run_down([UnitKey("web")])
    assert (State.STOPPED, Want.DOWN) == (world.state("web"), world.unit("web").want)
    world.ended()


@pytest.mark.parametrize("what", [FLIGHT, PROCESS, STRAGGLERS])
def test_shutdown_leaves_nothing_of_it(what: str) -> None:
    """The daemon does not end before what was set aside has ended."""
    world = aside(what)
    world.shutdown()
    assert [] == world.codes
    world.run_down()
    assert [0] == world.codes
    assert [] == [life for life in world.lives.values() if life.there]


def test_what_the_host_tells_of_it_is_kept() -> None:
    """The answer of exec, the exit, the last straggler: after them nothing is left, and a start is a plain start."""
    world = aside(FLIGHT)
    world.launched("web")
    assert State.FATAL is world.state("web")
    assert world.unit("web").pid is not None
    world.unhealthy("web")
    world.ready("web")
    world.dies("web", 3, left=True)
    assert (3, None) == (world.exit("web").code, world.unit("web").pid)
    world.gone("web")
    assert world.unit("web").aside is None
    world.start("web")
    assert (State.LAUNCHING, 2) == (world.state("web"), world.unit("web").life)
    world.ended()


def test_a_launch_that_fails_after_quarantine() -> None:
    """Nothing came of it: nothing is there to be ended."""
    world = aside(FLIGHT)
    world.launch_failed("web")
    assert (None, "exec") == (world.unit("web").aside, world.error("web").stage)
    world.ended()


def test_the_fault_comes_with_the_news_of_an_exit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decision failed, the fact stays: the process is known to be dead."""
    world = World.of(spec("web"), strict=False)
    world.launched("web")
    world.books.faults += 1
    row = TABLE[State.RUNNING]
    answers = list(row.answers)
    answers[COLUMNS.index(ev.Exited)] = impossible
    monkeypatch.setitem(TABLE, State.RUNNING, Row(tuple(answers), row.leads_to))
    world.dies("web")
    unit = world.unit("web")
    assert (State.FATAL, None, True) == (unit.state, unit.aside, unit.main_gone)
    assert [fx.Notice] == [type(one) for one in world.turn.effects]
    world.ended()


def test_removed_from_the_configuration_it_is_ended_and_forgotten() -> None:
    """Quarantine keeps nothing in the fleet that the configuration does not have."""
    world = aside(PROCESS)
    world.reconfigure(spec("other"))
    world.obey()
    assert [UnitKey("web")] == world.forgotten
    world.ended()


def test_a_fault_while_it_is_being_stopped() -> None:
    """It is set aside and, since it is to be stopped, taken back in the same step."""
    world = World.of(spec("db"), spec("web", depends_on={"db": Condition.READY}), strict=False)
    world.up("db", "web")
    world.shutdown()
    broken(world, "web")
    assert State.STOPPING is world.state("web")
    world.run_down()
    assert [0] == world.codes
    assert world.resting()


def test_news_of_nobody_is_counted_and_changes_nothing() -> None:
    """An older life, a life to come, a unit that never was: ghosts."""
    world = World.of(spec("web"))
    world.launched("web")
    before = world.unit("web")
    for key, life in ((UnitKey("web"), 0), (UnitKey("web"), 2), (UnitKey("who"), 1)):
        world.step(ev.Exited(key, life, 1, None, 0.0, 0.0))
        world.step(ev.LaunchFailed(key, life, LaunchError("exec", 2, "")))
    assert 6 == world.fleet.ghosts
    assert before is world.unit("web")
    world.ended()
