"""Families with one line for each replica or service: a column of tails beside the column of label texts.

Rules: a sample costs one lookup and one concatenation; equal values share their tail. An empty tail leaves the line
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from metrics.exposition.batch import Batch
from metrics.exposition.text import NO_TAIL, TAILS, seconds
from supervisor.core.backoff import recent
from supervisor.core.state import State
from supervisor.core.view import desired

_SLEEPING = frozenset({State.BACKOFF, State.SCHEDULED, State.FATAL})

Column = Callable[[Batch], Iterable[str]]
_STATE = {id(state): f',state="{state.word}"{TAILS[1]}' for state in State}
_CODE = {id(state): TAILS[state.code] for state in State}


def _up(batch: Batch) -> list[str]:
    return [TAILS[1] if unit.state is State.RUNNING else NO_TAIL for unit in batch.units]


def _state(batch: Batch) -> list[str]:
    # By identity: states are few and immortal, and an Enum's own hash costs five times as much.
    return [_STATE[id(unit.state)] for unit in batch.units]


def _state_code(batch: Batch) -> list[str]:
    return [_CODE[id(unit.state)] for unit in batch.units]


def _start_time(batch: Batch) -> list[str]:
    return [f"}} {seconds(unit.started_wall)}\n" if unit.started_wall is not None else "" for unit in batch.units]


def _uptime(batch: Batch) -> list[str]:
    now, running = batch.now, State.RUNNING
    return [
        f"}} {seconds(max(0.0, now - unit.started_at))}\n"
        if unit.state is running and unit.started_at is not None
        else NO_TAIL
        for unit in batch.units
    ]


def _last_exit_code(batch: Batch) -> Iterator[str]:
    for unit in batch.units:
        how = unit.exit
        if how is None or (how.signal is None and how.code is None):
            yield ""
        else:
            yield TAILS[-how.signal if how.signal is not None else how.code or 0]


def _last_exit_time(batch: Batch) -> list[str]:
    return [f"}} {seconds(unit.exit.at)}\n" if unit.exit is not None else "" for unit in batch.units]


def _backoff(batch: Batch) -> list[str]:
    return [f"}} {seconds(unit.delay)}\n" if unit.state is State.BACKOFF else NO_TAIL for unit in batch.units]


def _next_start(batch: Batch) -> Iterator[str]:
    for unit in batch.units:
        if unit.deadline is None or unit.state not in _SLEEPING:
            yield NO_TAIL
        else:
            yield f"}} {seconds(unit.deadline + batch.offset)}\n"


def _desired_replicas(batch: Batch) -> list[str]:
    return [
        TAILS[desired(members[0]) if len(members) == 1 else sum(map(desired, members))] for members in batch.members
    ]


def _running_seconds(batch: Batch) -> list[str]:
    return [f"}} {seconds(running)}\n" for running, _ in batch.availability()]


def _desired_seconds(batch: Batch) -> list[str]:
    return [f"}} {seconds(wished)}\n" for _, wished in batch.availability()]


def _budget(batch: Batch) -> Iterator[str]:
    for members in batch.members:
        allowed = members[0].spec.give_up.failures
        yield TAILS[allowed] if allowed is not None else "} +Inf\n"


def _budget_left(batch: Batch) -> Iterator[str]:
    for members in batch.members:
        allowed = members[0].spec.give_up.failures
        if allowed is None:
            yield "} +Inf\n"
            continue
        spent = 0
        for unit in members:
            if unit.failures:
                spent = max(spent, len(recent(unit.spec.give_up, unit.failures, batch.now)))
        yield TAILS[max(0, allowed - spent)]


def _escalations(batch: Batch) -> list[str]:
    return [TAILS[service.escalations] for service in batch.services]


def _dropped(batch: Batch) -> list[str]:
    return [TAILS[service.dropped] for service in batch.services]


OF_REPLICAS: Mapping[str, Column] = {
    "respawnd_service_up": _up,
    "respawnd_service_state": _state,
    "respawnd_service_state_code": _state_code,
    "respawnd_service_start_time_seconds": _start_time,
    "respawnd_service_uptime_seconds": _uptime,
    "respawnd_service_last_exit_code": _last_exit_code,
    "respawnd_service_last_exit_time_seconds": _last_exit_time,
    "respawnd_service_backoff_seconds": _backoff,
    "respawnd_service_next_start_time_seconds": _next_start,
}
OF_SERVICES: Mapping[str, Column] = {
    "respawnd_service_desired_replicas": _desired_replicas,
    "respawnd_service_running_seconds_total": _running_seconds,
    "respawnd_service_desired_seconds_total": _desired_seconds,
    "respawnd_service_restart_budget": _budget,
    "respawnd_service_restart_budget_remaining": _budget_left,
    "respawnd_service_stop_escalations_total": _escalations,
    "respawnd_service_log_lines_dropped_total": _dropped,
}


def column(name: str, labels: Sequence[str], tails: Iterable[str]) -> tuple[str, int]:
    """One line for each label text that has a tail, and how many they are."""
    head = f"{name}{{"
    lines = [label + tail for label, tail in zip(labels, tails, strict=True) if tail]
    return (head + head.join(lines) if lines else ""), len(lines)
