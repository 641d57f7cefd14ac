"""Output flood: one child writes 200 MB to stdout in blocks of 64 KiB.

Rate: from the child's start of writing to the last byte in the log file, nothing else going on; every byte is compared.
Latency: respawns of other services while a longer flood runs, over the same daemon's respawns just before it.
respawnd's `logs.max_size` is above the flood, so that both sides write one plain file; a last row shows its default
(rotation at 50 MiB with compression) against the same bytes.
"""

from __future__ import annotations

import time
from collections import defaultdict
from typing import TYPE_CHECKING

from attrs import evolve

from bench import figures
from bench.figures import Bound, Row, Target
from bench.plan import kill_one
from bench.reports import Kind
from bench.running import Broken, Running, started
from bench.subjects import Service, Setup, captured_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench.plan import Plan

TITLE = "one child writes 200 MB in blocks of 64 KiB"
_MB = 1_000_000
_FLOOD = 200 * _MB
_FLOODER = 0
_OTHERS = range(1, 11)
_RATE = Target(Bound.RATIO_AT_LEAST, 0.8)
_MEANWHILE = Target(Bound.AT_MOST, 2.0)
_WHOLE = Target(Bound.AT_LEAST, _FLOOD / _MB)
_ONE_FILE = {"max_size": "100GB", "rate": "off"}
_PATIENCE = 120.0  # seconds for the slowest peer to take it all
_BLOCK = bytes(10 if at % 64 == 63 else ord("a") + at % 26 for at in range(65536))  # as bench/src/child.c fills it


def measure(plan: Plan) -> list[Row]:
    """Measure rate and completeness, then latency, then the default rotation."""
    return [*_rates(plan), *_latencies(plan), *_rotated(plan)]


def _setup(size: int, logs: Mapping[str, object] | None) -> Setup:
    """Give the flooding child and ten quiet ones; ``logs`` is respawnd's table, None for its defaults."""
    flooder = Service(_FLOODER, ("flood", str(size), "{dir}/gate"))
    setup = Setup((flooder, *(Service(ident) for ident in _OTHERS)))
    return setup if logs is None else evolve(setup, defaults={**setup.defaults, "logs": logs})


def _open_gate(fleet: Running) -> int:
    """Let the flood begin; give that moment in nanoseconds as the child saw it."""
    with open(fleet.place.path("gate"), "wb"):
        return fleet.reports.mark(Kind.FLOOD_START, 10).time_ns


def _rates(plan: Plan) -> list[Row]:
    """Measure a fresh supervisor each round: rate of the capture, and what arrived."""
    rates: dict[str, list[float]] = defaultdict(list)
    whole: dict[str, list[float]] = defaultdict(list)
    for subject in plan.turns(plan.size(8, 3)):
        with started(subject, _setup(_FLOOD, _ONE_FILE)) as fleet:
            fleet.start()
            fleet.settle()
            rates[subject.name].append(_FLOOD / _MB / _flood_seconds(fleet))
            whole[subject.name].append(_same_bytes(fleet) / _MB)
    middle = {name: figures.median(values) for name, values in rates.items()}
    least = {name: min(values) for name, values in whole.items()}
    return [Row("captured, median", "MB/s", middle, _RATE), Row("captured whole, least", "MB", least, _WHOLE)]


def _flood_seconds(fleet: Running) -> float:
    """Let the flood run; give the seconds until its last byte is in the file."""
    begin = _open_gate(fleet)
    fleet.reports.mark(Kind.FLOOD_END, _PATIENCE)
    until = time.monotonic() + _PATIENCE
    while captured_bytes(fleet.output(_FLOODER)) < _FLOOD:
        if time.monotonic() > until:
            raise Broken(f"{fleet.name}: of {_FLOOD} bytes {captured_bytes(fleet.output(_FLOODER))} were captured")
        time.sleep(0.0002)  # what is left in the pipe takes about a millisecond
    return (time.monotonic_ns() - begin) / 1e9


def _same_bytes(fleet: Running) -> int:
    """Count the captured bytes up to the first that differs from what the child wrote."""
    same = 0
    for path in fleet.output(_FLOODER):
        with open(path, "rb") as file:
            while block := file.read(len(_BLOCK)):
                if block != _BLOCK[: len(block)]:
                    return same
                same += len(block)
    return same


def _latencies(plan: Plan) -> list[Row]:
    """Measure respawns of the other services, quiet and then during a flood, on the same supervisor."""
    quiet: dict[str, list[float]] = defaultdict(list)
    meanwhile: dict[str, list[float]] = defaultdict(list)
    for subject in plan.turns(plan.size(4, 2)):
        with started(subject, _setup(plan.size(6, 3) * _FLOOD, _ONE_FILE)) as fleet:
            fleet.start()
            fleet.settle()
            fleet.idents.remove(_FLOODER)
            quiet[subject.name] += plan.respawns(fleet, plan.size(100, 50))
            _open_gate(fleet)
            while not fleet.reports.marked(Kind.FLOOD_END):
                meanwhile[subject.name].append(kill_one(fleet, plan.dice.choice(fleet.idents)))
                time.sleep(plan.dice.uniform(0.002, 0.006))
    return _latency_rows(quiet, meanwhile)


def _latency_rows(quiet: dict[str, list[float]], meanwhile: dict[str, list[float]]) -> list[Row]:
    before = {name: figures.median(values) for name, values in quiet.items()}
    during = {name: figures.median(values) for name, values in meanwhile.items()}
    late = {name: figures.quantile(values, 0.99) for name, values in meanwhile.items()}
    times = {name: during[name] / before[name] for name in during}
    counts = ", ".join(f"{name} {len(values)}" for name, values in meanwhile.items())
    return [
        Row("respawn of another, quiet", "s", before),
        Row("respawn of another, meanwhile", "s", during, note=f"respawns: {counts}"),
        Row("respawn of another, meanwhile, p99", "s", late),
        Row("meanwhile over quiet", "x", times, _MEANWHILE),
    ]


def _rotated(plan: Plan) -> list[Row]:
    """Count what respawnd holds of a flood with its default rotation and compression."""
    rows = []
    for subject in plan.subjects:
        if subject.name != figures.OURS:
            continue
        with started(subject, _setup(_FLOOD, None)) as fleet:
            fleet.start()
            fleet.settle()
            begin = _open_gate(fleet)
            end = fleet.reports.mark(Kind.FLOOD_END, _PATIENCE).time_ns
            fleet.stop()
            held = captured_bytes(fleet.output(_FLOODER)) / _MB
            note = f"in {len(fleet.output(_FLOODER))} files; written at {_FLOOD / _MB / (end - begin) * 1e9:.0f} MB/s"
        rows.append(Row("captured whole, default rotation", "MB", {subject.name: held}, _WHOLE, note=note))
    return rows
