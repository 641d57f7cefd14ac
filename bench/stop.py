"""Stop: from SIGTERM to the supervisor's exit with all of 500 children gone, each of which obeys SIGTERM at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from bench import figures
from bench.figures import Bound, Row, Target
from bench.running import started
from bench.subjects import many

if TYPE_CHECKING:
    from bench.plan import Plan

TITLE = "SIGTERM to the supervisor's exit, every child gone, 500 services"
_SERVICES = 500
_TARGET = Target(Bound.RATIO_AT_MOST, 6.0)


def measure(plan: Plan) -> list[Row]:
    """Start, come to rest, stop; a fresh supervisor each time."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for subject in plan.turns(plan.size(7, 3)):
        with started(subject, many(_SERVICES)) as fleet:
            fleet.start()
            fleet.settle()
            seconds[subject.name].append(fleet.stop())
    middle = {name: figures.median(values) for name, values in seconds.items()}
    worst = {name: max(values) for name, values in seconds.items()}
    return [Row("stop, median", "s", middle, _TARGET), Row("stop, worst", "s", worst)]
