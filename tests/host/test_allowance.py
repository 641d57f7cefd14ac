"""The token bucket behind logs.rate."""

from __future__ import annotations

from supervisor.host.allowance import Allowance


def test_a_second_s_worth_may_come_at_once() -> None:
    """It is full at first and never holds more than that, however long it is quiet."""
    bucket = Allowance(1000.0, 0.0)
    assert bucket.at(0.0) == 1000
    assert bucket.at(500.0) == 1000


def test_once_empty_it_opens_at_a_tenth_of_a_second_s_worth() -> None:
    """No drop by drop: shut until 0.1 s has filled it, then open down to the last byte."""
    bucket = Allowance(1000.0, 0.0)
    bucket.spend(bucket.at(0.0))
    assert [0, 0, 100] == [bucket.at(now) for now in (0.0, 0.09, 0.1)]
    bucket.spend(60)
    assert bucket.at(0.1) == 40


def test_over_time_no_more_than_the_rate_passes() -> None:
    """A greedy stream over ten seconds gets eleven seconds' worth at most."""
    bucket = Allowance(1000.0, 0.0)
    passed = 0
    for tick in range(1001):
        allowed = bucket.at(tick / 100)
        bucket.spend(allowed)
        passed += allowed
    assert 10800 <= passed <= 11000
