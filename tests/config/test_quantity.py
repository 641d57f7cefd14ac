"""Durations, sizes, rates, signals and masks: what is read, what is refused, and that writing and reading agree."""

from __future__ import annotations

import math
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config import quantity
from supervisor.config.problem import Refused

seconds = st.floats(min_value=0, max_value=quantity.LONGEST, allow_nan=False) | st.integers(0, 10**8).map(float)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (0.25, "250ms"),
        (0.007, "7ms"),
        (10.0, "10s"),
        (300.0, "5m"),
        (5400.0, "1h30m"),
        (172800.0, "2d"),
        (1.5, "1.5s"),
        (5400.0, "1.5h"),
        (10.0, "10"),
        (0.5, "0.5"),
        (0.0, "0"),
        (0.0, "0s"),
        (3661.001, "1h1m1s1ms"),
    ],
)
def test_durations(expected: float, text: str) -> None:
    """A duration is a number with its unit, several of them, or bare seconds."""
    assert expected == quantity.parse_duration(text)


@pytest.mark.parametrize("text", ["", "s", "10 s", "10sec", "-1s", "1h 30m", "ten", "1e", "nan", "inf", "1_000", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    """Anything else is refused with an example of the right form."""
    with pytest.raises(Refused, match="must be a duration such as 250ms"):
        quantity.parse_duration(text)


@pytest.mark.parametrize("text", ["3651d", "1e300s", "1e999s", "9" * 400, "9" * 400 + "s"])
def test_a_duration_has_an_end(text: str) -> None:
    """More than ten years is a slip of the unit."""
    with pytest.raises(Refused, match="must be at most 3650d"):
        quantity.parse_duration(text)


@given(seconds)
def test_durations_are_written_as_they_are_read(value: float) -> None:
    """Every duration survives being written and read again, to the last bit."""
    assert value == quantity.parse_duration(quantity.format_duration(value))


@pytest.mark.parametrize(
    ("expected", "value"), [("0s", 0.0), ("250ms", 0.25), ("1m30s", 90.0), ("1d", 86400.0), ("1h1ms", 3600.001)]
)
def test_durations_are_written_shortly(expected: str, value: float) -> None:
    """Units that are not needed are left out."""
    assert expected == quantity.format_duration(value)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (65536, "64KiB"),
        (536870912, "512MiB"),
        (10**9, "1GB"),
        (5 * 10**7, "50mb"),
        (1536, "1.5 KiB"),
        (7, "7"),
        (7, "7B"),
        (0, "0"),
        (2**63 - 1, str(2**63 - 1)),
    ],
)
def test_sizes(expected: int, text: str) -> None:
    """A size is a number of bytes with its unit; the ones with an i count by 1024."""
    assert expected == quantity.parse_size(text)


@pytest.mark.parametrize("text", ["", "64K", "1 gig", "-1", "KiB", "1e400", "9" * 30, "9EiB"])
def test_what_is_no_size(text: str) -> None:
    """A size without a known unit, or past what a file offset holds, is refused."""
    with pytest.raises(Refused, match="must be"):
        quantity.parse_size(text)


@given(st.integers(0, quantity.LARGEST))
def test_sizes_are_written_as_they_are_read(value: int) -> None:
    """Every size survives being written and read again."""
    assert value == quantity.parse_size(quantity.format_size(value))


@pytest.mark.parametrize(("expected", "text"), [(100.0, "100/s"), (0.5, "30/m"), (3 / 86400, "3/24h"), (2.5, "2.5/s")])
def test_rates(expected: float, text: str) -> None:
    """A rate is a count for each unit of time, or for a duration."""
    assert expected == quantity.parse_rate(text)


@pytest.mark.parametrize("text", ["", "100", "/s", "x/s", "0/s", "100/", "1/0s", "1e999/s", "1e-200/s"])
def test_what_is_no_rate(text: str) -> None:
    """A rate without a count, without a unit, or of nothing is refused."""
    with pytest.raises(Refused, match="must be a"):
        quantity.parse_rate(text)


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_rates_are_written_as_they_are_read(value: float) -> None:
    """Every rate survives being written and read again."""
    assert value == quantity.parse_rate(quantity.format_rate(value))
    assert math.ceil(value) == quantity.parse_flow(quantity.format_flow(math.ceil(value)))


@pytest.mark.parametrize("text", ["", "1MiB", "0/s", "1MiB/m", "x/s"])
def test_what_is_no_flow(text: str) -> None:
    """Bytes a second are a size above 0, for a second."""
    with pytest.raises(Refused, match="must be a"):
        quantity.parse_flow(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (15, "TERM"),
        (15, "SIGTERM"),
        (1, "hup"),
        (10, "10"),
        (64, "64"),
        (signal.SIGRTMIN + 1, "RTMIN+1"),
        (64, "RTMAX"),
    ],
)
def test_signals(expected: int, text: str) -> None:
    """A signal goes by its name, with or without SIG, or by its number."""
    assert expected == quantity.parse_signal(text)


@pytest.mark.parametrize(
    ("expected", "text"),
    [("(did you mean TERM?)", "TREM"), ('"0"', "0"), ('"65"', "65"), ("RTMIN", "RTMIN+40"), ("9999", "9" * 5000)],
)
def test_what_is_no_signal(expected: str, text: str) -> None:
    """An unknown signal is refused with the nearest name."""
    with pytest.raises(Refused) as refused:
        quantity.parse_signal(text)
    assert expected in str(refused.value)


@pytest.mark.parametrize("number", range(1, signal.NSIG))
def test_signals_are_written_as_they_are_read(number: int) -> None:
    """Every signal has a name that is read again, the real-time ones by their distance."""
    assert number == quantity.parse_signal(quantity.format_signal(number))


@pytest.mark.parametrize(
    ("expected", "text"), [(0o022, "022"), (0o22, "22"), (0, "0"), (0o777, "0777"), (0o27, "0o27")]
)
def test_masks(expected: int, text: str) -> None:
    """A mask is a string of octal digits."""
    assert expected == quantity.parse_umask(text)


@pytest.mark.parametrize("text", ["", "8", "1000", "0x12", "-1", "u=rwx"])
def test_what_is_no_mask(text: str) -> None:
    """A mask of anything else, or past 0777, is refused."""
    with pytest.raises(Refused, match="octal digits"):
        quantity.parse_umask(text)
