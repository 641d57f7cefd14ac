"""How work in a thread of the metrics makes room for the loop.

The interpreter has one lock. Work that gives it up often is no harm to the loop as long as it also stays away while the
loop is at work: a thread that takes the lock back at once costs the loop a wait at each of its own system calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import NamedTuple

#: A loop that turned within the last BUSY seconds is probably still at work.
BUSY = 0.001


class Manners(NamedTuple):
    """Seconds of work between two looks at the loop, of a pause, and for which a loop at work is waited for.

    While the loop has turned within the last `awake` seconds there is a pause after each slice, at work or not. A pause
    of 0 would not do: the lock would be taken back before the loop, woken by its release, had a chance at it.
    """

    slice: float
    pause: float
    patience: float
    awake: float = inf


class Aside:
    """To be told of each small step of the work. `ticked` gives the moment of the loop's last turn, None before it."""

    def __init__(
        self,
        ticked: Callable[[], float | None],
        manners: Manners,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ticked, self._manners, self._clock, self._pause = ticked, manners, clock, pause
        self._slice, self._last = manners.slice, clock()

    def step(self) -> None:
        """Let the loop go first, if a slice is over and the loop is awake. Costs 0.2 us otherwise."""
        now = self._clock()
        if now - self._last < self._slice:
            return
        _, pause, patience, within = self._manners
        until = now + patience
        while now < until and self._turned(now, within):
            self._pause(pause)
            now, within = self._clock(), BUSY
        self._last = now

    def _turned(self, now: float, within: float) -> bool:
        ticked = self._ticked()
        return now - (-inf if ticked is None else ticked) <= within
