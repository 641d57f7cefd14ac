"""What there is to say about a service in a few words: what comes next, or why nothing does.

Rules: a service that is as it should be gets no note, so that the eye finds those that are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supervisor.cli.words import plural, span

Row = Mapping[str, Any]

#: Seconds that exec may take before it is worth a word.
_SLOW_EXEC = 1.0
_WAITS = {
    "rate": "waits for its turn: daemon.respawn_rate holds respawns back",
    "parallelism": "waits for its turn: daemon.start_parallelism holds starts back",
    "stop": "waits until what is being stopped is down",
    "schedule": "waits for its schedule",
}


def amiss(row: Row) -> bool:
    """Whether a service is not as it should be, or has lately been not."""
    if row["state"] == "exited":
        return bool(row["last_exit"] and row["last_exit"]["reason"] != "ok")
    well = row["state"] == ("running" if row["want"] == "up" else "stopped")
    return not well or bool(row["failures"])


def note(row: Row) -> str:
    """The words for one row of `status --json`."""
    words = _SAID.get(row["state"], _nothing)(row)
    return "; ".join(filter(None, words))


def _nothing(row: Row) -> tuple[str, ...]:
    return ("never started",) if row["state"] == "stopped" and not row["life"] else ()


def _waiting(row: Row) -> tuple[str, ...]:
    waits = row["waiting_for"] or ""
    return f"{_WAITS.get(waits, f'waits for {waits}')} ({span(row['state_seconds'])})", _error(row)


def _starting(row: Row) -> tuple[str, ...]:
    if row["phase"] == "launching" and row["state_seconds"] >= _SLOW_EXEC:
        return f"exec has not answered for {span(row['state_seconds'])}", _failures(row)
    return (_failures(row),)


def _running(row: Row) -> tuple[str, ...]:
    return (_failures(row) and f"{_failures(row)} lately",)


def _stopping(row: Row) -> tuple[str, ...]:
    if row["phase"] == "killing":
        return (f"outlives SIGKILL for {span(row['state_seconds'])}",)
    what = "" if row["pid"] is not None else "its main process is gone, what it left behind is not"
    kill = row["kill_in_seconds"]
    return what, "" if kill is None else f"SIGKILL in {span(kill)}"


def _backoff(row: Row) -> tuple[str, ...]:
    return f"next start in {span(row['next_start_seconds'] or 0)}", _failures(row), _error(row)


def _fatal(row: Row) -> tuple[str, ...]:
    if row["pid"] is not None:
        return ("set aside by a fault in respawnd, its process left alone: see the daemon's log",)
    again = row["next_start_seconds"]
    retry = f"`respawnd start {row['name']}` tries again" if again is None else f"one try in {span(again)}"
    given_up = f"given up {span(row['state_seconds'])} ago"
    failures = f" after {plural(row['failures'], 'failure')}" if row["failures"] else ""
    return f"{given_up}{failures}", retry, _error(row)


def _failures(row: Row) -> str:
    if not row["failures"]:
        return ""
    allowed = row["failures_allowed"]
    return f"failure {row['failures']}" + ("" if allowed is None else f"/{allowed}")


def _error(row: Row) -> str:
    return str(row["error"]["text"]) if row["error"] else ""


_SAID = {
    "waiting": _waiting,
    "starting": _starting,
    "running": _running,
    "stopping": _stopping,
    "backoff": _backoff,
    "fatal": _fatal,
}
