"""Crash storm: 500 children killed at once.

Without the rate limit: from the first SIGKILL to the first instruction of the last new life; then for a second nothing
more may come to life, and exactly 500 children must live. With the limit on: the burst that the bucket holds (5 s
worth), and the rate of what follows it.
"""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from bench import figures
from bench.figures import Bound, Row, Target
from bench.reports import Kind
from bench.subjects import many

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.running import Running

TITLE = "500 children killed at once, to the last new first instruction"
_SERVICES = 500
_ALL_BACK = Target(Bound.RATIO_AT_MOST, 2.5)
_NONE = Target(Bound.AT_MOST, 0)
_RATE = 50  # respawns a second; the bucket then holds 250, half the storm
_BUCKET_SECONDS = 5  # product contract, [daemon] respawn_rate
_AS_CONFIGURED = Target(Bound.NEAR_ONE, 0.05)


@frozen
class Storm:
    """How one storm went: seconds until all were back, children that never came, and lives too many."""

    seconds: float
    lost: int
    twice: int


def measure(plan: Plan) -> list[Row]:
    """Measure storms without the limit, then one with it."""
    storms: dict[str, list[Storm]] = defaultdict(list)
    with plan.all_running(many(_SERVICES)) as fleets:
        for subject in plan.turns(plan.size(8, 3)):
            storms[subject.name].append(_storm(fleets[subject.name]))
    back = {name: figures.median([storm.seconds for storm in each]) for name, each in storms.items()}
    worst = {name: max(storm.seconds for storm in each) for name, each in storms.items()}
    lost = {name: float(sum(storm.lost for storm in each)) for name, each in storms.items()}
    twice = {name: float(sum(storm.twice for storm in each)) for name, each in storms.items()}
    return [
        Row("all back, median", "s", back, _ALL_BACK),
        Row("all back, worst", "s", worst),
        Row("lost", "count", lost, _NONE),
        Row("twice", "count", twice, _NONE),
        *_limited(plan),
    ]


def _kill_all(fleet: Running) -> int:
    """Kill every child; give the moment before the first in nanoseconds."""
    pids = [fleet.life(ident).pid for ident in fleet.idents]
    begin = time.monotonic_ns()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return begin


def _storm(fleet: Running) -> Storm:
    """Let one storm pass and count what lives after it."""
    births = fleet.reports.births
    begin = _kill_all(fleet)
    born = fleet.born(fleet.idents)
    fleet.reports.gather(1.0)
    living = fleet.services()
    lost = len({report.pid for report in fleet.reports.lives.values() if report.ident in born} - living)
    extra = fleet.reports.births - births - len(born)
    unknown = len(living) - (len(born) - lost)
    return Storm((max(report.time_ns for report in born.values()) - begin) / 1e9, lost, max(extra, unknown))


def _limited(plan: Plan) -> list[Row]:
    """Measure respawnd's host-wide token bucket; the C program has none."""
    ours = tuple(subject for subject in plan.subjects if subject.name == figures.OURS)
    if not ours:
        return []
    setup = evolve(many(_SERVICES), respawn_rate=f"{_RATE}/s")
    with plan.all_running(setup, ours) as fleets:
        fleet = fleets[figures.OURS]
        begin = _kill_all(fleet)
        until = 1.3 * (_SERVICES / _RATE - _BUCKET_SECONDS) + 2
        reports = [report for report in fleet.reports.gather(until) if report.kind is Kind.BORN]
    return _rates(sorted((report.time_ns - begin) / 1e9 for report in reports))


def _rates(moments: list[float]) -> list[Row]:
    """Judge the moments (seconds after the storm) against rate and bucket."""
    bucket = _RATE * _BUCKET_SECONDS
    burst = sum(moment < 1.0 for moment in moments) - _RATE  # in the first second, the rate refills as it drains
    tail = moments[bucket + _RATE :]
    rate = (len(tail) - 1) / (tail[-1] - tail[0]) if len(tail) > 1 else 0.0
    note = f"{_RATE}/s configured, {rate:.1f}/s seen; bucket {bucket}, burst {burst}"
    return [
        Row("limited, rate over configured", "x", {figures.OURS: rate / _RATE}, _AS_CONFIGURED, note=note),
        Row("limited, burst over bucket", "x", {figures.OURS: burst / bucket}, _AS_CONFIGURED),
        Row("limited, lost", "count", {figures.OURS: float(_SERVICES - len(moments))}, _NONE),
    ]
