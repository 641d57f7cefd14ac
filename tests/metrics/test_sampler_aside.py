"""How the sampler makes room for the loop."""

from __future__ import annotations

from metrics.sampler.aside import AWAKE, BUSY, PATIENCE, PAUSE, SLICE, Aside


class World:
    """A clock that a pause moves on, and a loop that turned at some moment."""

    def __init__(self) -> None:
        self.now, self.pauses = 100.0, 0
        self.ticked: float | None = None
        self.turning = False
        self.aside = Aside(lambda: self.now if self.turning else self.ticked, lambda: self.now, self.pause)
        self.aside.step()

    def pause(self, seconds: float) -> None:
        """Sleep."""
        assert seconds == PAUSE
        self.now += seconds
        self.pauses += 1

    def work(self, seconds: float = SLICE) -> int:
        """Work on for some time; how many pauses the step after it made."""
        self.now += seconds
        before = self.pauses
        self.aside.step()
        return self.pauses - before


def test_nobody_is_waited_for_when_the_loop_sleeps() -> None:
    """Before the loop's first turn, and long after its last, a pass goes on without a pause."""
    world = World()
    assert 0 == world.work()
    world.ticked = world.now - AWAKE
    assert 0 == world.work()


def test_an_awake_loop_has_a_pause_after_each_slice() -> None:
    """A loop that turned lately may do so again: one pause a slice, none within it."""
    world = World()
    world.ticked = world.now - 2 * BUSY
    assert 0 == world.work(SLICE / 2)
    assert 1 == world.work()
    assert 0 == world.work(SLICE / 2)


def test_a_loop_at_work_is_waited_for_with_patience() -> None:
    """As long as it turns the pass stands still, but not for ever."""
    world = World()
    world.ticked = world.now
    assert BUSY - SLICE <= world.work() * PAUSE <= BUSY + PAUSE
    world.turning = True
    assert PATIENCE - PAUSE <= world.work() * PAUSE <= PATIENCE + PAUSE
