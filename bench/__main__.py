"""``python -m bench [NAME…]``: run the benchmarks, print a table each, end with 1 if a target is missed.

Figures go to stdout, progress to stderr. Run it from the checkout, with nothing else going on.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, cast

from attrs import evolve

from bench import figures, peers
from bench.build import CannotBuild, program
from bench.figures import Table
from bench.plan import Benchmark, Plan, say
from bench.quiet import Quiet
from bench.reports import Missing
from bench.running import Broken
from bench.scrape import NotReady
from bench.subjects import Reference, Refused, Respawnd, Unavailable

if TYPE_CHECKING:
    from bench.subjects import Subject

_NAMES = (
    "respawn", "coldstart", "storm", "stop", "flood", "idle", "memory", "crashloop",
    "exposition", "wire", "sampling", "imports", "exporter", "leak",
)  # fmt: skip
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_EXPECTED = (Broken, Missing, NotReady, Refused, OSError)


def main() -> int:
    """Run what was asked for; give the exit status."""
    options = _options()
    try:
        for name in ("child", "reference"):
            program(name)
        plan = Plan(_subjects(options), quick=options.quick)
    except (CannotBuild, Unavailable) as error:
        say(f"bench: {error}")
        return 2
    say(_machine_text())
    tables = []
    for name in options.names or _NAMES:
        tables.append(_run(name, plan))
        print(figures.render(tables[-1]), flush=True)
    if options.json:
        _write(options.json, tables)
    bad = [f"{table.name}: {row.what}" for table in tables for row in table.rows if row.verdict == "over"]
    bad += [f"{table.name}: {failure.partition(chr(10))[0]}" for table in tables for failure in table.failures]
    judged = any(row.verdict for table in tables for row in table.rows)
    print("\n".join(["over target or failed:", *bad]) if bad else "all targets met" if judged else "nothing to judge")
    return 1 if bad else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure respawnd against a minimal C program."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(_NAMES)}; all without a name")
    parser.add_argument("--quick", action="store_true", help="small rounds: a look, not a verdict")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--respawnd", metavar="CMD", default=os.path.join(_ROOT, ".venv/bin/respawnd"))
    parser.add_argument("--baseline", action="store_true", help="measure the C program and peers without respawnd")
    parser.add_argument("--peer", action="append", default=[], choices=sorted(peers.PEERS), help="a further column")
    options = parser.parse_args()
    if unknown := set(options.names) - set(_NAMES):
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}; there are {', '.join(_NAMES)}")
    return options


def _subjects(options: argparse.Namespace) -> tuple[Subject, ...]:
    """Give the C program, respawnd, and the peers that can run here; say which cannot."""
    subjects: list[Subject] = [Reference()]
    if not options.baseline:
        subjects.append(Respawnd.of(options.respawnd))
    for name in options.peer:
        try:
            subjects.append(peers.PEERS[name]())
        except Unavailable as reason:
            say(f"peer {name} is skipped: {reason}")
    return tuple(subjects)


def _run(name: str, plan: Plan) -> Table:
    """Run one benchmark; a supervisor that fails in it costs this table, not the others."""
    say(f"{name} …")
    module = cast("Benchmark", importlib.import_module(f"bench.{name}"))
    table = Table(name, module.TITLE, [])
    plan = evolve(plan, quiet=Quiet())
    begin = time.monotonic()
    try:
        table = evolve(table, rows=module.measure(plan), disturbance=plan.quiet.text())
    except _EXPECTED as error:
        table = evolve(table, failures=[f"FAILED: {error}"])
    return evolve(table, seconds=time.monotonic() - begin)


def _machine() -> dict[str, object]:
    return {
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "load": os.getloadavg()[0],
    }


def _machine_text() -> str:
    machine = _machine()
    text = ", ".join(f"{key} {value}" for key, value in machine.items())
    busy = os.getloadavg()[0] > 0.5
    return text + ("; other work is going on: figures will be noisy" if busy else "")


def _write(path: str, tables: list[Table]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": _machine(), "tables": [table.document() for table in tables]}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    sys.exit(main())
