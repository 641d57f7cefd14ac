"""The simulated schedule is what the unit machine does: its attempts, its end, whether the limit is ever reached."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.model import Backoff, ExitAction, ExitRule, ExitSet, GiveUp, GiveUpThen, Restart
from supervisor.core.simulate import Delay, Lived, Unreachable, explain, schedule, span, unreachable
from supervisor.core.state import State
from tests.core.world import World, spec

STEADY = Backoff(initial=1.0, factor=2.0, max=8.0, jitter=0.25, reset_after=30.0)


def test_the_default_policy() -> None:
    """Ten failures within ten minutes: eleven attempts in about two minutes, then one after the cooldown."""
    found = schedule(spec("web"))
    starts = [0, 0, 0.25, 0.75, 1.75, 3.75, 7.75, 15.75, 31.75, 63.75, 123.75, 723.75]
    assert starts == [one.started for one in found.attempts]
    assert [State.LAUNCHING, *[State.BACKOFF] * 9, State.FATAL, State.FATAL] == [one.state for one in found.attempts]
    assert [False] * 11 + [True] == [one.half_open for one in found.attempts]
    assert (1323.75, None) == (found.attempts[-1].next_at, found.unreachable)


def test_each_delay_has_its_range() -> None:
    """Least, mean and most by the jitter; none for the first respawn, and nothing where no respawn follows."""
    found = schedule(spec("web", backoff=STEADY, give_up=GiveUp(failures=2, then=GiveUpThen.STAY)))
    assert [Delay(0, 0, 0), Delay(0.75, 1.0, 1.25), None] == [one.delay for one in found.attempts]
    assert [0.0, 1.0, None] == [one.next_at for one in found.attempts]


def test_lives_that_last() -> None:
    """A run longer than `reset_after` begins the delays anew; the last life of the list is lived again and again."""
    lives = [Lived(5), Lived(5), Lived(31), Lived(5)]
    found = schedule(spec("web", backoff=STEADY, give_up=GiveUp(failures=None)), lives, limit=6)
    means = [one.delay.mean for one in found.attempts if one.delay is not None]
    assert [0.0, 1.0, 0.0, 1.0, 2.0, 4.0] == means
    assert [0, 5, 11, 42, 48, 55] == [one.started for one in found.attempts]


def test_a_half_open_try_that_lasts() -> None:
    """It closes the circuit, and the whole budget is there again."""
    lives = [Lived(), Lived(), Lived(40), Lived()]
    found = schedule(spec("web", backoff=STEADY, give_up=GiveUp(failures=1)), lives)
    states = [State.LAUNCHING, State.FATAL, State.LAUNCHING, State.FATAL, State.FATAL]
    assert states == [one.state for one in found.attempts]
    assert [False, False, True, False, True] == [one.half_open for one in found.attempts]


@pytest.mark.parametrize(
    ("fields", "life", "ending"),
    [
        ({"give_up": GiveUp(1)}, Lived(), "web is then fatal for 10m, until 20m, when one more try follows."),
        ({"give_up": GiveUp(1, then=GiveUpThen.STAY)}, Lived(), "web is then fatal until an operator starts it."),
        (
            {"give_up": GiveUp(1, then=GiveUpThen.SHUTDOWN)},
            Lived(),
            "web then asks for the shutdown of everything: respawnd ends with 10.",
        ),
        ({"restart": Restart.ON_FAILURE}, Lived(2, 0), "web then rests: nothing answers this exit."),
        ({"restart": Restart.ON_ABNORMAL}, Lived(2, 1), "web then rests: nothing answers this exit."),
        ({"give_up": GiveUp(None)}, Lived(), "web goes on like this."),
        (
            {"exit_rules": (ExitRule(ExitSet(frozenset({78})), ExitAction.FAIL),)},
            Lived(0, 78),
            "web is then fatal until an operator starts it.",
        ),
    ],
)
def test_what_follows_is_said(fields: dict[str, Any], life: Lived, ending: str) -> None:
    """The last line tells how it ends, in an operator's words."""
    assert ending == explain(schedule(spec("web", **fields), [life]))[-1]


def test_a_signal_is_an_end_too() -> None:
    """Where a signal ended the life its code does not count."""
    found = schedule(spec("web", restart=Restart.ON_ABNORMAL, give_up=GiveUp(1)), [Lived(0, 0, 11)])
    assert [State.LAUNCHING, State.FATAL] == [one.state for one in found.attempts][:2]


def test_an_unreachable_limit() -> None:
    """Eleven failures within ten minutes need shorter delays than these: it tells how many fit at most."""
    slow = spec("web", backoff=Backoff(initial=30, max=600, jitter=0.0))
    assert Unreachable(most=6, needed=11) == unreachable(slow)
    found = schedule(slow)
    assert found.unreachable == unreachable(slow)
    assert [600.0] * 3 == [one.delay.mean for one in found.attempts[-3:] if one.delay is not None]
    assert (
        "It is never given up: of 11 failures that it takes within 10m, at most 6 fit there with this backoff."
        == explain(found)[-1]
    )


@pytest.mark.parametrize(
    ("fields", "life"),
    [
        ({}, Lived()),
        ({"give_up": GiveUp(None)}, Lived()),
        ({"give_up": GiveUp(20_000), "backoff": Backoff(initial=0)}, Lived()),
        ({"restart": Restart.NEVER}, Lived()),
        ({"restart": Restart.ON_FAILURE}, Lived(0, 0)),
        # The window is filled only if the jitter always falls to the short side: it may be, so it is reachable.
        ({"give_up": GiveUp(3, within=2.8), "backoff": Backoff(initial=1, factor=2, jitter=0.1)}, Lived()),
    ],
)
def test_a_limit_that_can_be_reached_or_is_none(fields: dict[str, Any], life: Lived) -> None:
    """No warning where there is nothing to warn of."""
    assert unreachable(spec("web", **fields), life) is None


def test_long_lives_make_it_unreachable() -> None:
    """A service that always lives a minute does not fail eleven times in ten minutes."""
    assert Unreachable(most=10, needed=11) == unreachable(spec("web"), Lived(60))


def test_a_life_has_a_length() -> None:
    """A life without an end has no schedule."""
    for seconds in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="a life lasts from 0 seconds"):
            Lived(seconds)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.25, "250ms"), (1, "1s"), (1.75, "1.75s"), (9.5, "9.5s"), (12.34, "12.3s"), (59.9, "59.9s"),
        (59.99, "1m"), (90, "1m30s"), (3600, "1h"), (7325, "2h2m"), (86400, "1d"), (100000, "1d3h"),
    ],
)  # fmt: skip
def test_spans(seconds: float, text: str) -> None:
    """Times are written as the configuration writes them, in at most two units."""
    assert text == span(seconds)


def test_the_lines_are_a_table() -> None:
    """One line for each attempt, all of a width, then what follows."""
    lines = explain(schedule(spec("web", backoff=STEADY, give_up=GiveUp(2))))
    assert [
        "      attempt  starts at  dies at      then                delay  failures",
        "            1         0s       0s  starting                 none         1",
        "            2         0s       0s   backoff  1s (750ms to 1.25s)         2",
        "            3         1s       1s     fatal                    -         3",
        "4 (half-open)      10m1s    10m1s     fatal                    -         1",
        "",
        "web is then fatal for 10m, until 20m1s, when one more try follows.",
    ] == lines


@given(
    backoff=st.builds(
        Backoff,
        initial=st.sampled_from([0.0, 0.5, 3.0]),
        max=st.sampled_from([1.0, 20.0]),
        jitter=st.just(0.0),
        reset_after=st.sampled_from([4.0, 30.0]),
    ),
    give_up=st.builds(GiveUp, failures=st.sampled_from([None, 0, 2, 5]), within=st.sampled_from([10.0, 100.0])),
    seconds=st.sampled_from([0.0, 1.0, 5.0]),
    grace=st.sampled_from([0.0, 2.0]),
)
def test_it_says_what_the_fleet_does(backoff: Backoff, give_up: GiveUp, seconds: float, grace: float) -> None:
    """Lived through by a whole fleet, a service starts and dies at the very moments that were told."""
    one = spec("web", backoff=backoff, give_up=give_up, start_grace=grace)
    found = schedule(one, [Lived(seconds)], limit=12)
    world = World.of(one)
    for attempt in found.attempts:
        assert attempt.started == pytest.approx(world.now - 1000.0)
        world.launched("web")
        if seconds:
            world.advance(seconds)
        world.dies("web")
        assert attempt.state is world.state("web")
        assert attempt.died == pytest.approx(world.now - 1000.0)
        if attempt.next_at is not None and world.state("web") is not State.LAUNCHING:
            world.advance(attempt.next_at - attempt.died)
