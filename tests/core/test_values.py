"""The values that everything is made of: specifications that cannot be wrong, and the few pure lines over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.backoff import TokenBucket, delay, exhausted, recent
from supervisor.core.model import (
    Backoff,
    ExitSet,
    GiveUp,
    Kind,
    Limit,
    LogPolicy,
    Restart,
    StopPolicy,
    UnitKey,
    UnitSpec,
    needs_restart,
)
from supervisor.core.state import State, Unit, Want
from supervisor.core.view import FleetView, desired
from tests.core.world import spec

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Backoff(initial=-1), "times must not be negative"),
        (lambda: Backoff(max=-1), "times must not be negative"),
        (lambda: Backoff(reset_after=-1), "times must not be negative"),
        (lambda: Backoff(factor=0.5), "factor must be at least 1"),
        (lambda: Backoff(factor=1001), "factor must be at most 1000"),
        (lambda: Backoff(jitter=1.5), "jitter must be from 0 to 1"),
        (lambda: GiveUp(failures=-1), "failures must not be negative"),
        (lambda: GiveUp(within=0), "within and cooldown must be above 0"),
        (lambda: GiveUp(cooldown=0), "within and cooldown must be above 0"),
        (lambda: ExitSet(frozenset({256})), "exit codes are from 0 to 255"),
        (lambda: StopPolicy(signal=0), "signal must be from 1 to 64"),
        (lambda: StopPolicy(timeout=-1), "timeout must not be negative"),
        (lambda: LogPolicy(stdout="stdout"), 'only stderr can be "stdout"'),
        (lambda: LogPolicy(keep=-1), "max_size and keep must not be negative"),
        (lambda: UnitSpec("web", ()), "command must not be empty"),
        (lambda: UnitSpec("web", ("",)), "command must not be empty"),
        (lambda: spec("web", replicas=-1), "replicas must not be negative"),
        (lambda: spec("web", start_grace=-1), "start_grace must not be negative"),
        (lambda: spec("web", kind=Kind.ONESHOT), 'restart = "always" would run a oneshot for ever'),
        (lambda: spec("web", kind=Kind.ONESHOT, restart=Restart.ON_SUCCESS), "would run a oneshot for ever"),
    ],
)
def test_what_cannot_be_built(make: Callable[[], object], text: str) -> None:
    """An illegal value is refused where it is made, in the words of the configuration."""
    with pytest.raises(ValueError, match=text):
        make()


def test_names_as_people_write_them() -> None:
    """A service with one replica bears its own name; others the number too."""
    one, two = spec("web"), spec("api", replicas=2)
    assert "web" == Unit(one.keys()[0], one).name
    assert ["api:0", "api:1"] == [Unit(key, two).name for key in two.keys()]  # noqa: SIM118 - not a dict
    assert "web:0" == str(UnitKey("web"))


@pytest.mark.parametrize(
    ("changed", "restart"),
    [
        ({"command": ("/bin/false",)}, True),
        ({"directory": "/tmp"}, True),
        ({"environment": {"A": "1"}}, True),
        ({"env_files": ("/etc/web.env",)}, True),
        ({"inherit_environment": False}, True),
        ({"user": "nobody"}, True),
        ({"group": "nogroup"}, True),
        ({"umask": 0o22}, True),
        ({"nice": 5}, True),
        ({"oom_score_adj": 100}, True),
        ({"limits": (Limit("NOFILE", 10, 10),)}, True),
        ({"kind": Kind.ONESHOT, "restart": Restart.NEVER}, True),
        ({"logs": LogPolicy(stdout="null")}, True),
        ({"logs": LogPolicy(stderr="stdout")}, True),
        ({"logs": LogPolicy(keep=1)}, False),
        ({"restart": Restart.NEVER}, False),
        ({"backoff": Backoff(initial=9)}, False),
        ({"give_up": GiveUp(failures=1)}, False),
        ({"stop": StopPolicy(signal=2)}, False),
        ({"depends_on": {}}, False),
        ({"replicas": 4}, False),
        ({"priority": 1}, False),
        ({"criticality": "high"}, False),
        ({"source": "elsewhere.toml"}, False),
    ],
)
def test_what_needs_a_new_process(changed: dict[str, Any], restart: bool) -> None:
    """What holds from exec costs a restart; all else holds at once."""
    old = spec("web")
    assert restart == needs_restart(old, evolve(old, **changed))


@given(
    policy=st.builds(
        Backoff, initial=st.floats(0, 100), factor=st.floats(1, 1000), max=st.floats(0, 1e4), jitter=st.floats(0, 1)
    ),
    streak=st.integers(1, 10_000),
    draw=st.floats(0, 1),
)
def test_a_delay_is_bounded(policy: Backoff, streak: int, draw: float) -> None:
    """No streak and no factor makes a delay more than `max` and its jitter, or less than nothing."""
    pause = delay(policy, streak, draw)
    assert 0 <= pause <= policy.max * (1 + policy.jitter) * (1 + 1e-9)
    assert streak > 1 or pause == 0


@given(policy=st.builds(Backoff, initial=st.floats(0.001, 10), jitter=st.just(0.0)), streak=st.integers(2, 100))
def test_delays_never_shrink(policy: Backoff, streak: int) -> None:
    """Without jitter each delay is at least the one before."""
    assert delay(policy, streak, 0.5) <= delay(policy, streak + 1, 0.5)


@given(
    failures=st.integers(0, 5),
    times=st.lists(st.floats(0, 100), max_size=20).map(sorted),
    within=st.floats(1, 50),
)
def test_the_window_knows_what_it_needs(failures: int, times: list[float], within: float) -> None:
    """It keeps no more than the budget can need, and is exhausted exactly when there are too many."""
    policy, now = GiveUp(failures=failures, within=within), 100.0
    kept = recent(policy, tuple(times), now)
    fresh = [at for at in times if at > now - within]
    assert len(kept) <= failures + 1
    assert exhausted(policy, kept) == (len(fresh) > failures)
    assert list(kept) == fresh[-len(kept) :] or not kept


def test_never_is_never_too_many() -> None:
    """Without a limit nothing is counted."""
    policy = GiveUp(failures=None)
    assert () == recent(policy, tuple(map(float, range(100))), 100.0)
    assert not exhausted(policy, ())


@given(
    rate=st.floats(0.01, 1000),
    burst=st.floats(1, 100),
    steps=st.lists(st.floats(0, 10), max_size=30),
    now=st.sampled_from([0.0, 1e6, 3e8]),
)
def test_the_bucket_lets_through_no_more_than_it_may(rate: float, burst: float, steps: list[float], now: float) -> None:
    """Over any time it gives at most the burst and what came meanwhile; at the moment it names there is a token."""
    bucket, began, taken = TokenBucket(rate, burst, burst, now), now, 0
    for step in steps:
        now = max(now + step, bucket.next_at()) if taken % 2 else now + step
        if now >= bucket.next_at():
            bucket, taken = bucket.filled(now).take(), taken + 1
        assert taken <= burst + (now - began) * rate + 1e-3
        assert bucket.tokens >= -1e-3


def test_a_clock_that_steps_back_fills_nothing() -> None:
    """Time that seems to run backwards gives no tokens, and takes none."""
    bucket = TokenBucket(1.0, 5.0, 0.0, 100.0)
    assert (0.0, 100.0) == (bucket.filled(50.0).tokens, bucket.filled(50.0).at)


def test_the_view_tells_who_should_run() -> None:
    """Wanted, and not one that has done its work."""
    unit = Unit(UnitKey("web"), spec("web"), want=Want.UP, state=State.BACKOFF)
    assert desired(unit)
    assert not desired(unit._replace(want=Want.DOWN))
    assert not desired(unit._replace(state=State.EXITED))
    assert (0, False, False) == (FleetView().number, FleetView().booted, FleetView().closing)
