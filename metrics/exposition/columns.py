"""Families with one line for each replica or service: a column of tails beside the column of label texts.

Rules: a sample costs one lookup and one concatenation; equal values share their tail. An empty tail leaves the line
out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import add

from metrics.exposition.batch import Batch
from metrics.exposition.resources import OF_USAGE
from metrics.exposition.text import NO_TAIL, TAILS, rounded, tails_of_seconds, tails_of_times
from supervisor.core.backoff import recent
from supervisor.core.state import State
from supervisor.core.view import desired

_SLEEPING = frozenset({State.BACKOFF, State.SCHEDULED, State.FATAL})

Column = Callable[[Batch], Iterable[str]]
_STATE = {id(state): f',state="{state.word}"{TAILS[1]}' for state in State}
_CODE = {id(state): TAILS[state.code] for state in State}
_ENDLESS = "} +Inf\n"


def _up(batch: Batch) -> list[str]:
    return [TAILS[1] if unit.state is State.RUNNING else NO_TAIL for unit in batch.units]


def _state(batch: Batch) -> list[str]:
    # By identity: states are few and immortal, and an Enum's own hash costs five times as much.
    return [_STATE[id(unit.state)] for unit in batch.units]


def _state_code(batch: Batch) -> list[str]:
    return [_CODE[id(unit.state)] for unit in batch.units]


def _start_time(batch: Batch) -> list[str]:
    return tails_of_times([unit.started_wall for unit in batch.units])


def _uptime(batch: Batch) -> list[str]:
    now, running = batch.now, State.RUNNING
    return tails_of_seconds(
        [
            now - unit.started_at if unit.state is running and unit.started_at is not None else 0.0
            for unit in batch.units
        ]
    )


def _last_exit_code(batch: Batch) -> Iterator[str]:
    for unit in batch.units:
        how = unit.exit
        if how is None or (how.signal is None and how.code is None):
            yield ""
        else:
            yield TAILS[-how.signal if how.signal is not None else how.code or 0]


def _last_exit_time(batch: Batch) -> list[str]:
    return tails_of_times([unit.exit.at if unit.exit is not None else None for unit in batch.units])


def _backoff(batch: Batch) -> list[str]:
    return [f"}} {rounded(unit.delay)}\n" if unit.state is State.BACKOFF else NO_TAIL for unit in batch.units]


def _next_start(batch: Batch) -> list[str]:
    offset = batch.offset
    return [
        NO_TAIL if unit.deadline is None or unit.state not in _SLEEPING else tails_of_times([unit.deadline + offset])[0]
        for unit in batch.units
    ]


def _desired_replicas(batch: Batch) -> list[str]:
    return [
        TAILS[desired(members[0]) if len(members) == 1 else sum(map(desired, members))] for members in batch.members
    ]


def _running_seconds(batch: Batch) -> list[str]:
    return tails_of_seconds([running for running, _ in batch.availability()])


def _desired_seconds(batch: Batch) -> list[str]:
    return tails_of_seconds([wished for _, wished in batch.availability()])


def _budget(batch: Batch) -> list[str]:
    return [TAILS[allowed] if (allowed := spec.give_up.failures) is not None else _ENDLESS for spec in batch.specs]


def _budget_left(batch: Batch) -> Iterator[str]:
    now = batch.now
    for spec, members in zip(batch.specs, batch.members, strict=True):
        policy = spec.give_up
        if policy.failures is None:
            yield _ENDLESS
            continue
        spent, begin = 0, now - policy.within
        for unit in members:
            if unit.failures and unit.failures[-1] > begin:
                spent = max(spent, len(recent(policy, unit.failures, now)))
        yield TAILS[max(0, policy.failures - spent)]


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
    **OF_USAGE,
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
    head, ends = f"{name}{{", tails if isinstance(tails, list) else list(tails)
    lines = (
        [label + tail for label, tail in zip(labels, ends, strict=True) if tail]
        if "" in ends
        else list(map(add, labels, ends))
    )
    return (head + head.join(lines) if lines else ""), len(lines)
