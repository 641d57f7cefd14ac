"""Units as JSON: the shape that `status --json` and /api/v1/services promise (docs/cli.md).

Rules: an absent value is null; moments are Unix seconds, durations seconds, sizes bytes; names once given stay.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from typing import Any

from metrics.recorder.store import Usage
from supervisor.control.daemon import About
from supervisor.core.backoff import recent
from supervisor.core.model import UnitKey
from supervisor.core.state import ALIVE, Exit, LaunchError, State, Unit
from supervisor.core.view import FleetView
from supervisor.host import procfs

_TICKS = os.sysconf("SC_CLK_TCK")
#: States whose deadline is the next start.
_STARTS = frozenset({State.BACKOFF, State.FATAL, State.SCHEDULED})


def document(about: About, view: FleetView, keys: Iterable[UnitKey], usage: Mapping[UnitKey, Usage]) -> dict[str, Any]:
    """What `status --json` prints of some units."""
    units = [view.units[key] for key in keys if key in view.units]
    now = time.monotonic()
    return {"daemon": daemon(about, view), "services": [row(unit, now, usage.get(unit.key)) for unit in units]}


def daemon(about: About, view: FleetView) -> dict[str, Any]:
    """The daemon itself."""
    lived = _age(about.pid)
    return {
        "pid": about.pid,
        "version": about.version,
        "uptime_seconds": round(max(0.0, time.time() - about.started_wall) if lived is None else lived, 3),
        "generation": about.generation,
        "config": about.config,
        "http": about.http,
        "booted": view.booted,
        "closing": view.closing,
    }


def _age(pid: int) -> float | None:
    """Seconds since a process started, whatever the wall clock did since; None where it cannot be seen."""
    one = procfs.entry(pid)
    return None if one is None else max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - one.started / _TICKS)


def row(unit: Unit, now: float, usage: Usage | None = None) -> dict[str, Any]:
    """One replica; `now` is monotonic. `uptime_seconds` is of the main process, `state_seconds` of the state."""
    lives = unit.state in ALIVE and not unit.main_gone and unit.started_at is not None
    policy = unit.spec.give_up
    return {
        "service": unit.key.service,
        "replica": unit.key.replica,
        "name": unit.name,
        "state": unit.state.word,
        "state_code": unit.state.code,
        "phase": unit.state.value,
        "want": unit.want.value,
        "type": unit.spec.kind.value,
        "groups": list(unit.spec.groups),
        "pid": None if unit.main_gone else unit.pid,
        "life": unit.life,
        "ready": unit.state is State.RUNNING,
        "started_at": unit.started_wall if lives else None,
        "uptime_seconds": round(now - (unit.started_at or now), 3) if lives else None,
        "state_seconds": round(max(0.0, now - unit.since), 3),
        "restarts": unit.restarts,
        "failures": len(recent(policy, unit.failures, now)),
        "failures_allowed": policy.failures,
        "next_start_seconds": _until(unit, now) if unit.state in _STARTS else None,
        "kill_in_seconds": _until(unit, now) if unit.state is State.STOPPING else None,
        "waiting_for": ", ".join(unit.waiting_for) or ("schedule" if unit.state is State.SCHEDULED else None),
        "last_exit": _exit(unit.exit),
        "error": _error(unit.error),
        **_used(unit, usage),
    }


def _used(unit: Unit, usage: Usage | None) -> dict[str, Any]:
    """What its processes use; nothing is known before this life was looked at, or when none of them was found."""
    if usage is None or not usage.processes or unit.state not in ALIVE or usage.at < (unit.started_at or usage.at):
        return dict.fromkeys(("cpu_percent", "memory_bytes", "processes", "threads", "open_fds"))
    return {
        "cpu_percent": round(usage.cpu_share, 1),
        "memory_bytes": usage.resident,
        "processes": usage.processes,
        "threads": usage.threads,
        "open_fds": usage.open_fds,
    }


def _until(unit: Unit, now: float) -> float | None:
    return None if unit.deadline is None else round(max(0.0, unit.deadline - now), 3)


def _exit(how: Exit | None) -> dict[str, Any] | None:
    if how is None:
        return None
    return {"code": how.code, "signal": how.signal, "reason": how.reason.value, "at": how.at, "core": how.core}


def _error(error: LaunchError | None) -> dict[str, Any] | None:
    return None if error is None else {"stage": error.stage, "errno": error.errno, "text": error.text}
