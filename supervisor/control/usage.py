"""Memory and processor share of services, from one pass over /proc for each question.

A service is all processes of its session. Processor share is of one processor, since the last question about the same
life, at first since its start; questions that follow each other faster than `SHORTEST` get the last answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import NamedTuple

from supervisor.core.model import UnitKey
from supervisor.core.state import Unit
from supervisor.host import procfs

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Seconds between two looks below which a share of processor time would be noise: it is counted in ticks of 10 ms.
SHORTEST = 0.5


class Used(NamedTuple):
    """What one unit uses: percent of one processor, resident bytes."""

    cpu_percent: float
    memory_bytes: int


class _Look(NamedTuple):
    """What was seen of a life, which is a pid and its start time, at one moment (monotonic seconds)."""

    life: tuple[int, int]
    at: float
    ticks: int
    share: float


class Usage:
    """Asked by any thread; two at once cost each other precision, never sense."""

    def __init__(self) -> None:
        self._looks: dict[UnitKey, _Look] = {}

    def of(self, units: Iterable[Unit]) -> dict[UnitKey, Used]:
        """What each of `units` uses that has a living main process."""
        everyone = procfs.table()
        sums: dict[int, list[int]] = {}
        for one in everyone.values():
            total = sums.setdefault(one.session, [0, 0])
            total[0] += one.ticks
            total[1] += one.pages
        now = time.monotonic()
        found = {}
        for unit in units:
            main = everyone.get(unit.pid or 0)
            if main is not None and main.session in sums and main.session == main.pid:
                ticks, pages = sums[main.pid]
                found[unit.key] = Used(self._share(unit, main, ticks, now), pages * _PAGE)
        return found

    def _share(self, unit: Unit, main: procfs.Entry, ticks: int, now: float) -> float:
        life = (main.pid, main.started)
        last = self._looks.get(unit.key)
        if last is None or last.life != life:
            last = _Look(life, unit.started_at or now, 0, 0.0)
        elif now - last.at < SHORTEST:
            return last.share
        # An ended child takes its ticks out of the sum: never less than nothing. A life's first moments are no base.
        share = 100 * max(0, ticks - last.ticks) / _TICKS / max(now - last.at, SHORTEST)
        self._looks[unit.key] = _Look(life, now, ticks, share)
        return share


def age(pid: int) -> float | None:
    """Seconds since a process started, whatever the wall clock did since; None where it cannot be seen."""
    one = procfs.entry(pid)
    return None if one is None else max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - one.started / _TICKS)
