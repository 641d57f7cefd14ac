"""One service from start to end, told under a fake clock; each story ends with no timer left."""

from __future__ import annotations

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.model import (
    Backoff,
    GiveUp,
    Kind,
    Restart,
    Scope,
    StopPolicy,
    UnitKey,
)
from supervisor.core.state import Reason, State, Trigger, Want
from tests.core.world import World, spec

STEADY = Backoff(initial=1.0, factor=2.0, max=10.0, jitter=0.0, reset_after=60.0)


def test_it_starts_runs_and_stops() -> None:
    """A start launches; exec's answer is all that running needs; a stop signals, and its exit is the end."""
    world = World.of(spec("web"))
    assert State.LAUNCHING is world.state("web")
    world.launched("web")
    assert State.RUNNING is world.state("web")
    assert world.resting()
    world.stop("web")
    assert [fx.Signal(world.unit("web").key, 1, 15, Scope.MAIN)] == world.turn.effects
    world.dies("web", signal=15)
    assert (State.STOPPED, Want.DOWN) == (world.state("web"), world.unit("web").want)
    assert Reason.STOPPED is world.exit("web").reason
    assert world.resting()


def test_one_that_is_deaf_to_the_stop_signal_is_killed() -> None:
    """When the stop timeout is over all of it gets SIGKILL, again every second, with a word to the operator."""
    world = World.of(spec("web", stop=StopPolicy(timeout=10.0)))
    world.launched("web")
    world.cannot_die("web")
    world.stop("web")
    world.advance(9.9)
    assert State.STOPPING is world.state("web")
    world.advance(0.1)
    assert State.KILLING is world.state("web")
    assert [fx.Sweep(world.unit("web").key, 1, 9)] == world.turn.effects
    world.advance(2)
    assert ["still alive 1 s after SIGKILL", "still alive 2 s after SIGKILL"] == [one.text for one in world.notices]
    world.dies("web", signal=9)
    assert (State.STOPPED, Reason.KILLED) == (world.state("web"), world.exit("web").reason)
    assert world.resting()


def test_stragglers_are_swept_before_the_next_life() -> None:
    """What a dead main process leaves gets TERM at once and KILL two seconds later; the respawn comes after it."""
    world = World.of(spec("web"))
    world.launched("web")
    world.dies("web", left=True)
    assert [fx.Sweep(world.unit("web").key, 1, 15)] == world.turn.effects
    assert State.STOPPING is world.state("web")
    world.advance(2)
    assert [fx.Sweep(world.unit("web").key, 1, 9)] == world.turn.effects
    world.gone("web")
    assert (State.LAUNCHING, Trigger.CRASH) == (world.state("web"), world.unit("web").trigger)
    assert 1 == world.unit("web").streak
    world.ended()


def test_stragglers_do_not_outlive_the_stop_timeout() -> None:
    """A main process that ends late leaves its stragglers only what is left of the timeout."""
    world = World.of(spec("web", stop=StopPolicy(timeout=3.0)))
    world.launched("web")
    world.stop("web")
    world.advance(2.5)
    world.dies("web", signal=15, left=True)
    world.advance(0.5)
    assert State.KILLING is world.state("web")
    world.gone("web")
    assert State.STOPPED is world.state("web")
    assert world.resting()


def test_gone_before_the_main_process_is_dead_means_nothing() -> None:
    """Only the exit of the main process ends a life: its stragglers may have gone before it."""
    world = World.of(spec("web", stop=StopPolicy(timeout=0.0)))
    world.launched("web")
    world.restart("web")
    world.tick(world.now)
    life = world.life("web")
    world.step(ev.Gone(UnitKey("web"), 1))
    assert State.KILLING is world.state("web")
    world.dies("web", signal=9)
    assert life is not world.life("web")
    world.ended()


def test_it_is_ready_before_exec_is_answered() -> None:
    """READY may overtake the answer of exec: it is remembered, and there is no grace to wait for."""
    world = World.of(spec("web", start_grace=5.0))
    world.ready("web")
    assert State.LAUNCHING is world.state("web")
    world.launched("web")
    assert State.RUNNING is world.state("web")
    world.ended()


def test_the_start_grace() -> None:
    """Without a word of readiness, running means exec succeeded and the grace survived; a death before is a failure."""
    world = World.of(spec("web", start_grace=5.0))
    world.launched("web")
    assert State.STARTING is world.state("web")
    world.advance(5)
    assert State.RUNNING is world.state("web")
    world.dies("web")
    world.launched("web")
    world.ready("web")
    assert State.RUNNING is world.state("web")
    world.dies("web")
    world.advance(1)
    world.launched("web")
    world.dies("web")
    assert (State.BACKOFF, 3) == (world.state("web"), world.unit("web").streak)
    world.ended()


def test_exec_that_does_not_answer_is_warned_of() -> None:
    """A launch has no end but its answer; every ten seconds without one are told."""
    world = World.of(spec("web"))
    world.advance(25)
    texts = [one.text for one in world.notices]
    assert ["10 s without an answer from exec", "20 s without an answer from exec"] == texts
    world.launched("web")
    assert world.resting()


def test_stopped_while_it_is_launched() -> None:
    """What cannot be signalled yet is signalled as soon as it can be."""
    world = World.of(spec("web"))
    world.stop("web")
    assert State.LAUNCHING is world.state("web")
    world.launched("web")
    assert State.STOPPING is world.state("web")
    world.obey()
    assert State.STOPPED is world.state("web")
    assert world.resting()


def test_restart() -> None:
    """A restart stops, starts, is counted by its trigger, and spends nothing of the budget."""
    world = World.of(spec("web", give_up=GiveUp(failures=0)))
    world.launched("web")
    world.restart("web", trigger=Trigger.FEEDBACK)
    world.dies("web", signal=15)
    assert (State.LAUNCHING, Trigger.FEEDBACK) == (world.state("web"), world.unit("web").trigger)
    world.launched("web")
    assert (1, 0) == (world.unit("web").restarts, world.unit("web").streak)
    world.ended()


def test_restart_also_when_it_never_respawns() -> None:
    """An operator's restart asks no policy, and it survives the escalation."""
    world = World.of(spec("web", restart=Restart.NEVER))
    world.launched("web")
    world.restart("web")
    world.advance(10)
    assert State.KILLING is world.state("web")
    world.dies("web", signal=9)
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_start_of_what_is_being_stopped() -> None:
    """Started again before it is down, it comes back after that, as a restart with a clean record."""
    world = World.of(spec("web", restart=Restart.NEVER))
    world.launched("web")
    world.stop("web")
    world.start("web")
    assert (State.STOPPING, Want.UP) == (world.state("web"), world.unit("web").want)
    world.dies("web", signal=15)
    assert (State.LAUNCHING, Trigger.MANUAL) == (world.state("web"), world.unit("web").trigger)
    world.ended()


def test_restart_of_what_an_operator_stops() -> None:
    """The last word counts: stop, then restart, is a restart."""
    world = World.of(spec("web"))
    world.launched("web")
    world.stop("web")
    world.restart("web")
    world.dies("web", signal=15)
    assert State.LAUNCHING is world.state("web")
    world.ended()


def test_late_news_of_a_probe_is_nothing() -> None:
    """Ready and unhealthy may arrive after the death that they could not know of; nobody is at fault."""
    world = World.of(spec("web", backoff=STEADY), spec("job", kind=Kind.ONESHOT, restart=Restart.NEVER))
    world.up("web", "job")
    world.dies("web")
    world.up("web")
    world.dies("web")
    world.dies("job")
    before = world.unit("web"), world.unit("job")
    for name in ("web", "job"):
        world.unhealthy(name)
        world.ready(name)
    assert before == (world.unit("web"), world.unit("job"))
    world.ended()


def test_a_oneshot_that_succeeds_rests() -> None:
    """It has completed, well; to start it again is to run it again."""
    world = World.of(spec("job", kind=Kind.ONESHOT, restart=Restart.ON_FAILURE))
    world.launched("job")
    world.dies("job", 0)
    unit = world.unit("job")
    assert (State.EXITED, True, True) == (unit.state, unit.completed, unit.completed_ok)
    assert world.resting()
    world.start("job")
    world.launched("job")
    world.dies("job", 0)
    assert (State.EXITED, 0) == (world.state("job"), world.unit("job").restarts)
    assert world.resting()


def test_an_adopted_life_is_supervised_like_any_other() -> None:
    """A life of an earlier daemon runs at once; its death is answered, and an old death is not taken for its own."""
    world = World.of(spec("web"))
    world.launched("web")
    world.stop("web")
    world.obey()
    world.adopted("web")
    assert (State.RUNNING, Want.UP, False) == (world.state("web"), world.unit("web").want, world.unit("web").main_gone)
    world.dies("web")
    assert State.LAUNCHING is world.state("web")
    world.ended()
