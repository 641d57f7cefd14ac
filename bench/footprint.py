"""What a daemon holds at rest: series on its page, descriptors, threads, memory; and whether that grows.

At rest things still come and go: the connection of the reading itself, the pages of a render. So each figure is the
least of some looks. Memory is judged by what is anonymous (heap and stacks, smaps_rollup in proc(5)), which no other
process of the machine can change; PSS and RSS are shown beside it.
"""

from __future__ import annotations

import os
import time
from itertools import combinations
from typing import TYPE_CHECKING

from attrs import frozen

from bench import proc, scrape
from bench.figures import OURS, Bound, Row, Target, median

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.running import Running

FIRST, LAST = "first tenth", "last"
_LOOKS = 20
_BETWEEN = 0.05  # seconds
_NONE = Target(Bound.AT_MOST, 0)
#: The launcher keeps what threads it once needed, 64 at most (supervisor/host/launch_threads.py); on a busy machine it
#: needs more, and each costs some 20 KiB.
_THREADS = Target(Bound.AT_MOST, 64)
#: What allocators leave unused between two readings of the same state comes to some hundred KiB.
_GROWTH = Target(Bound.AT_MOST, 1.0)
_KINDS = ("Anonymous", "Pss", "Rss")


@frozen
class Footprint:
    """One reading: series by name and labels, counts, and KiB by kind."""

    series: frozenset[str]
    descriptors: int
    threads: int
    kib: dict[str, int]


def read(fleet: Running) -> Footprint:
    """Read one daemon and its helpers."""
    page = scrape.get(fleet.place.port, "/metrics")[1].decode()
    series = frozenset(line.rpartition(" ")[0] for line in page.splitlines() if not line.startswith("#"))
    household = proc.household(fleet.pid, fleet.services())
    looks = []
    for _ in range(_LOOKS):
        time.sleep(_BETWEEN)
        sizes = [proc.memory_kib(pid) for pid in household]
        kib = {kind: sum(size.get(kind, 0) for size in sizes) for kind in _KINDS}
        looks.append((_entries(household, "fd"), _entries(household, "task"), kib))
    least = {kind: min(kib[kind] for _, _, kib in looks) for kind in _KINDS}
    return Footprint(series, min(fds for fds, _, _ in looks), min(threads for _, threads, _ in looks), least)


def rows(what: str, readings: Sequence[Footprint], work: int) -> list[Row]:
    """Judge the readings after each tenth of some work: ``work`` is how much lies between the first and the last."""
    first, last = readings[0], readings[-1]
    changed = first.series ^ last.series
    named = f"for example {min(changed)}" if changed else ""
    fds, threads = (first.descriptors, last.descriptors), (first.threads, last.threads)
    counts = [
        ("series", len(first.series), len(last.series), len(changed), _NONE, named),
        ("descriptors", *fds, abs(fds[1] - fds[0]), _NONE, ""),
        ("threads", *threads, threads[1] - threads[0], _THREADS, ""),
    ]
    judged = [
        Row(f"{what}: {name}", "count", {FIRST: before, LAST: after, OURS: change}, target, note=note)
        for name, before, after, change, target, note in counts
    ]
    return [*judged, *(_memory(what, kind, readings, work) for kind in _KINDS)]


def _memory(what: str, kind: str, readings: Sequence[Footprint], work: int) -> Row:
    """Give what the slope of the readings says was added between the first and the last."""
    kib = [reading.kib[kind] for reading in readings]
    grown = _slope(kib) * (len(kib) - 1)
    note = f"{grown * 1024 / work:.1f} bytes each; readings {' '.join(str(size) for size in kib)} KiB"
    values = {FIRST: kib[0] / 1024, LAST: kib[-1] / 1024, OURS: grown / 1024}
    if kind == "Anonymous":
        return Row(f"{what}: memory", "MiB", values, _GROWTH, note=note)
    return Row(f"{what}: {kind.upper()}", "MiB", values)


def _slope(values: Sequence[float]) -> float:
    """Give the median of the slopes between any two values, which are one apart (Theil and Sen).

    What happens once, such as an allocator taking another megabyte, is no growth; what goes on is.
    """
    slopes = [(after - before) / (j - i) for (i, before), (j, after) in combinations(enumerate(values), 2)]
    return median(slopes)


def _entries(pids: Sequence[int], folder: str) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/{folder}")) for pid in pids)
