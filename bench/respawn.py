"""Respawn: from SIGKILL of a random service to the first instruction of its next life, 100 services.

Three ways: plain; with another user and a limit set (the C program stays plain); and while /metrics is scraped in a
tight loop. Beside the last, the C program is measured twice: undisturbed, which the target compares with, and under the
same scraping of its neighbour, which shows how much of the difference is two processes sharing few cores.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from attrs import evolve

from bench import figures, scrape
from bench.figures import Bound, Row, Target
from bench.plan import say
from bench.subjects import Unavailable, many, unprivileged

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.running import Running

TITLE = "SIGKILL to the new child's first instruction, 100 services"
_SERVICES = 100
_MEDIAN = Target(Bound.RATIO_AT_MOST, 1.8)
_MEDIAN_USER = Target(Bound.RATIO_AT_MOST, 3.5)
_P99 = Target(Bound.RATIO_AT_MOST, 3.0)
_OPEN_FILES = 4096
Samples = dict[str, list[float]]


def measure(plan: Plan) -> list[Row]:
    """Measure the three ways."""
    with plan.all_running(many(_SERVICES)) as fleets:
        rows = _rows("plain", _batches(plan, fleets), _MEDIAN, _P99)
        if figures.OURS in fleets:
            rows += _scraped(plan, fleets[figures.REFERENCE], fleets[figures.OURS])
    return rows + _with_user(plan)


def _batches(plan: Plan, fleets: dict[str, Running]) -> Samples:
    samples: Samples = defaultdict(list)
    for subject in plan.turns(plan.size(20, 4)):
        samples[subject.name] += plan.respawns(fleets[subject.name], plan.size(100, 50))
    return samples


def _rows(way: str, samples: Samples, median: Target | None, p99: Target | None) -> list[Row]:
    """Give the median and the 99th percentile of every subject."""
    middle = {name: figures.median(values) for name, values in samples.items()}
    late = {name: figures.quantile(values, 0.99) for name, values in samples.items()}
    counts = ", ".join(f"{name} {len(values)}" for name, values in samples.items())
    return [
        Row(f"{way}, median", "s", middle, median, note=f"respawns: {counts}"),
        Row(f"{way}, p99", "s", late, p99),
    ]


def _scraped(plan: Plan, reference: Running, ours: Running) -> list[Row]:
    """Measure respawnd while it is scraped, between batches of the C program with and without that load beside it."""
    quiet: Samples = defaultdict(list)
    loaded: Samples = defaultdict(list)
    size = plan.size(100, 50)
    with scrape.Scraper(ours.place.port) as scraper:
        for _ in range(plan.size(20, 4)):
            plan.quiet.wait()
            quiet[figures.REFERENCE] += plan.respawns(reference, size)
            scraper.go()
            quiet[figures.OURS] += plan.respawns(ours, size)
            loaded[figures.REFERENCE] += plan.respawns(reference, size)
            scraper.halt()
    loaded[figures.OURS] = quiet[figures.OURS]
    middle, late = _rows("scraped", quiet, _MEDIAN, _P99)
    said = f"{scraper.pages} pages of {scraper.bytes // max(1, scraper.pages) // 1024} KiB; the C program undisturbed"
    return [evolve(middle, note=said), late, *_rows("scraped, C beside it", loaded, None, None)]


def _with_user(plan: Plan) -> list[Row]:
    """Measure with user and limits, which need the shim; the C program launches as before."""
    try:
        user = unprivileged()
    except Unavailable as reason:
        say(f"respawn with user is skipped: {reason}")
        return []
    setup = many(_SERVICES)
    setup = evolve(setup, defaults={**setup.defaults, "user": user, "limits": {"open_files": _OPEN_FILES}})
    subjects = plan.main_subjects()
    short = evolve(plan, subjects=subjects)
    with short.all_running(setup) as fleets:
        return _rows("user and limits", _batches(short, fleets), _MEDIAN_USER, None)
