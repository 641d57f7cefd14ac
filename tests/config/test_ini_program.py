"""`[program:x]`: where output goes, what is told, and who is given up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.core.backoff import delay, exhausted, recent
from supervisor.core.model import GiveUp, GiveUpThen, UnitSpec
from tests.config.files import program


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        ("capture", ""),
        ("capture", "stdout_logfile=AUTO"),
        ("null", "stdout_logfile=None"),
        ("null", "stdout_logfile=/dev/null"),
        ("inherit", "stdout_logfile=/dev/stdout"),
        ("inherit", "stdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0"),
        ("inherit", "stdout_logfile=/dev/stderr"),
        ("/var/log/x.log", "stdout_logfile=/var/log/x.log"),
        ("capture", "stdout_logfile=syslog"),
    ],
)
def test_stdout(tmp_path: Path, expected: str, keys: str) -> None:
    """Where standard output goes, in supervisord's words."""
    assert expected == program(tmp_path, keys).services["web"].logs.stdout


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        ("capture", ""),
        ("stdout", "redirect_stderr=true\nstderr_logfile=/x"),
        ("inherit", "stderr_logfile=/dev/stderr"),
        ("inherit", "stderr_logfile=/dev/stdout"),
        ("stdout", "stderr_logfile=/dev/stdout\nstdout_logfile=/dev/stdout"),
        ("null", "stderr_logfile=off"),
    ],
)
def test_stderr(tmp_path: Path, expected: str, keys: str) -> None:
    """Where standard error goes: beside standard output where both mean the daemon's."""
    assert expected == program(tmp_path, keys).services["web"].logs.stderr


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        ((50 * 2**20, 10), ""),
        ((2048, 1), "stdout_logfile_maxbytes=2KB\nstdout_logfile_backups=1\nstderr_logfile=NONE"),
        ((0, 10), "stdout_logfile_maxbytes=0\nredirect_stderr=true"),
        ((2**30, 2), "stdout_logfile=NONE\nstderr_logfile_maxbytes=1GB\nstderr_logfile_backups=2"),
    ],
)
def test_sizes_of_logs(tmp_path: Path, expected: tuple[int, int], keys: str) -> None:
    """Size and count of files, of the stream that has files; supervisord's KB are 1024 bytes."""
    config = program(tmp_path, keys)
    logs = config.services["web"].logs
    assert (expected, ()) == ((logs.max_size, logs.keep), config.warnings)


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        ("stderr_logfile_maxbytes: both streams share one size", "stdout_logfile_maxbytes=1MB"),
        (
            "stdout_capture_maxbytes: process communication events are not in this version",
            "stdout_capture_maxbytes=1MB",
        ),
        ("stderr_events_enabled: event listeners are not in this version", "stderr_events_enabled=true"),
        ("stdout_syslog: syslog for a service is not in this version", "stdout_syslog=true"),
        ("stdout_logfile: syslog for a service is not in this version", "stdout_logfile=syslog"),
        ("stdout_logfile: standard output is inherited", "stdout_logfile=/dev/stderr"),
    ],
)
def test_warnings_of_a_program(tmp_path: Path, expected: str, keys: str) -> None:
    """What has no counterpart is told, and the program runs."""
    config = program(tmp_path, f"numprocs=2\nprocess_name=%(process_num)d\n{keys}")
    (warning,) = config.warnings
    assert f"program:web.{expected}" in str(warning)
    assert 2 == len(config.services)


@pytest.mark.parametrize(
    ("expected", "startsecs", "retries"),
    [
        (GiveUp(None), 0, 3),
        (GiveUp(1, 1.1, GiveUpThen.STAY), 1, 0),
        (GiveUp(1, 1.1, GiveUpThen.STAY), 1, 1),
        (GiveUp(3, 5.8, GiveUpThen.STAY), 1, 3),
        (GiveUp(10, 10 * 1.1 + sum(1.5**n for n in range(4)) + 5 * 5.0, GiveUpThen.STAY), 1, 10),
    ],
)
def test_retries(tmp_path: Path, expected: GiveUp, startsecs: int, retries: int) -> None:
    """The window holds as many quick failures as there are retries, with the delays between them, and no slow ones."""
    found = program(tmp_path, f"startsecs={startsecs}\nstartretries={retries}").services["web"].give_up
    assert (expected.failures, expected.then) == (found.failures, found.then)
    assert expected.within == pytest.approx(found.within, abs=0.1)


def deaths(spec: UnitSpec, life: float, most: int) -> int:
    """How often a program dies that lives so long each time, until it is given up, or `most` times."""
    now, streak = 0.0, 0
    failures: tuple[float, ...] = ()
    for count in range(1, most + 1):
        now += life
        streak = 1 if life >= spec.backoff.reset_after else streak + 1
        failures = recent(spec.give_up, (*failures, now), now)
        if exhausted(spec.give_up, failures):
            return count
        now += delay(spec.backoff, streak, 0.5)
    return most


@pytest.mark.slow
@given(startsecs=st.integers(1, 60), retries=st.integers(1, 60), quick=st.floats(0, 1), slow=st.floats(0.2, 1000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_who_is_given_up(tmp_path: Path, startsecs: int, retries: int, quick: float, slow: float) -> None:
    """A program that always dies within startsecs is fatal after startretries + 1 deaths, one that never does not."""
    spec = program(tmp_path, f"startsecs={startsecs}\nstartretries={retries}").services["web"]
    assert retries + 1 == deaths(spec, startsecs * quick, 300)
    assert 300 == deaths(spec, startsecs + slow, 300)


def test_many_retries_have_an_end(tmp_path: Path) -> None:
    """A million retries are a window of years, not a hang or a number past all bounds."""
    assert 3.0e8 >= program(tmp_path, "startretries=1000000").services["web"].give_up.within > 10**6
