"""Imports: from exec of the interpreter until all that `respawnd run` needs is imported, tracing off.

In turn with an interpreter that imports nothing and with one that imports prometheus-client. Each is a process of its
own, which reads the clock when it is done; modules are compiled before, unrecorded, as those of an installed program
are. What is only needed when it is asked for must not be among them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING

from bench import figures
from bench.figures import Bound, Row, Target
from bench.program import ROOT, environment
from bench.running import Broken

if TYPE_CHECKING:
    from bench.plan import Plan

TITLE = "exec of the interpreter to the last import"
_BARE, _LIBRARY = "python", "prom-client"
#: The command and the daemon; the second imports all that a daemon runs on.
_RUN = "import supervisor.cli.main, supervisor.cli.run, supervisor.app"
_TARGET = Target(Bound.AT_MOST, 0.25)
_NONE = Target(Bound.AT_MOST, 0)
_UNWANTED = ("opentelemetry", "prometheus_client", "psutil", "yaml", "h11", "sqlite3", "asyncio", "http.client")
_JUDGED = frozenset({"opentelemetry", "prometheus_client", "psutil"})
_APP = "supervisor.app alone"
_WAYS = {_BARE: "pass", figures.OURS: _RUN, _LIBRARY: "import prometheus_client", _APP: "import supervisor.app"}


def measure(plan: Plan) -> list[Row]:
    """Start each in turn."""
    for code in _WAYS.values():
        _seconds(code)
    seconds: dict[str, list[float]] = defaultdict(list)
    for number in range(plan.size(25, 5)):
        plan.quiet.wait()
        for name in _WAYS if number % 2 else reversed(_WAYS):
            seconds[name].append(_seconds(_WAYS[name]))
    middle = {name: figures.median(values) for name, values in seconds.items()}
    ours = seconds[figures.OURS]
    note = f"least {figures.show(min(ours), 's')}, most {figures.show(max(ours), 's')} of {len(ours)}"
    app = middle.pop(_APP)
    return [
        Row("command and daemon", "s", middle, _TARGET, note=note, against=_BARE),
        Row(_APP, "s", {figures.OURS: app}),
        *_modules(),
    ]


def _modules() -> list[Row]:
    """Count what is imported, and what should not be."""
    loaded: list[str] = json.loads(_said(f"{_RUN}, sys, json; print(json.dumps(sorted(sys.modules)))"))
    there = [name for name in _UNWANTED if name in loaded]
    bad = [name for name in there if name in _JUDGED]
    note = f"also there: {', '.join(sorted(set(there) - _JUDGED))}" if set(there) - _JUDGED else ""
    return [
        Row("modules", "count", {figures.OURS: len(loaded)}),
        Row(f"of {', '.join(sorted(_JUDGED))}", "count", {figures.OURS: len(bad)}, _NONE, note=note),
    ]


def _seconds(code: str) -> float:
    """Give the seconds from just before the start of an interpreter to the moment at which it has run ``code``."""
    begin = time.monotonic_ns()
    return (int(_said(f"{code}\nimport time; print(time.monotonic_ns())")) - begin) / 1e9


def _said(code: str) -> str:
    """Run code in an interpreter of its own, without the working directory on its path; give what it printed."""
    command = [sys.executable, "-P", "-c", code]
    env = {**environment(), "PYTHONPATH": ROOT}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, cwd=os.sep)
    if done.returncode:
        raise Broken(f"cannot import: {done.stderr.strip()[-1000:]}")
    return done.stdout
