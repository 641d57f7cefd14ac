"""The two threads of tracing as the daemon attends them: seen, begun again after a failure, ended in time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from metrics.tracing import THREAD, Identity, Tracing, pipeline
from metrics.tracing.spans import Record
from supervisor.host.pulse import Beat, Pulses
from supervisor.host.thread import attend
from tests.metrics.traced import SEED, Listener, settings

PATIENCE = 10.0
#: How far the pulses' clock is ahead, seconds: a thread that is at work has been for so long.
AHEAD = 60.0
WELL = [Beat("span-export", up=True, at=AHEAD, restarts=0), Beat("spans", up=True, at=AHEAD, restarts=0)]


class Wire:
    """An exporter whose answer can be held back, and whose next sends can be made to fail."""

    name = "the wire"

    def __init__(self) -> None:
        self.sent = threading.Semaphore(0)
        self.answer = threading.Event()
        self.answer.set()
        self.failures: list[BaseException] = []
        self.deaf = False

    def send(self, records: Sequence[Record]) -> int:
        """Wait for the answer."""
        self.sent.release()
        self.answer.wait(PATIENCE)
        if self.failures:
            raise self.failures.pop()
        return 0

    def hurry(self, seconds: float) -> None:
        """Nothing."""

    def cut(self, *, last: bool) -> None:
        """End what is waited for, unless that cannot be."""
        if not self.deaf:
            self.answer.set()

    def close(self) -> None:
        """Nothing."""


class Rig:
    """A Tracing with a wire, and pulses that run ahead."""

    def __init__(self) -> None:
        self.wire, self.told, self.made = Wire(), Listener(), 0
        self.pulses = Pulses(clock=lambda: time.monotonic() + AHEAD, wall=lambda: AHEAD)
        self.tracing = Tracing(
            settings(),
            Identity("1", "/"),
            self.told,
            {"OTEL_BSP_SCHEDULE_DELAY": "5"},
            seed=SEED,
            make=self.make,
            attend=partial(attend, pulses=self.pulses),
        )

    def make(self) -> Wire:
        """Make the exporter."""
        self.made += 1
        return self.wire

    def tell(self) -> None:
        """One span."""
        self.tracing.render_slow(1, 2, 0.3)

    def reached(self, state: Callable[[], bool]) -> bool:
        """Wait for what a thread does."""
        until = time.monotonic() + PATIENCE
        while not state() and time.monotonic() < until:
            threading.Event().wait(0.01)
        return state()


@pytest.fixture
def rig() -> Iterator[Rig]:
    """One that has started; nothing of it is left."""
    rig = Rig()
    rig.tracing.start()
    yield rig
    rig.wire.answer.set()
    rig.tracing.stop(5.0)
    for thread in threading.enumerate():
        if thread.name in (THREAD, pipeline.THREAD):
            thread.join(PATIENCE)
    assert [] == [beat for beat in rig.pulses.beats() if beat.up]


def names_of_the_kernel() -> set[str]:
    """The names of this process's threads in /proc."""
    return {(task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()}


def test_both_are_seen(rig: Rig) -> None:
    """On the page and in /proc; well when there is nothing to do, and no longer listed when they have ended."""
    assert rig.reached(lambda: rig.pulses.beats() == WELL)
    assert {"respawnd-spans", "respawnd-span-e"} <= names_of_the_kernel()
    assert rig.tracing.stop(5.0)
    assert [] == rig.pulses.beats()


@pytest.mark.slow
def test_one_that_waits_for_an_answer_falls_behind(rig: Rig) -> None:
    """A collector that hangs shows in the age of the heartbeat; the thread lives, and the other is well."""
    rig.wire.answer.clear()
    rig.tell()
    assert rig.wire.sent.acquire(timeout=PATIENCE)
    export = rig.pulses.beats()[0]
    assert ("span-export", True, 0) == (export.name, export.up, export.restarts)
    assert export.at <= 1.0
    assert rig.reached(lambda: rig.pulses.beats()[1] == WELL[1])
    rig.wire.answer.set()
    assert rig.reached(lambda: rig.pulses.beats()[0] == WELL[0])


def test_an_export_that_ends_the_thread(rig: Rig) -> None:
    """A library that exits costs its batch; the thread goes on with the exporter that it has."""
    rig.wire.failures.append(SystemExit(3))
    rig.tell()
    assert rig.reached(lambda: [1] == [beat.restarts for beat in rig.pulses.beats() if beat.name == "span-export"])
    rig.tell()
    assert rig.reached(lambda: 1 == rig.told.counts["exported"])
    assert (1, 1) == (rig.told.counts["failed"], rig.made)


def test_a_failure_while_facts_are_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread that makes spans begins again, at once and with the facts that nobody wakes it for."""
    failures = [ValueError("of no importance")]
    tend = rig.tracing._pipeline.tend

    def fail() -> None:
        if failures:
            rig.tell()
            raise failures.pop()
        tend()

    monkeypatch.setattr(rig.tracing._pipeline, "tend", fail)
    rig.tell()
    began = time.monotonic()
    assert rig.reached(lambda: 2 == rig.told.counts["exported"])
    assert time.monotonic() - began < 3.0
    assert [0, 1] == [beat.restarts for beat in rig.pulses.beats()]


@pytest.mark.slow
def test_what_cannot_be_cut_is_left(rig: Rig) -> None:
    """Whoever hangs where nothing can end it is left behind in time; it stays listed for as long as it hangs."""
    rig.wire.deaf = True
    rig.wire.answer.clear()
    rig.tell()
    assert rig.wire.sent.acquire(timeout=PATIENCE)
    began = time.monotonic()
    assert not rig.tracing.stop(0.3)
    assert time.monotonic() - began < 1.5
    assert ["span-export"] == [beat.name for beat in rig.pulses.beats()]
