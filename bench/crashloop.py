"""A service that dies at once, for ever: what it costs respawnd over 20 s from its first death, with default backoff.

The C program has no backoff and would spin, so it has no column. The cost holds the daemon, its helpers and the dead
children themselves.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import evolve

from bench import figures, proc
from bench.figures import Bound, Row, Target
from bench.running import started
from bench.subjects import Service, Setup

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.running import Running
    from bench.subjects import Subject

TITLE = "a service that dies at once, for ever, default backoff"
_TARGET = Target(Bound.AT_MOST, 1.0)


def measure(plan: Plan) -> list[Row]:
    """Measure respawnd alone."""
    return [_cost(plan, subject) for subject in plan.subjects if subject.name == figures.OURS]


def _cost(plan: Plan, subject: Subject) -> Row:
    seconds = plan.size(20, 8)
    setup = evolve(Setup((Service(0, ("die",)),)), defaults={"give_up": "never"})
    with started(subject, setup) as fleet:
        fleet.start()
        subject.wait_ready(fleet.place)
        births, before = fleet.reports.births, _spent(fleet)
        begin = time.monotonic()
        fleet.reports.gather(seconds)
        share = (_spent(fleet) - before) / (time.monotonic() - begin) * 100
        note = f"{fleet.reports.births - births} respawns in {seconds} s"
    return Row("processor", "%", {subject.name: share}, _TARGET, note=note)


def _spent(fleet: Running) -> float:
    household = proc.household(fleet.pid, fleet.services())
    return sum(proc.cpu_seconds(pid, with_children=True) for pid in household)
