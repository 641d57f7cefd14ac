"""How a render lets others go first: the loop between two slices, and everyone between two pages."""

from __future__ import annotations

from collections.abc import Callable

#: Seconds of rendering between two pauses, and the length of a pause. A pause of 0 would not do: the interpreter's lock
#: would be taken back before the loop, woken by its release, had a chance at it.
SLICE, PAUSE = 0.0001, 0.00005
#: While the loop has turned within this many seconds, it is probably still at work, and the render waits, up to
#: PATIENCE.
BUSY, PATIENCE = 0.001, 0.01
#: Who scrapes without pause waits so many times as long as the last page took, at most so many seconds. Scrapes that
#: are further apart than that, as Prometheus has them, wait for nothing.
REST, LONGEST_REST = 7.0, 0.25


class Pace:
    """For one render at a time. `ticked` gives the moment of the loop's last turn, if there was one."""

    def __init__(
        self, clock: Callable[[], float], pause: Callable[[float], None], ticked: Callable[[], float | None]
    ) -> None:
        self._clock, self._pause, self._ticked = clock, pause, ticked
        self._ended = self.took = 0.0

    def rest(self, due: float | None) -> None:
        """Keep renders that follow at once on one another to an eighth of the time: a respawn needs a processor too.

        A page that is due (monotonic) rests no longer than leaves time to make it.
        """
        left = self._left()
        if due is not None:
            left = min(left, due - self._clock() - self.took)
        if left > 0:
            self._pause(left)

    def _left(self) -> float:
        return min(max(0.0, self._ended + REST * self.took - self._clock()), LONGEST_REST)

    def ended(self, began: float) -> float:
        """Note the end of a page that began then; the seconds that it took."""
        self._ended = self._clock()
        self.took = self._ended - began
        return self.took

    def step_aside(self, last: float) -> float:
        """Let the loop go first, if this thread has run for a slice since `last`; when the next slice began."""
        now = self._clock()
        if now - last < SLICE:
            return last
        self._pause(PAUSE)
        until = now + PATIENCE
        while True:
            now, ticked = self._clock(), self._ticked()
            if ticked is None or now - ticked > BUSY or now > until:
                return now
            self._pause(PAUSE)
