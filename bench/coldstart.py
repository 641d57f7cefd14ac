"""Cold start: from exec of the supervisor to the first instruction of its last child, and to the first 200 of /-/ready.

Each start has fresh directories, and so a configuration that was never read. One start a subject goes before,
unrecorded, so that both sides find their files in the page cache.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from bench import figures
from bench.figures import Bound, Row, Target
from bench.running import started
from bench.subjects import many

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.subjects import Subject

TITLE = "exec to the last child's first instruction"
_TARGETS = {1: None, 100: None, 1000: Target(Bound.RATIO_AT_MOST, 3.0)}
_READY = Target(Bound.AT_MOST, 0.35)


def measure(plan: Plan) -> list[Row]:
    """Measure 1, 100 and 1,000 services, then readiness with one."""
    rows = [_size(plan, count, target) for count, target in _TARGETS.items()]
    ours = [subject for subject in plan.subjects if subject.name == figures.OURS]
    return rows + [_ready(plan, subject) for subject in ours]


def _size(plan: Plan, count: int, target: Target | None) -> Row:
    seconds: dict[str, list[float]] = defaultdict(list)
    for subject in plan.subjects:
        _start(subject, count)
    for subject in plan.turns(plan.size(7, 3)):
        seconds[subject.name].append(_start(subject, count))
    values = {name: figures.median(values) for name, values in seconds.items()}
    return Row(f"{count} service{'s'[: count - 1]}", "s", values, target)


def _start(subject: Subject, count: int) -> float:
    with started(subject, many(count)) as fleet:
        return fleet.start()


def _ready(plan: Plan, subject: Subject) -> Row:
    """Measure apart from the rest: asking every millisecond is load."""
    seconds = []
    for _ in range(plan.size(10, 4)):
        plan.quiet.wait()
        with started(subject, many(1)) as fleet:
            seconds.append(fleet.ready_seconds())
    note = f"slowest of {len(seconds)}: {figures.show(max(seconds), 's')}"
    return Row("ready with 1 service", "s", {subject.name: figures.median(seconds)}, _READY, note=note)
