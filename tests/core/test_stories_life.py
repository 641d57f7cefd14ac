"""One service from start to end, told under a fake clock; each story ends with no timer left."""

from __future__ import annotations

import pytest

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.model import (
    Backoff,
    ExitAction,
    ExitRule,
    ExitSet,
    GiveUp,
    GiveUpThen,
    Kind,
    Restart,
    Scope,
    StopPolicy,
    UnitKey,
)
from supervisor.core.state import Reason, State, Trigger, Want
from tests.core.world import World, spec

STEADY = Backoff(initial=1.0, factor=2.0, max=10.0, jitter=0.0, reset_after=60.0)


def ended(world: World) -> None:
    """Shut down in good order, and see that nothing is left."""
    world.shutdown()
    world.run_down()
    assert [0] == world.codes
    assert world.resting()


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


def test_the_first_respawn_is_immediate_and_then_it_backs_off() -> None:
    """The first failure in a row is answered at once, the second after `initial`, each further one after twice that."""
    world = World.of(spec("web", backoff=STEADY))
    world.launched("web")
    world.dies("web")
    assert (State.LAUNCHING, 2) == (world.state("web"), world.unit("web").life)
    for pause in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0):
        world.launched("web")
        world.dies("web")
        assert (State.BACKOFF, pause) == (world.state("web"), world.unit("web").delay)
        world.advance(pause - 0.001)
        assert State.BACKOFF is world.state("web")
        world.advance(0.001)
        assert State.LAUNCHING is world.state("web")
    assert 7 == world.unit("web").restarts + 1
    ended(world)


@pytest.mark.parametrize(("draw", "pause"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_jitter_moves_the_delay_both_ways(draw: float, pause: float) -> None:
    """What died together does not come back together."""
    world = World.of(spec("web", backoff=Backoff(initial=1.0, jitter=0.5)))
    world.launched("web")
    world.dies("web")
    world.launched("web")
    world.dies("web", draw=draw)
    assert pause == world.unit("web").delay
    ended(world)


def test_a_long_run_forgives_the_streak() -> None:
    """After `reset_after` seconds of running the next failure is a first one again; the window keeps its own count."""
    world = World.of(spec("web", backoff=STEADY))
    world.launched("web")
    world.dies("web")
    world.launched("web")
    world.advance(59.9)
    assert 1 == world.unit("web").streak
    world.advance(0.1)
    assert (0, 1) == (world.unit("web").streak, len(world.unit("web").failures))
    assert world.resting()
    world.dies("web")
    assert State.LAUNCHING is world.state("web")
    ended(world)


def test_too_many_failures_are_given_up_until_the_cooldown_is_over() -> None:
    """More than `failures` within the window: fatal; after the cooldown one try; if that fails, fatal again at once."""
    policy = GiveUp(failures=2, within=60.0, cooldown=100.0)
    world = World.of(spec("web", backoff=Backoff(initial=0.0), give_up=policy))
    for _ in range(3):
        world.launched("web")
        world.dies("web")
    assert (State.FATAL, 3) == (world.state("web"), len(world.launches))
    world.advance(99.9)
    assert State.FATAL is world.state("web")
    world.advance(0.1)
    assert (State.LAUNCHING, True) == (world.state("web"), world.unit("web").half_open)
    world.launched("web")
    world.dies("web")
    assert (State.FATAL, 4) == (world.state("web"), len(world.launches))
    ended(world)


def test_a_half_open_try_that_lasts_closes_the_circuit() -> None:
    """After a healthy run the whole budget is there again."""
    policy = GiveUp(failures=1, within=60.0, cooldown=100.0)
    world = World.of(spec("web", backoff=Backoff(initial=0.0, reset_after=5.0), give_up=policy))
    for _ in range(2):
        world.launched("web")
        world.dies("web")
    world.advance(100)
    world.launched("web")
    world.advance(5)
    assert (False, ()) == (world.unit("web").half_open, world.unit("web").failures)
    assert world.resting()
    world.dies("web")
    assert State.LAUNCHING is world.state("web")
    ended(world)


def test_failures_that_left_the_window_are_forgotten() -> None:
    """A failure counts for `within` seconds and no longer."""
    world = World.of(spec("web", backoff=Backoff(initial=0.0), give_up=GiveUp(failures=1, within=60.0)))
    for _ in range(4):
        world.launched("web")
        world.advance(60)
        world.dies("web")
        assert State.LAUNCHING is world.state("web")
    ended(world)


@pytest.mark.parametrize(
    ("then", "state", "code"), [(GiveUpThen.STAY, State.FATAL, None), (GiveUpThen.SHUTDOWN, State.STOPPED, 10)]
)
def test_what_follows_giving_up(then: GiveUpThen, state: State, code: int | None) -> None:
    """It stays fatal without a timer, or ends the daemon with 10."""
    world = World.of(spec("web", give_up=GiveUp(failures=0, then=then)))
    world.launched("web")
    world.dies("web")
    assert state is world.state("web")
    assert world.resting()
    assert ([] if code is None else [code]) == world.codes


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_an_operators_start_forgives(verb: str) -> None:
    """A given-up service that an operator starts or restarts has streak and budget back."""
    world = World.of(spec("web", backoff=STEADY, give_up=GiveUp(failures=1, then=GiveUpThen.STAY)))
    for _ in range(2):
        world.launched("web")
        world.dies("web")
    assert State.FATAL is world.state("web")
    getattr(world, verb)("web")
    assert (State.LAUNCHING, 0, ()) == (world.state("web"), world.unit("web").streak, world.unit("web").failures)
    world.launched("web")
    world.dies("web")
    assert State.LAUNCHING is world.state("web")
    ended(world)


@pytest.mark.parametrize(
    ("restart", "code", "signal", "respawns"),
    [
        (Restart.ALWAYS, 0, None, True),
        (Restart.ALWAYS, 1, None, True),
        (Restart.ON_FAILURE, 0, None, False),
        (Restart.ON_FAILURE, 1, None, True),
        (Restart.ON_FAILURE, None, 11, True),
        (Restart.ON_SUCCESS, 0, None, True),
        (Restart.ON_SUCCESS, 1, None, False),
        (Restart.ON_ABNORMAL, 0, None, False),
        (Restart.ON_ABNORMAL, 1, None, False),
        (Restart.ON_ABNORMAL, None, 11, True),
        (Restart.NEVER, 1, None, False),
        (Restart.NEVER, None, 9, False),
    ],
)
def test_the_restart_policy(restart: Restart, code: int | None, signal: int | None, respawns: bool) -> None:
    """Which exits are answered by a respawn: the table of systemd.service(5)."""
    world = World.of(spec("web", restart=restart))
    world.launched("web")
    world.dies("web", code, signal)
    assert (State.LAUNCHING if respawns else State.EXITED) is world.state("web")
    ended(world)


@pytest.mark.parametrize(
    ("action", "state"),
    [
        (ExitAction.RESTART, State.LAUNCHING),
        (ExitAction.STOP, State.EXITED),
        (ExitAction.FAIL, State.FATAL),
        (ExitAction.SHUTDOWN, State.STOPPED),
    ],
)
def test_exit_rules_come_before_the_policy(action: ExitAction, state: State) -> None:
    """The first rule whose set holds the exit says what follows it."""
    rule = ExitRule(ExitSet(frozenset({78})), action)
    world = World.of(spec("web", restart=Restart.ON_SUCCESS, exit_rules=(rule,)))
    world.launched("web")
    world.dies("web", 78)
    assert state is world.state("web")
    assert (action is ExitAction.SHUTDOWN) == bool(world.codes)
    if not world.codes:
        ended(world)


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
    ended(world)


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
    ended(world)


def test_it_is_ready_before_exec_is_answered() -> None:
    """READY may overtake the answer of exec: it is remembered, and there is no grace to wait for."""
    world = World.of(spec("web", start_grace=5.0))
    world.ready("web")
    assert State.LAUNCHING is world.state("web")
    world.launched("web")
    assert State.RUNNING is world.state("web")
    ended(world)


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
    ended(world)


def test_a_launch_that_fails_is_a_failure_whatever_the_policy() -> None:
    """It is tried again, never in the same step, and given up like a death; its error is told until a life comes."""
    world = World.of(spec("web", restart=Restart.NEVER, backoff=Backoff(initial=0.0), give_up=GiveUp(failures=1)))
    world.launch_failed("web")
    assert (State.BACKOFF, "exec") == (world.state("web"), world.error("web").stage)
    assert [] == world.turn.effects
    world.tick(world.now)
    assert State.LAUNCHING is world.state("web")
    world.launch_failed("web")
    assert State.FATAL is world.state("web")
    world.start("web")
    world.launched("web")
    assert world.unit("web").error is None
    ended(world)


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
    ended(world)


def test_restart_also_when_it_never_respawns() -> None:
    """An operator's restart asks no policy, and it survives the escalation."""
    world = World.of(spec("web", restart=Restart.NEVER))
    world.launched("web")
    world.restart("web")
    world.advance(10)
    assert State.KILLING is world.state("web")
    world.dies("web", signal=9)
    assert State.LAUNCHING is world.state("web")
    ended(world)


def test_start_of_what_is_being_stopped() -> None:
    """Started again before it is down, it comes back after that, as a restart with a clean record."""
    world = World.of(spec("web", restart=Restart.NEVER))
    world.launched("web")
    world.stop("web")
    world.start("web")
    assert (State.STOPPING, Want.UP) == (world.state("web"), world.unit("web").want)
    world.dies("web", signal=15)
    assert (State.LAUNCHING, Trigger.MANUAL) == (world.state("web"), world.unit("web").trigger)
    ended(world)


def test_restart_of_what_an_operator_stops() -> None:
    """The last word counts: stop, then restart, is a restart."""
    world = World.of(spec("web"))
    world.launched("web")
    world.stop("web")
    world.restart("web")
    world.dies("web", signal=15)
    assert State.LAUNCHING is world.state("web")
    ended(world)


def test_restart_while_the_stragglers_of_a_crash_are_swept() -> None:
    """Whatever brought it down, who restarts it meanwhile forgives that."""
    world = World.of(spec("web", backoff=STEADY, give_up=GiveUp(failures=0)))
    world.launched("web")
    world.dies("web", left=True)
    world.restart("web")
    world.gone("web")
    assert (State.LAUNCHING, ()) == (world.state("web"), world.unit("web").failures)
    ended(world)


def test_an_old_restart_does_not_excuse_a_new_crash() -> None:
    """A life that began by a restart and crashes with stragglers is a failure like any other."""
    world = World.of(spec("web", give_up=GiveUp(failures=0, then=GiveUpThen.STAY)))
    world.launched("web")
    world.restart("web")
    world.obey()
    world.launched("web")
    world.dies("web", left=True)
    world.gone("web")
    assert State.FATAL is world.state("web")
    assert world.resting()


def test_unhealthy_is_a_failure_of_the_service() -> None:
    """A failed liveness check ends the life for its health, and counts."""
    world = World.of(spec("web", backoff=STEADY))
    world.launched("web")
    world.unhealthy("web")
    assert State.STOPPING is world.state("web")
    world.dies("web", 0)
    assert (State.LAUNCHING, Trigger.HEALTH) == (world.state("web"), world.unit("web").trigger)
    assert (Reason.TIMEOUT, 1) == (world.exit("web").reason, world.unit("web").streak)
    ended(world)


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
    ended(world)


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


@pytest.mark.parametrize("rules", [(), (ExitRule(ExitSet(frozenset({1})), ExitAction.FAIL),)])
def test_a_oneshot_that_is_given_up_has_completed_but_not_well(rules: tuple[ExitRule, ...]) -> None:
    """By the budget or by an exit rule: what waits for its completion need not wait for ever."""
    give_up = GiveUp(failures=0, then=GiveUpThen.STAY)
    world = World.of(spec("job", kind=Kind.ONESHOT, restart=Restart.ON_FAILURE, give_up=give_up, exit_rules=rules))
    world.launched("job")
    world.dies("job", 1)
    unit = world.unit("job")
    assert (State.FATAL, True, False) == (unit.state, unit.completed, unit.completed_ok)
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
    ended(world)
