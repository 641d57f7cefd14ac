"""Proportional set size: memory in which what processes share is divided among them. Only when asked for.

Rules: it costs sixty times what the rest of a sample does, for the kernel walks all pages of a process. So a tree is
looked at once a minute at the most, and one pass spends a bounded time on it; trees whose turn does not come are next.
psutil reads it, and is imported here and only then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from metrics.sampler.tree import Entry

#: Seconds between two looks at one tree.
EVERY = 60.0
#: The part of the time from one pass to the next that may go into it.
SHARE = 0.05


class Proportional:
    """Reads trees. `failed` counts an error by its reason; `aside` is called between processes."""

    def __init__(
        self,
        failed: Callable[[str], None],
        aside: Callable[[], None],
        same: Callable[[Entry], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._failed, self._aside, self._same, self._clock = failed, aside, same, clock
        self._until = 0.0

    def begin(self, interval: float) -> None:
        """A pass begins; the next comes in `interval` seconds."""
        self._until = self._clock() + SHARE * interval

    def due(self, looked: float | None) -> bool:
        """Whether a tree that was looked at then may be looked at now."""
        now = self._clock()
        return now < self._until and (looked is None or now - looked >= EVERY)

    def of(self, entries: Iterable[Entry]) -> int | None:
        """Bytes of these processes together; None where one of them cannot be read. What is gone counts nothing."""
        total: int | None = 0
        for entry in entries:
            one = self._one(entry)
            total = None if total is None or one is None else total + one
            self._aside()
        return total

    def _one(self, entry: Entry) -> int | None:
        import psutil  # noqa: PLC0415 - 20 ms and some megabytes, for those who ask for PSS alone

        try:
            found = int(psutil.Process(entry.pid).memory_full_info().pss)
        except (psutil.NoSuchProcess, psutil.ZombieProcess, ProcessLookupError):
            return 0
        except psutil.AccessDenied:
            self._failed("permission")
            return None
        except OSError:
            self._failed("io")
            return None
        # Read by pid, which may have been given anew: what is there now has to be who was meant.
        return found if self._same(entry) else 0
