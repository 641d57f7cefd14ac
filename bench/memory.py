"""Memory: the proportional set size (PSS) of the supervisor and its helpers with 0, 100, 500 and 1,000 services.

Read while the whole catalogue is in use: resources are sampled every second, and pages were scraped as Prometheus asks
for them, since a daemon that nobody scrapes is not the one in use. The harness runs on the same Python and so bears a
share of the interpreter's pages, as any second Python process of a host would; the row of resident memory (RSS), which
shares nothing out, is the upper bound. Beside what each service more costs stands what prometheus-client's instruments
for the same series would hold, and nothing else of a daemon.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import evolve

from bench import figures, proc, program, scrape
from bench.figures import Bound, Row, Target
from bench.running import started
from bench.subjects import many

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.subjects import Subject

TITLE = "PSS of the supervisor and its helpers"
_COUNTS = (0, 100, 500, 1000)
_TARGETS = {100: Target(Bound.AT_MOST, 40)}
_EACH = Target(Bound.AT_MOST, 24)
_INSTRUMENTS = "prom-client"
_SAMPLED = {"metrics": {"sample_interval": "1s"}}
_SCRAPES = 6
_APART = 1.0  # seconds between scrapes: a sampling interval each
_KIB = 1024


def measure(plan: Plan) -> list[Row]:
    """Measure each subject with each number of services, a fresh one each time."""
    kib = {count: {subject.name: _kib(subject, count) for subject in plan.subjects} for count in _COUNTS}
    rows = [_size(count, "Pss", kib[count]) for count in _COUNTS]
    each = {name: _slope(kib, name, 500, 1000) for name in kib[0]}
    if figures.OURS in each:
        each[_INSTRUMENTS] = _instruments(500, 1000)
    first = ", ".join(f"{name} {figures.show(_slope(kib, name, 100, 500), 'KiB')}" for name in kib[0])
    more = Row("PSS, each service more, 500 to 1,000", "KiB", each, _EACH, note=f"100 to 500: {first}")
    return [*rows, more, _size(100, "Rss", kib[100])]


def _slope(kib: dict[int, dict[str, dict[str, int]]], name: str, few: int, more: int) -> float:
    return (kib[more][name]["Pss"] - kib[few][name]["Pss"]) / (more - few)


def _instruments(few: int, more: int) -> float:
    """Give the KiB that a service more costs in instruments."""
    held = {count: int(program.run("instruments", count)["bytes"]) for count in (few, more)}
    return (held[more] - held[few]) / (more - few) / _KIB


def _size(count: int, which: str, kib: dict[str, dict[str, int]]) -> Row:
    values = {name: sizes[which] / _KIB for name, sizes in kib.items()}
    target = _TARGETS.get(count) if which == "Pss" else None
    return Row(f"{which.upper()}, {count} services", "MiB", values, target)


def _kib(subject: Subject, count: int) -> dict[str, int]:
    with started(subject, evolve(many(count), tables=_SAMPLED)) as fleet:
        fleet.start()
        fleet.settle()
        for _ in range(_SCRAPES):
            with suppress(OSError):  # only respawnd has anything to scrape
                scrape.get(fleet.place.port, "/metrics", scrape.PROMETHEUS)
            time.sleep(_APART)
        sizes = [proc.memory_kib(pid) for pid in proc.household(fleet.pid, fleet.services())]
    return {which: sum(size[which] for size in sizes) for which in ("Pss", "Rss")}
