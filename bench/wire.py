"""Over the wire: a daemon with 1,000 services that is scraped without pause, and how late its loop is meanwhile.

What a page costs the daemon in all (HTTP included), how long it takes by itself, and the lateness of the loop with
twenty more services that give it deadlines (bench/beats.py), in turn with and without the scraping.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bench import beats, figures, proc, scrape
from bench.beats import Lateness
from bench.figures import Bound, Row, Target
from bench.running import started
from bench.subjects import many

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.plan import Plan
    from bench.running import Running
    from bench.subjects import Subject

TITLE = "a daemon with 1,000 services, scraped"
_SERVICES = 1000
_LAG = Target(Bound.AT_MOST, 0.005)
_APART = 0.5  # seconds between scrapes that have nothing to do with one another
_KINDS: dict[str, Mapping[str, str]] = {"text": {}, "as Prometheus": scrape.PROMETHEUS}


def measure(plan: Plan) -> list[Row]:
    """Measure cost, then lateness, respawnd alone."""
    rows = []
    for subject in plan.subjects:
        if subject.name == figures.OURS:
            rows += _pages(plan, subject) + _lateness(plan, subject)
    return rows


def _pages(plan: Plan, subject: Subject) -> list[Row]:
    plan.quiet.wait()
    with started(subject, many(_SERVICES)) as fleet:
        fleet.start()
        fleet.settle()
        return [row for what, headers in _KINDS.items() for row in _kind(plan, fleet, what, headers)]


def _kind(plan: Plan, fleet: Running, what: str, headers: Mapping[str, str]) -> list[Row]:
    """Scrape some pages apart, then without pause."""
    apart = []
    for _ in range(plan.size(20, 5)):
        time.sleep(_APART)
        begin = time.perf_counter()
        scrape.get(fleet.place.port, "/metrics", headers)
        apart.append(time.perf_counter() - begin)
    with scrape.Scraper(fleet.place.port, headers) as scraper:
        spent, begin = proc.cpu_seconds(fleet.pid), time.monotonic()
        scraper.go()
        time.sleep(plan.size(15, 5))
        scraper.halt()
        passed, spent = time.monotonic() - begin, proc.cpu_seconds(fleet.pid) - spent
    said = f"{scraper.pages} pages of {scraper.bytes // max(1, scraper.pages) // 1024} KiB in {passed:.0f} s"
    each = spent / max(1, scraper.pages - 1)  # the first came before
    tight = f"{figures.show(scraper.seconds, 's')} in a tight loop"
    return [
        Row(f"{what}, one page by the clock", "s", {fleet.name: figures.median(apart)}, note=tight),
        Row(f"{what}, the daemon's processor time a page", "s", {fleet.name: each}, note=said),
    ]


def _lateness(plan: Plan, subject: Subject) -> list[Row]:
    """Watch the loop in turn with and without a scraper that asks as Prometheus does."""
    alone, scraped = Lateness(), Lateness()
    with started(subject, beats.setup(_SERVICES, {})) as fleet:
        fleet.start()
        subject.wait_ready(fleet.place)
        time.sleep(2)
        with scrape.Scraper(fleet.place.port, scrape.PROMETHEUS) as scraper:
            for _ in range(plan.size(12, 3)):
                alone.watch(fleet, plan.size(4, 2))
                scraper.go()
                scraped.watch(fleet, plan.size(4, 2))
                scraper.halt()
    return [*alone.rows("nobody scrapes", None), *scraped.rows("scraped without pause", _LAG)]
