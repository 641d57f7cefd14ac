"""How renders let others go first: the loop between two slices, and everyone between two pages."""

from __future__ import annotations

from collections.abc import Callable

from metrics.aside import Manners

#: How a render makes room for the loop (docs/decisions/0015): a pause after each slice, also while the loop sleeps, for
#: it may wake at any moment, and one that is at work is waited for twice as long as by the sampler.
MANNERS = Manners(slice=0.0001, pause=0.00005, patience=0.01)
#: Who scrapes without pause waits so many times as long as the last page took, at most so many seconds. Scrapes that
#: are further apart than that, as Prometheus has them, wait for nothing.
REST, LONGEST_REST = 7.0, 0.25


class Pace:
    """For one render at a time."""

    def __init__(self, clock: Callable[[], float], pause: Callable[[float], None]) -> None:
        self._clock, self._pause = clock, pause
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
