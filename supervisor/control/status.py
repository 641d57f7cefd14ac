"""Units as JSON: the shape that `status --json` and /api/v1/services promise (product.md section 4).

An absent value is null, times are Unix seconds, durations seconds, sizes bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Any

from supervisor.control.daemon import About
from supervisor.core.model import UnitKey
from supervisor.core.state import ALIVE, State, Unit
from supervisor.core.view import FleetView
from supervisor.host import procfs

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
#: Seconds between two looks below which a share of processor time would be noise.
_SHORTEST = 0.5


class Usage:
    """Memory and processor share of the sessions of units, from one pass over /proc for each question."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, int], tuple[float, int]] = {}

    def of(self, units: Iterable[Unit]) -> dict[UnitKey, tuple[float, int]]:
        """For each living unit the percent of one processor (since the last question, at first since its start) and the
        resident bytes of all processes in its session."""
        everyone = procfs.table()
        sums: dict[int, list[int]] = {}
        for one in everyone.values():
            total = sums.setdefault(one.session, [0, 0])
            total[0] += one.ticks
            total[1] += one.pages
        found = {}
        now = time.monotonic()
        for unit in units:
            if unit.pid is not None and unit.pid in everyone and unit.pid in sums:
                ticks, pages = sums[unit.pid]
                found[unit.key] = (self._share(unit, everyone[unit.pid].started, ticks, now), pages * _PAGE)
        return found

    def _share(self, unit: Unit, started: int, ticks: int, now: float) -> float:
        life = (unit.pid or 0, started)
        then, before = self._before.get(life, (unit.started_at or now, 0))
        if now - then < _SHORTEST:
            then, before = unit.started_at or now, 0
        elif len(self._before) > 4096:  # lives that ended since: forgotten all at once, now and then
            self._before.clear()
        self._before[life] = (now, ticks)
        return 100 * max(0, ticks - before) / _TICKS / max(now - then, 0.01)


def document(about: About, view: FleetView, keys: Iterable[UnitKey], usage: Usage) -> dict[str, Any]:
    """What `status --json` prints of some units."""
    units = [view.units[key] for key in keys if key in view.units]
    used = usage.of(unit for unit in units if unit.state in ALIVE)
    now, wall = time.monotonic(), time.time()
    daemon = {
        "pid": about.pid,
        "version": about.version,
        "uptime_seconds": round(wall - about.started_wall, 3),
        "generation": about.generation,
        "config": about.config,
        "http": about.http,
        "booted": view.booted,
        "closing": view.closing,
    }
    return {"daemon": daemon, "services": [row(unit, now, used.get(unit.key)) for unit in units]}


def row(unit: Unit, now: float, used: tuple[float, int] | None = None) -> dict[str, Any]:
    """One replica; `now` is monotonic."""
    living = unit.state in ALIVE and unit.started_at is not None and not unit.main_gone
    next_start = unit.state in (State.BACKOFF, State.FATAL) and unit.deadline is not None
    exited = unit.exit
    return {
        "service": unit.key.service,
        "replica": unit.key.replica,
        "state": unit.state.word,
        "state_code": unit.state.code,
        "want": unit.want.value,
        "kind": unit.spec.kind.value,
        "groups": list(unit.spec.groups),
        "pid": unit.pid,
        "life": unit.life,
        "ready": unit.state is State.RUNNING,
        "started_at": unit.started_wall if living else None,
        "uptime_seconds": round(now - (unit.started_at or now), 3) if living else None,
        "state_seconds": round(now - unit.since, 3),
        "restarts": unit.restarts,
        "failures": len(unit.failures),
        "failures_allowed": unit.spec.give_up.failures,
        "next_start_seconds": round(max(0.0, (unit.deadline or now) - now), 3) if next_start else None,
        "waiting_for": ", ".join(unit.waiting_for) or None,
        "last_exit": None
        if exited is None
        else {"code": exited.code, "signal": exited.signal, "reason": exited.reason.value, "at": exited.at},
        "error": None
        if unit.error is None
        else {"stage": unit.error.stage, "errno": unit.error.errno, "text": unit.error.text},
        "cpu_percent": round(used[0], 1) if used else None,
        "memory_bytes": used[1] if used else None,
    }
