"""One service that fails: delays, budget, giving up and coming back, told under a fake clock to the last timer."""

from __future__ import annotations

import pytest

from supervisor.core.model import (
    Backoff,
    ExitAction,
    ExitRule,
    ExitSet,
    GiveUp,
    GiveUpThen,
    Kind,
    Restart,
)
from supervisor.core.state import Reason, State, Trigger
from tests.core.world import World, spec

STEADY = Backoff(initial=1.0, factor=2.0, max=10.0, jitter=0.0, reset_after=60.0)


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
    world.ended()


@pytest.mark.parametrize(("draw", "pause"), [(0.0, 0.5), (0.5, 1.0), (1.0, 1.5)])
def test_jitter_moves_the_delay_both_ways(draw: float, pause: float) -> None:
    """What died together does not come back together."""
    world = World.of(spec("web", backoff=Backoff(initial=1.0, jitter=0.5)))
    world.launched("web")
    world.dies("web")
    world.launched("web")
    world.dies("web", draw=draw)
    assert pause == world.unit("web").delay
    world.ended()


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
    world.ended()


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
    world.ended()


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
    world.ended()


def test_failures_that_left_the_window_are_forgotten() -> None:
    """A failure counts for `within` seconds and no longer."""
    world = World.of(spec("web", backoff=Backoff(initial=0.0), give_up=GiveUp(failures=1, within=60.0)))
    for _ in range(4):
        world.launched("web")
        world.advance(60)
        world.dies("web")
        assert State.LAUNCHING is world.state("web")
    world.ended()


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
    world.ended()


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
    world.ended()


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
        world.ended()


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
    world.ended()


def test_restart_while_the_stragglers_of_a_crash_are_swept() -> None:
    """Whatever brought it down, who restarts it meanwhile forgives that."""
    world = World.of(spec("web", backoff=STEADY, give_up=GiveUp(failures=0)))
    world.launched("web")
    world.dies("web", left=True)
    world.restart("web")
    world.gone("web")
    assert (State.LAUNCHING, ()) == (world.state("web"), world.unit("web").failures)
    world.ended()


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
    world.ended()


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
