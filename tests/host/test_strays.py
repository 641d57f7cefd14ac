"""What the daemon leaves behind is named."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.host import strays


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    """A child that lives until its standard input closes."""
    with subprocess.Popen([sys.executable, "-Sc", "input()"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as one:
        yield one
        one.kill()


def test_a_child_that_lives_is_named(sleeper: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture) -> None:
    """With pid and command, and it is not signalled."""
    strays.name_strays()
    with open(f"/proc/{sleeper.pid}/comm", encoding="ascii") as file:
        command = file.read().strip()
    expected = f"Leaving pid {sleeper.pid} ({command}) behind: it belongs to no service that is known"
    assert expected in [record.getMessage() for record in caplog.records]
    assert sleeper.poll() is None


def test_the_dead_are_not_named(sleeper: subprocess.Popen[bytes], caplog: pytest.LogCaptureFixture) -> None:
    """A zombie is nothing that is left behind."""
    assert sleeper.stdin is not None
    assert sleeper.pid in strays.children()
    sleeper.stdin.close()
    sleeper.wait()
    strays.name_strays()
    assert str(sleeper.pid) not in caplog.text


def test_of_many_some_are_named_and_the_rest_counted(
    sleeper: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A fork bomb does not fill the log."""
    monkeypatch.setattr(strays, "children", lambda: [sleeper.pid] * 50)
    strays.name_strays()
    assert 21 == len(caplog.records)
    assert "Leaving 30 more processes behind" == caplog.records[-1].getMessage()
