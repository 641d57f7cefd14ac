"""The life of a helper thread: nothing that its body raises is silent, and none stays dead."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from supervisor.host.pulse import Beat, Pulse, Pulses
from supervisor.host.thread import attend, delay, tell_of_deaths

PATIENCE = 10.0
FAULTS: list[Callable[[], BaseException]] = [RuntimeError, SystemExit, GeneratorExit, MemoryError]


def in_a_thread(call: Callable[[], None], name: str = "respawnd-test") -> None:
    """Run it in a thread of that name, to its end."""
    thread = threading.Thread(target=call, name=name)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()


@pytest.mark.parametrize("fault", FAULTS)
def test_a_body_that_raises_begins_again(fault: Callable[[], BaseException], caplog: pytest.LogCaptureFixture) -> None:
    """In the same thread, with its pulse; logged with its stack, and counted. SystemExit is no exception."""
    pulses, threads, seen = Pulses(), [], []

    def body(pulse: Pulse) -> None:
        threads.append(threading.get_native_id())
        if len(threads) == 1:
            raise fault()
        pulse.idle()
        seen.extend(pulses.beats())

    in_a_thread(lambda: attend("respawnd-test", body, pulses))
    assert 1 == len(set(threads)) == len(threads) - 1
    assert [("test", True, 1)] == [(beat.name, beat.up, beat.restarts) for beat in seen]
    assert [] == pulses.beats()
    record = caplog.records[0]
    assert "Thread respawnd-test failed and begins again" == record.getMessage()
    assert record.exc_info is not None
    assert "body" in str(caplog.text)


def test_while_it_pauses_after_failures_it_is_down() -> None:
    """A body that fails and fails is not called in a spin: meanwhile the page says 0, then it works on."""
    pulses, pauses, beats = Pulses(), [], []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        beats.extend(pulses.beats())

    def body(pulse: Pulse) -> None:
        if len(pauses) < 8:
            raise ValueError("again")

    in_a_thread(lambda: attend("respawnd-test", body, pulses, pause=pause))
    assert [0.0, 0.0, 0.0, 0.1, 0.2, 0.4, 0.8, 1.6] == pytest.approx(pauses)
    assert [Beat("test", up=False, at=beat.at, restarts=n) for n, beat in enumerate(beats, 1)] == beats


def test_the_delay_is_bounded() -> None:
    """Five seconds, however often it fails."""
    assert 5.0 == delay(100_000) == delay(12)


def test_a_death_that_nobody_caught_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Also of a thread that is nobody's: Python would tell stderr alone, and of SystemExit nothing at all."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    tell_of_deaths()

    def die() -> None:
        raise SystemExit(3)

    in_a_thread(die, "respawnd-reload")
    assert [("CRITICAL", "Thread respawnd-reload died")] == [(r.levelname, r.getMessage()) for r in caplog.records]
    assert "SystemExit: 3" in caplog.text
