"""Sampling: what one pass over 1,000 processes takes, beside psutil, and what it does to a daemon's loop.

The passes are run in a process of their own (bench/sampled.py) over real processes: one a service, then trees of four.
The loop is watched (bench/beats.py) in daemons that sample ten times a second, in turn with some that hardly sample.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from bench import beats, figures, proc, program
from bench.beats import Lateness
from bench.figures import Bound, Row, Target
from bench.running import started

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.subjects import Subject

TITLE = "one pass over 1,000 processes"
_PSUTIL = "psutil"
_TARGET = Target(Bound.AT_MOST, 0.05)
_LAG = Target(Bound.AT_MOST, 0.005)
_SHAPES = {"1,000 services": (1000, 1), "250 trees of 4": (250, 4)}
_SERVICES = 1000
_OFTEN, _SELDOM = "100ms", "1h"


def measure(plan: Plan) -> list[Row]:
    """Measure the passes, then the loop."""
    rows = []
    for what, (services, each) in _SHAPES.items():
        plan.quiet.wait()
        rows += _passes(what, program.run("sampled", services, each, plan.size(40, 8)))
    for subject in plan.subjects:
        if subject.name == figures.OURS:
            rows += _lateness(plan, subject)
    return rows


def _passes(what: str, found: dict[str, Any]) -> list[Row]:
    """Give the cost of a pass on each side. Both look at every process of the machine, whosever it is."""
    rows = []
    sides = found["sides"]
    for kind, said in (("wall", "by the clock"), ("cpu", "processor time")):
        values = {figures.OURS: figures.median(sides["respawnd"][kind]), _PSUTIL: figures.median(sides["psutil"][kind])}
        seconds = sides["respawnd"][kind]
        note = f"longest of {len(seconds)}: {figures.show(max(seconds), 's')}; {found['processes']} on the machine"
        rows.append(Row(f"{what}, {said}", "s", values, _TARGET, note=note, against=_PSUTIL))
    return rows


def _lateness(plan: Plan, subject: Subject) -> list[Row]:
    """Watch daemons that sample often and seldom, a fresh one each time."""
    seen: dict[str, Lateness] = defaultdict(Lateness)
    spent: dict[str, list[float]] = defaultdict(list)
    for number in range(plan.size(4, 1)):
        for interval in (_SELDOM, _OFTEN) if number % 2 else (_OFTEN, _SELDOM):
            plan.quiet.wait()
            with started(subject, beats.setup(_SERVICES, {"metrics": {"sample_interval": interval}})) as fleet:
                fleet.start()
                subject.wait_ready(fleet.place)
                time.sleep(2)
                before, begin = proc.cpu_seconds(fleet.pid), time.monotonic()
                seen[interval].watch(fleet, plan.size(10, 4))
                passed = time.monotonic() - begin
                spent[interval].append((proc.cpu_seconds(fleet.pid) - before) / passed * 100)
    more = figures.median(spent[_OFTEN]) - figures.median(spent[_SELDOM])
    return [
        *seen[_SELDOM].rows("hardly sampling", None),
        *seen[_OFTEN].rows("10 passes a second", _LAG),
        Row("processor of 10 passes a second", "%", {figures.OURS: more}),
    ]
