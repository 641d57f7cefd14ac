"""Leaks: what 10,000 services that came and went, and 100,000 respawns, leave in the daemon.

Services are added and removed by SIGHUP, a hundred at a time, each under a name that never comes again. Respawns: each
child is killed as soon as it tells of its life. Pages are scraped and resources sampled all the while. After each tenth
of the work the daemon is read at rest, with the same services running (bench/footprint.py); the first tenth warms up.
Then all of it once more with spans written to a file.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from bench import figures, footprint, proc, scrape
from bench.figures import Bound, Row, Target
from bench.plan import say
from bench.reports import Kind
from bench.running import Broken, started
from bench.subjects import Service, Setup

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.footprint import Footprint
    from bench.plan import Plan
    from bench.running import Running
    from bench.subjects import Subject

TITLE = "what 10,000 services come and gone, and 100,000 respawns, leave behind"
_TENTHS = 10
_AT_ONCE = 100  # services a reload adds or removes
_STAYING = 20
#: No more die at once than the launcher has threads from the start: those that it starts beyond would be in the
#: readings (bench/footprint.py).
_RESPAWNING = 2 * (os.cpu_count() or 1)
_PATIENCE = 60.0  # seconds for a reload or a wave of respawns
_SCRAPE_EVERY = 0.5  # seconds
_NONE = Target(Bound.AT_MOST, 0)
_METRICS: Mapping[str, Mapping[str, object]] = {"metrics": {"sample_interval": "200ms"}}
_TRACING: Mapping[str, Mapping[str, object]] = {"tracing": {"exporter": "file", "file": "{dir}/spans.jsonl"}}


def measure(plan: Plan) -> list[Row]:
    """Measure respawnd alone, without and with tracing."""
    rows = []
    for subject in plan.subjects:
        if subject.name == figures.OURS:
            rows += _both(plan, subject, "", _METRICS)
            try:
                rows += _both(plan, subject, ", traced", {**_METRICS, **_TRACING})
            except Broken as reason:
                if "tracing" not in str(reason):
                    raise
                say(f"leak with tracing is skipped: {reason}")
    return rows


def _both(plan: Plan, subject: Subject, how: str, tables: Mapping[str, Mapping[str, object]]) -> list[Row]:
    cycles = plan.size(10_000, 1_000)
    respawns = plan.size(100_000, 10_000)
    return [
        *_coming_and_going(subject, cycles, f"{cycles:,} services{how}", tables),
        *_respawning(subject, respawns, f"{respawns:,} respawns{how}", tables),
    ]


def _quiet(count: int, tables: Mapping[str, Mapping[str, object]]) -> Setup:
    return Setup(tuple(Service(ident) for ident in range(count)), tables=tables)


def _coming_and_going(
    subject: Subject, cycles: int, what: str, tables: Mapping[str, Mapping[str, object]]
) -> list[Row]:
    """Add and remove; the names of the added go on from those that stay."""
    readings = []
    fresh = _STAYING
    with started(subject, _quiet(_STAYING, tables)) as fleet:
        fleet.start()
        subject.wait_ready(fleet.place)
        for tenth in range(_TENTHS):
            for _ in range(cycles // _TENTHS // _AT_ONCE):
                _come_and_go(fleet, range(fresh, fresh + _AT_ONCE), tables)
                fresh += _AT_ONCE
            readings.append(_read(fleet, f"{what}, {tenth + 1} of {_TENTHS}"))
    return footprint.rows(what, readings, cycles - cycles // _TENTHS)


def _come_and_go(fleet: Running, idents: range, tables: Mapping[str, Mapping[str, object]]) -> None:
    """Have some services more, until all live and were on a page; then no longer, until nothing is left of them."""
    staying = _quiet(_STAYING, tables)
    more = Setup((*staying.services, *(Service(ident) for ident in idents)), tables=tables)
    _reload(fleet, more)
    fleet.born(idents)
    scrape.get(fleet.place.port, "/metrics", scrape.PROMETHEUS)
    _reload(fleet, staying)
    until = time.monotonic() + _PATIENCE
    while len(proc.running(fleet.place.child)) > _STAYING or _shown(fleet) > _STAYING:
        if time.monotonic() > until:
            raise Broken(f"{fleet.name}: services that left the configuration did not go within {_PATIENCE:g} s")
        time.sleep(0.01)  # neither the end of a stranger's children nor a page can be waited for
    for ident in idents:
        fleet.reports.lives.pop(ident, None)


def _reload(fleet: Running, setup: Setup) -> None:
    fleet.subject.prepare(fleet.place, setup)
    os.kill(fleet.pid, signal.SIGHUP)


def _shown(fleet: Running) -> int:
    """Count the services on the page."""
    page = scrape.get(fleet.place.port, "/metrics?name[]=respawnd_service_up")[1]
    return page.count(b"\nrespawnd_service_up{")


def _respawning(subject: Subject, respawns: int, what: str, tables: Mapping[str, Mapping[str, object]]) -> list[Row]:
    """Kill and let come back; each kill must give exactly one life."""
    readings = []
    wrong = 0
    begin = time.monotonic()
    with started(subject, _quiet(_RESPAWNING, tables)) as fleet:
        fleet.start()
        subject.wait_ready(fleet.place)
        for tenth in range(_TENTHS):
            wrong += abs(_kill_and_count(fleet, respawns // _TENTHS))
            readings.append(_read(fleet, f"{what}, {tenth + 1} of {_TENTHS}"))
    note = f"{respawns / (time.monotonic() - begin):.0f} respawns a second, readings included"
    missing = Row(f"{what}: lost or twice", "count", {figures.OURS: wrong}, _NONE, note=note)
    return [missing, *footprint.rows(what, readings, respawns - respawns // _TENTHS)]


def _kill_and_count(fleet: Running, kills: int) -> int:
    """Kill each child when it tells of its life, ``kills`` in all; give the lives too many, or (below 0) too few."""
    before = fleet.reports.births
    fresh = [fleet.life(ident) for ident in fleet.idents]
    killed = 0
    page_due = time.monotonic()
    until = time.monotonic() + _PATIENCE
    while killed < kills or fleet.reports.births - before < killed:
        for life in fresh[: kills - killed]:
            os.kill(life.pid, signal.SIGKILL)
            killed += 1
            until = time.monotonic() + _PATIENCE
        if time.monotonic() >= page_due:
            scrape.get(fleet.place.port, "/metrics", scrape.PROMETHEUS)
            page_due = time.monotonic() + _SCRAPE_EVERY
        fresh = [report for report in fleet.reports.take(0.1) if report.kind is Kind.BORN]
        if time.monotonic() > until:
            break
    fleet.reports.gather(0.5)
    return fleet.reports.births - before - killed


def _read(fleet: Running, where: str) -> Footprint:
    """Read the daemon at rest; say how far the work is, for it takes minutes."""
    fleet.settle()
    reading = footprint.read(fleet)
    say(f"  {where}: {len(reading.series)} series, {reading.descriptors} descriptors, {reading.kib['Anonymous']} KiB")
    return reading
