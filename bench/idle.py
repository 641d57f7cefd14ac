"""Idle: what 500 quiet services cost over 30 s, both supervisors watched at the same time.

Wake-ups are voluntary context switches of all threads of the supervisor and its helpers; processor time is theirs too.
Nobody scrapes; respawnd samples its services as configured by default.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from attrs import frozen

from bench import proc
from bench.figures import Bound, Row, Target
from bench.subjects import many

if TYPE_CHECKING:
    from bench.plan import Plan
    from bench.running import Running

TITLE = "500 services at rest"
_SERVICES = 500
_WAKEUPS = Target(Bound.AT_MOST, 1.0)
_CPU = Target(Bound.AT_MOST, 0.3)
_REST = 6.0  # seconds before: one sampling interval, so that what it sets up once is over


@frozen
class Cost:
    """Readings of one supervisor and its helpers."""

    wakeups: int
    cpu_seconds: float


def measure(plan: Plan) -> list[Row]:
    """Read, wait, read again."""
    seconds = plan.size(30, 10)
    with plan.all_running(many(_SERVICES)) as fleets:
        time.sleep(_REST)
        before = {name: _cost(fleet) for name, fleet in fleets.items()}
        begin = time.monotonic()
        time.sleep(seconds)
        after = {name: _cost(fleet) for name, fleet in fleets.items()}
        passed = time.monotonic() - begin
    wakeups = {name: (after[name].wakeups - before[name].wakeups) / passed for name in after}
    cpu = {name: (after[name].cpu_seconds - before[name].cpu_seconds) / passed * 100 for name in after}
    note = f"over {passed:.0f} s; processor time is counted in ticks of 10 ms, {1 / passed:.2g} % each"
    return [Row("wake-ups", "/s", wakeups, _WAKEUPS), Row("processor", "%", cpu, _CPU, note=note)]


def _cost(fleet: Running) -> Cost:
    household = proc.household(fleet.pid, fleet.services())
    return Cost(sum(map(proc.wakeups, household)), sum(map(proc.cpu_seconds, household)))
