"""Services that die at once and come back after a fixed delay: they give the loop deadlines to keep, and tell how late.

A daemon with nothing but quiet services wakes every few seconds, which says little of its lateness. Each beating
service makes one deadline a beat. Two measures: the daemon's own histogram of lateness, as a difference of two pages,
and from outside the time from each first instruction to the next, less the delay: it holds the death, its notice, the
decision and the launch as well.
"""

from __future__ import annotations

import math
import re
import time
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from attrs import define, field

from bench import figures, scrape
from bench.figures import Row, Target
from bench.reports import Kind
from bench.subjects import Service, Setup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.running import Running

BEAT = 0.05  # seconds
_BEATERS = 20
_FAMILY = "respawnd_loop_lag_seconds"
_LINE = re.compile(_FAMILY + r'_bucket\{le="([^"]+)"\} ([0-9.e+]+)')
_KEYS = {"backoff": {"initial": f"{BEAT}s", "factor": 1.0, "max": f"{BEAT}s", "jitter": 0.0}}
Buckets = dict[float, float]


def setup(quiet: int, tables: Mapping[str, Mapping[str, object]]) -> Setup:
    """Give quiet services with beating ones among them."""
    services = [Service(ident) for ident in range(quiet)]
    services += [Service(quiet + number, ("die",), _KEYS) for number in range(_BEATERS)]
    return Setup(tuple(services), tables=tables)


@define
class Lateness:
    """What was seen in some batches: the daemon's buckets, not cumulative, and beats that came too late by seconds."""

    buckets: Buckets = field(factory=lambda: defaultdict(float))
    beats: list[float] = field(factory=list)

    def watch(self, fleet: Running, seconds: float) -> None:
        """Watch a batch go by; the reports are read afterwards, so that the harness uses no processor meanwhile."""
        while fleet.reports.take(0):
            pass
        before = _lag(fleet)
        time.sleep(seconds)
        after = _lag(fleet)
        for bound, count in after.items():
            self.buckets[bound] += count - before[bound]
        born: dict[int, list[int]] = defaultdict(list)
        while reports := fleet.reports.take(0):
            for report in reports:
                if report.kind is Kind.BORN:
                    born[report.ident].append(report.time_ns)
        for moments in born.values():
            self.beats += [(b - a) / 1e9 - BEAT for a, b in pairwise(moments)]

    def quantile(self, share: float) -> float:
        """Give the lateness of the loop that ``share`` (0 to 1) of its wake-ups did not exceed, as Prometheus does."""
        rank, below, start = share * self.wakes, 0.0, 0.0
        for bound in sorted(self.buckets):
            count = self.buckets[bound]
            if below + count >= rank and count:
                return start if math.isinf(bound) else start + (bound - start) * (rank - below) / count
            below, start = below + count, bound
        return math.nan

    def within(self, seconds: float) -> float:
        """Give the share (0 to 1) of wake-ups that came at most ``seconds`` late; a bound of the histogram."""
        return sum(count for bound, count in self.buckets.items() if bound <= seconds) / max(1.0, self.wakes)

    def rows(self, how: str, target: Target | None) -> list[Row]:
        """Give the 99th percentile of both measures; the target is for the daemon's own."""
        within = f"{self.wakes:.0f} wake-ups, {self.within(0.005) * 100:.2f} % within 5 ms"
        middle = f"{len(self.beats)} beats, median {figures.show(figures.median(self.beats), 's')}"
        return [
            Row(f"loop lag p99, {how}", "s", {figures.OURS: self.quantile(0.99)}, target, note=within),
            Row(f"beat late p99, {how}", "s", {figures.OURS: figures.quantile(self.beats, 0.99)}, note=middle),
        ]

    @property
    def wakes(self) -> float:
        """How many deadlines woke the loop."""
        return sum(self.buckets.values())


def _lag(fleet: Running) -> Buckets:
    """Ask for the histogram alone, and take its buckets apart."""
    page = scrape.get(fleet.place.port, f"/metrics?name[]={_FAMILY}")[1].decode()
    buckets: Buckets = {}
    below = 0.0
    for bound, count in _LINE.findall(page):
        buckets[float(bound)] = float(count) - below
        below = float(count)
    return buckets
