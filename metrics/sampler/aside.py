"""How long work in a thread of the metrics makes room for the loop.

The interpreter has one lock. Work that gives it up often is no harm to the loop as long as it also stays away while the
loop is at work: a thread that takes the lock back at once costs the loop a wait at each of its own system calls.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds of work between two looks at the loop, and the length of a pause.
SLICE, PAUSE = 0.0002, 0.00005
#: While the loop has turned within the last AWAKE seconds there is a pause after each slice: a thread that works in
#: short bursts is seldom taken off its processor in the middle of one, with the lock in its hand, however busy the
#: machine is.
AWAKE = 0.1
#: A loop that turned within the last BUSY seconds is probably still at work; one is waited for up to PATIENCE.
BUSY, PATIENCE = 0.001, 0.005


class Aside:
    """To be told of each small step of the work. `ticked` gives the moment of the loop's last turn, by `clock`."""

    def __init__(
        self,
        ticked: Callable[[], float | None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._ticked, self._clock, self._pause = ticked, clock, pause
        self._last = 0.0

    def step(self) -> None:
        """Let the loop go first, if a slice is over and the loop is at work. Costs 0.2 us otherwise."""
        now = self._clock()
        if now - self._last < SLICE:
            return
        until, within = now + PATIENCE, AWAKE
        while now < until and self._turned(now, within):
            self._pause(PAUSE)
            now, within = self._clock(), BUSY
        self._last = now

    def _turned(self, now: float, within: float) -> bool:
        ticked = self._ticked()
        return ticked is not None and now - ticked < within
