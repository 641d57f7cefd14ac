"""What threads show of themselves: who waits, who works since when, who is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from supervisor.host.pulse import Beat, Pulse, Pulses
from tests.host.disk import Clock

WALL = 1_000_000.0
PATIENCE = 10.0


class Helper:
    """A thread that begins a pulse, does what it is told with it, one thing after the other, and ends as told."""

    def __init__(self, pulses: Pulses, listed: str) -> None:
        self._pulses, self._listed = pulses, listed
        self._told, self._done = threading.Semaphore(0), threading.Semaphore(0)
        self._order: Callable[[Pulse], bool] = lambda _: True
        self.thread = threading.Thread(target=self._run, name="respawnd-helper")
        self.thread.start()
        assert self._done.acquire(timeout=PATIENCE)

    def _run(self) -> None:
        pulse = self._pulses.begin(self._listed)
        self._done.release()
        going = True
        while going and self._told.acquire(timeout=PATIENCE):
            going = self._order(pulse)
            self._done.release()

    def do(self, order: Callable[[Pulse], object], *, last: bool = False) -> None:
        """Have the thread do it; with `last` it is gone afterwards."""
        self._order = lambda pulse: (order(pulse), not last)[1]
        self._told.release()
        assert self._done.acquire(timeout=PATIENCE)
        if last:
            self.thread.join(PATIENCE)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of pulses and of those who read them."""
    one = Clock()
    monkeypatch.setattr("supervisor.host.pulse._now", one)
    return one


@pytest.fixture
def pulses(clock: Clock) -> Pulses:
    """Pulses whose wall clock shows WALL when the other shows 1000."""
    return Pulses(clock, lambda: WALL + clock.now - 1000.0)


@pytest.fixture
def helper(pulses: Pulses) -> Iterator[Callable[[str], Helper]]:
    """Give a function that starts a Helper; those that are left are ended."""
    made: list[Helper] = []

    def make(listed: str) -> Helper:
        made.append(Helper(pulses, listed))
        return made[-1]

    yield make
    for one in made:
        if one.thread.is_alive():
            one.do(lambda _: None, last=True)


def test_one_that_waits_is_well_however_long(pulses: Pulses, clock: Clock, helper: Callable[[str], Helper]) -> None:
    """Its last sign of life is now: nobody has to wake up for that."""
    helper("output").do(Pulse.idle)
    clock.now += 3600
    assert [Beat("output", up=True, at=WALL + 3600, restarts=0)] == pulses.beats()


def test_one_that_is_stuck_falls_behind(pulses: Pulses, clock: Clock, helper: Callable[[str], Helper]) -> None:
    """Its last sign of life is when it took up what it is at, or made a step in it."""
    one = helper("output")
    clock.now += 10
    one.do(Pulse.busy)
    clock.now += 60
    assert [Beat("output", up=True, at=WALL + 10, restarts=0)] == pulses.beats()
    one.do(Pulse.busy)
    clock.now += 5
    assert [Beat("output", up=True, at=WALL + 70, restarts=0)] == pulses.beats()


def test_a_pool_is_one_name(pulses: Pulses, clock: Clock, helper: Callable[[str], Helper]) -> None:
    """The oldest piece of work of any counts; it is up while one of them is, whoever else is gone."""
    first, second = helper("launch"), helper("launch")
    first.do(Pulse.idle)
    clock.now += 7
    assert [Beat("launch", up=True, at=WALL, restarts=0)] == pulses.beats()
    second.do(Pulse.idle, last=True)
    assert [Beat("launch", up=True, at=WALL + 7, restarts=0)] == pulses.beats()


def test_one_that_is_gone_without_a_word_is_down(pulses: Pulses, clock: Clock, helper: Callable[[str], Helper]) -> None:
    """It stays on the page, at 0, and falls behind from when that was seen; a successor takes its place."""
    helper("output").do(Pulse.idle, last=True)
    assert [Beat("output", up=False, at=WALL, restarts=0)] == pulses.beats()
    clock.now += 30
    assert [Beat("output", up=False, at=WALL, restarts=0)] == pulses.beats()
    helper("output").do(Pulse.idle)
    assert [Beat("output", up=True, at=WALL + 30, restarts=0)] == pulses.beats()


def test_one_that_ends_as_it_should_is_no_longer_listed(pulses: Pulses, helper: Callable[[str], Helper]) -> None:
    """What was told to end is no failure."""
    helper("compress").do(pulses.end, last=True)
    assert [] == pulses.beats()


def test_one_that_was_handed_its_pulse_is_found_by_its_name(pulses: Pulses, clock: Clock) -> None:
    """Listed from the first beat on; down when no thread of that name lives."""
    pulse = pulses.expect("sampler")
    assert [] == pulses.beats()
    beaten, go = threading.Event(), threading.Event()

    def work() -> None:
        pulse.idle()
        beaten.set()
        go.wait(PATIENCE)

    thread = threading.Thread(target=work, name="respawnd-sampler")
    thread.start()
    assert beaten.wait(PATIENCE)
    assert [Beat("sampler", up=True, at=WALL, restarts=0)] == pulses.beats()
    go.set()
    thread.join(PATIENCE)
    clock.now += 1
    assert [Beat("sampler", up=False, at=WALL + 1, restarts=0)] == pulses.beats()
    clock.now += 1
    assert [Beat("sampler", up=False, at=WALL + 1, restarts=0)] == pulses.beats()


def test_failures_that_were_mended_are_counted(pulses: Pulses, helper: Callable[[str], Helper]) -> None:
    """By the name on the page, for as long as that is there."""
    one = helper("diary")
    for _ in range(2):
        pulses.restarted("diary")
    assert [2] == [beat.restarts for beat in pulses.beats()]
    one.do(pulses.end)
    assert [2] == [pulses._restarts["diary"]]
