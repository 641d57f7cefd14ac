"""How sampler and pages make room for the loop."""

from __future__ import annotations

import pytest

from metrics import sampler
from metrics.aside import BUSY, Aside, Manners
from metrics.exposition import pace

BOTH = pytest.mark.parametrize("manners", [sampler.MANNERS, pace.MANNERS], ids=["sampler", "page"])


class World:
    """A clock that a pause moves on, and a loop that turned at some moment."""

    def __init__(self, manners: Manners) -> None:
        self.manners, self.now, self.pauses = manners, 100.0, 0
        self.ticked: float | None = None
        self.turning = False
        self.aside = Aside(lambda: self.now if self.turning else self.ticked, manners, lambda: self.now, self.pause)

    def pause(self, seconds: float) -> None:
        """Sleep."""
        assert seconds == self.manners.pause
        self.now += seconds
        self.pauses += 1

    def work(self, slices: float = 1.01) -> int:
        """Work on for so many slices; how many pauses the step after it made."""
        self.now += slices * self.manners.slice
        before = self.pauses
        self.aside.step()
        return self.pauses - before


def test_the_sampler_waits_for_nobody_when_the_loop_sleeps() -> None:
    """Before the loop's first turn, and long after its last, a pass goes on without a pause."""
    world = World(sampler.MANNERS)
    assert 0 == world.work()
    world.ticked = world.now - sampler.MANNERS.awake
    assert 0 == world.work()


def test_a_page_pauses_also_when_the_loop_sleeps() -> None:
    """However long ago the last turn was, or if there was none: the next may come at any moment."""
    world = World(pace.MANNERS)
    assert 1 == world.work()
    world.ticked = 0.0
    assert 1 == world.work()


@BOTH
def test_an_awake_loop_has_a_pause_after_each_slice(manners: Manners) -> None:
    """A loop that turned lately may do so again: one pause a slice, none within it."""
    world = World(manners)
    world.ticked = world.now - 2 * BUSY
    assert [0, 1, 0, 1] == [world.work(0.6), world.work(0.6), world.work(0.6), world.work(0.6)]


@BOTH
def test_a_loop_at_work_is_waited_for_with_patience(manners: Manners) -> None:
    """As long as it turns the work stands still, but not for ever."""
    world = World(manners)
    world.ticked = world.now
    assert BUSY - 2 * manners.slice <= world.work() * manners.pause <= BUSY + manners.pause
    world.turning = True
    assert pytest.approx(manners.patience, abs=manners.pause) == world.work() * manners.pause
