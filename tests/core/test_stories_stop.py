"""Several services that are stopped: who goes before whom, who is saved, and how a shutdown always comes to its end."""

from __future__ import annotations

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.fleet import LAST_WAIT, Fleet, Limits
from supervisor.core.model import (
    Backoff,
    Condition,
    ExitAction,
    ExitRule,
    ExitSet,
    GiveUp,
    GiveUpThen,
    Kind,
    Restart,
    StopPolicy,
    UnitKey,
)
from supervisor.core.state import LaunchError, State
from tests.core.world import UNLIMITED, World, running, spec

READY = {"db": Condition.READY}
ONCE = Kind.ONESHOT


def test_stop_takes_dependents_first() -> None:
    """Of those that are to be stopped, each waits until what needs it is down."""
    world = running(spec("db"), spec("web", depends_on=READY), spec("other"))
    world.stop("db", "web")
    assert [State.RUNNING, State.STOPPING] == [world.state("db"), world.state("web")]
    world.dies("web", signal=15)
    assert [State.STOPPING, State.STOPPED] == [world.state("db"), world.state("web")]
    world.obey()
    assert [State.STOPPED, State.RUNNING] == [world.state("db"), world.state("other")]
    assert world.resting()


def test_shutdown_keeps_the_order_through_a_job_that_has_ended() -> None:
    """web needs a migration that needed db: db stays until web is down, though nothing of the migration lives."""
    world = World.of(
        spec("db"),
        spec("migrate", kind=ONCE, restart=Restart.NEVER, depends_on=READY),
        spec("web", depends_on={"migrate": Condition.COMPLETED_OK}),
    )
    world.up("db", "migrate")
    world.dies("migrate", 0)
    world.launched("web")
    world.shutdown()
    assert [State.RUNNING, State.STOPPING] == [world.state("db"), world.state("web")]
    world.obey()
    world.obey()
    assert [0] == world.codes
    assert world.resting()


def test_a_crash_of_one_that_is_about_to_be_stopped() -> None:
    """It is not respawned: it waits for the stop, which comes when its dependents are down."""
    world = running(spec("db", give_up=GiveUp(failures=0, then=GiveUpThen.SHUTDOWN)), spec("web", depends_on=READY))
    world.stop("db", "web")
    world.dies("db")
    assert (State.WAITING, ("stop",)) == (world.state("db"), world.unit("db").waiting_for)
    world.obey()
    assert [State.STOPPED] * 2 == [world.state("db"), world.state("web")]
    assert world.resting()


def test_start_of_one_that_was_to_be_stopped_saves_what_it_needs() -> None:
    """Stop both, then start the dependent: the dependency, which still ran for it, stays."""
    world = running(spec("db"), spec("web", depends_on=READY))
    world.stop("db", "web")
    world.start("web")
    world.obey()
    assert [State.RUNNING, State.LAUNCHING] == [world.state("db"), world.state("web")]
    world.ended()


def test_start_of_one_that_waits_only_to_be_stopped() -> None:
    """It died while it was held for the stop; started again, it need not wait for that stop."""
    world = running(spec("db"), spec("web", depends_on=READY))
    world.stop("db", "web")
    world.dies("db")
    assert ("stop",) == world.unit("db").waiting_for
    world.start("db")
    assert State.LAUNCHING is world.state("db")
    world.ended()


def test_shutdown_with_everything_in_every_state() -> None:
    """Whatever a unit does when the shutdown comes, it comes to rest, and nothing is launched any more."""
    crash = {"backoff": Backoff(initial=5.0), "give_up": GiveUp(failures=1)}
    world = World.of(
        spec("runs"),
        spec("flies"),
        spec("waits", depends_on={"flies": Condition.READY}),
        spec("ended", kind=ONCE, restart=Restart.NEVER),
        spec("backs-off", backoff=Backoff(initial=5.0)),
        spec("gave-up", **crash),
        spec("starts", start_grace=60.0),
        spec("down"),
    )
    world.up("runs", "ended", "backs-off", "gave-up", "starts", "down")
    world.dies("ended", 0)
    for _ in range(2):
        world.dies("gave-up")
        if world.state("gave-up") is State.LAUNCHING:
            world.launched("gave-up")
    world.dies("backs-off")
    world.launched("backs-off")
    world.dies("backs-off")
    world.stop("down")
    seen = {unit.state for unit in world.fleet.units.values()}
    expected = {State.RUNNING, State.LAUNCHING, State.WAITING, State.EXITED, State.BACKOFF, State.FATAL, State.STARTING}
    assert {*expected, State.STOPPING} == seen
    world.ended()


def test_shutdown_is_bounded_by_its_timeout() -> None:
    """What is not down within the timeout is killed, in no order, and told by name."""
    limits = Limits(rate=None, shutdown_timeout=5.0)
    world = World.of(spec("db"), spec("web", depends_on=READY, stop=StopPolicy(timeout=60.0)), limits=limits)
    world.up("db", "web")
    world.shutdown()
    world.advance(5)
    assert [State.KILLING] * 2 == [world.state("db"), world.state("web")]
    assert {"db", "web"} == {one.unit.name for one in world.notices}
    world.reap()
    assert [0] == world.codes
    assert world.resting()


def test_what_cannot_be_killed_is_left_behind() -> None:
    """After the last wait the daemon ends with 1, and says what it leaves."""
    world = World.of(spec("web"))
    world.launched("web")
    world.cannot_die("web")
    world.shutdown(hurry=True)
    world.advance(LAST_WAIT)
    assert [1] == world.codes
    assert "still alive; left behind" in [one.text for one in world.notices]
    world.shutdown(hurry=True)
    assert [1] == world.codes


def test_a_second_word_hurries_and_a_third_changes_nothing() -> None:
    """The second asks for SIGKILL at once; more of them do not put off the end."""
    world = running(spec("db"), spec("web", depends_on=READY))
    world.cannot_die("web")
    world.shutdown()
    world.shutdown(hurry=True)
    assert [State.KILLING] * 2 == [world.state("db"), world.state("web")]
    for _ in range(4):
        world.advance(1)
        world.shutdown(hurry=True)
    world.reap()
    world.advance(LAST_WAIT - 4)
    assert [1] == world.codes


def test_a_launch_in_flight_when_all_is_being_killed() -> None:
    """It is killed as soon as it is there, without the grace of a stop signal."""
    world = World.of(spec("web"))
    world.shutdown(hurry=True)
    world.launched("web")
    assert State.KILLING is world.state("web")
    world.reap()
    assert [0] == world.codes
    assert world.resting()


def test_a_service_that_asks_for_shutdown() -> None:
    """The daemon ends with 10, after its own transition was told, and everything is stopped in order."""
    rule = ExitRule(ExitSet(frozenset({3})), ExitAction.SHUTDOWN)
    world = running(spec("db"), spec("web", depends_on=READY), spec("main", exit_rules=(rule,)))
    world.dies("main", 3)
    told = [change.unit.state for change in world.turn.transitions if change.unit.name == "main"]
    assert [State.EXITED, State.STOPPED] == told
    assert [State.RUNNING, State.STOPPING] == [world.state("db"), world.state("web")]
    world.run_down()
    assert [10] == world.codes
    assert world.resting()


def test_a_service_that_asks_for_shutdown_during_one() -> None:
    """The first reason to end gives the exit status."""
    rule = ExitRule(ExitSet(frozenset({3})), ExitAction.SHUTDOWN)
    world = running(spec("db", exit_rules=(rule,)), spec("web", depends_on=READY))
    world.shutdown()
    world.dies("db", 3)
    world.obey()
    assert [0] == world.codes
    assert world.resting()


def test_nothing_starts_in_a_shutdown() -> None:
    """Commands and configurations that come too late change nothing."""
    world = running(spec("db"))
    world.shutdown()
    world.start("db")
    world.restart("db")
    world.reconfigure(spec("db"), spec("new"))
    assert [UnitKey("db")] == list(world.fleet.units)
    world.obey()
    assert [0] == world.codes
    assert world.resting()


def test_a_long_chain_is_no_deep_recursion() -> None:
    """Five hundred services that each need the one before: all wait, and all are stopped in one step."""
    chain = [spec(f"s{n}", depends_on={f"s{n - 1}": Condition.READY} if n else {}) for n in range(500)]
    fleet = Fleet({one.name: one for one in chain}, UNLIMITED, 0.0, strict=True)
    assert ["s0"] == [one.key.service for one in fleet.boot(0.0).effects if isinstance(one, fx.Launch)]
    fleet.step(ev.LaunchFailed(UnitKey("s0"), 1, LaunchError("exec", 2, "")), 0.0)
    fleet.step(ev.Stop(tuple(fleet.units)), 0.0)
    assert {State.STOPPED} == {unit.state for unit in fleet.units.values()}
    assert fleet.deadline is None
