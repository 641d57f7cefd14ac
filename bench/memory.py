"""Memory: the proportional set size (PSS) of the supervisor and its helpers with 0, 100 and 500 services.

Read after one sampling interval and two scrapes, since a daemon that nobody scrapes is not the one in use. The harness
runs on the same Python and so bears a share of the interpreter's pages, as any second Python process of a host would;
the row of resident memory (RSS), which shares nothing out, is the upper bound.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from bench import proc, scrape
from bench.figures import Bound, Row, Target
from bench.running import started
from bench.subjects import many

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.subjects import Subject

TITLE = "PSS of the supervisor and its helpers"
_COUNTS = (0, 100, 500)
_TARGETS = {100: Target(Bound.AT_MOST, 40)}
_EACH = Target(Bound.AT_MOST, 12)
_REST = 6.0  # seconds: one sampling interval
_KIB = 1024


def measure(plan: Plan) -> list[Row]:
    """Measure each subject with each number of services, a fresh one each time."""
    kib = {count: {subject.name: _kib(subject, count) for subject in plan.subjects} for count in _COUNTS}
    rows = [_size(count, "Pss", kib[count]) for count in _COUNTS]
    each = {name: _slope(kib[100][name]["Pss"], kib[500][name]["Pss"]) for name in kib[0]}
    return [*rows, Row("PSS, each service more", "KiB", each, _EACH), _size(100, "Rss", kib[100])]


def _slope(hundred: int, five_hundred: int) -> float:
    return (five_hundred - hundred) / 400


def _size(count: int, which: str, kib: dict[str, dict[str, int]]) -> Row:
    values = {name: sizes[which] / _KIB for name, sizes in kib.items()}
    target = _TARGETS.get(count) if which == "Pss" else None
    return Row(f"{which.upper()}, {count} services", "MiB", values, target)


def _kib(subject: Subject, count: int) -> dict[str, int]:
    with started(subject, many(count)) as fleet:
        fleet.start()
        fleet.settle()
        for _ in range(2):
            with suppress(OSError):  # only respawnd has anything to scrape
                scrape.get(fleet.place.port, "/metrics")
        time.sleep(_REST)
        sizes = [proc.memory_kib(pid) for pid in proc.household(fleet.pid, fleet.services())]
    return {which: sum(size[which] for size in sizes) for which in ("Pss", "Rss")}
