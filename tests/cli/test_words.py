"""Numbers as people read them."""

from __future__ import annotations

import pytest

from supervisor.cli.words import listed, plural, signal_name, size, span


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0.0s"),
        (0, "0.0s"),
        (0.34, "0.3s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (59.4, "59s"),
        (59.6, "1m"),
        (192, "3m12s"),
        (3600, "1h"),
        (3659, "1h"),
        (86_399, "23h59m"),
        (187_200, "2d4h"),
        (100 * 86_400, "100d"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    """At most two units, tenths only where they matter."""
    assert text == span(seconds)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1024, "1.0KiB"),
        (10 * 1024, "10KiB"),
        (1024 * 1024 - 1, "1.0MiB"),
        (1_699_840, "1.6MiB"),
        (3 * 1024**3, "3.0GiB"),
        (5 * 1024**4, "5.0TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    """Binary units."""
    assert text == size(count)


def test_counts_and_signals() -> None:
    """One is singular; a signal without a name keeps its number."""
    assert ("1 service", "0 services", "2 services") == tuple(plural(count, "service") for count in (1, 0, 2))
    assert ("a, b", "a and 1 more") == (listed(["a", "b"]), listed(["a", "b"], 1))
    assert ("SIGKILL", "signal 40") == (signal_name(9), signal_name(40))
