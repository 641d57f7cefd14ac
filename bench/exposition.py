"""Exposition: what one page for 1,000 services costs to render, beside prometheus-client's own renderer.

In a process of its own (bench/render.py), from a past that a real fleet had on a simulated clock. Times are processor
time of the rendering thread.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench import figures, program
from bench.figures import Bound, Row, Target

if TYPE_CHECKING:
    from bench.plan import Plan

TITLE = "one page, 1,000 services, processor time"
_SERVICES = 1000
_INSTRUMENTS, _COLLECTOR = "prom-client", "its collector"
_COST = Target(Bound.AT_MOST, 0.025)
_TIMES = Target(Bound.AT_LEAST, 15)
_SAMPLES = Target(Bound.AT_LEAST, 40_000)


def measure(plan: Plan) -> list[Row]:
    """Render each kind of page in turn with the library."""
    plan.quiet.wait()
    found = program.run("render", _SERVICES, plan.size(15, 3))
    rows = [Row("samples on the page", "count", {figures.OURS: found["samples"]}, _SAMPLES)]
    for what, race in found["races"].items():
        rows += _rows(what, race)
    return rows


def _rows(what: str, race: dict[str, Any]) -> list[Row]:
    """Give the cost of one kind of page on each side, and how many times ours goes into the library's."""
    names = {"respawnd": figures.OURS, "instruments": _INSTRUMENTS, "collector": _COLLECTOR}
    cpu = {names[name]: figures.median(seconds) for name, seconds in race["cpu"].items()}
    worst, size = max(race["cpu"]["respawnd"]), race["bytes"]["respawnd"]
    said = f"{size // 1024} KiB; dearest of {len(race['cpu']['respawnd'])}: {figures.show(worst, 's')}"
    ours = cpu[figures.OURS]
    times = {name: seconds / ours for name, seconds in cpu.items() if name != figures.OURS}
    beside = f"over its collector {times[_COLLECTOR]:.1f}" if _COLLECTOR in times else ""
    return [
        Row(what, "s", cpu, _COST, note=said, against=_INSTRUMENTS),
        Row(f"{what}, the library's over ours", "x", {figures.OURS: times[_INSTRUMENTS]}, _TIMES, note=beside),
    ]
