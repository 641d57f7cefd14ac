"""What happened to a oneshot as runs of a job: which began, which completed, and how it came out.

Rules: a run is one life, from exec to the end of its main process. One that could not be launched is a run that failed,
without start, duration or exit status. One that was ended on purpose (a stop, a restart, a dependency that went, a new
configuration, a shutdown) did not complete: nothing but its start is told of it, for neither its duration nor its
signal says anything about the job; respawnd_service_exits_total counts it.

What is a start, an exit or a failed launch is decided in `metrics.recorder.moves` alone; here it is only read off.
"""

from __future__ import annotations

from collections.abc import Callable

from metrics.catalog import RUNS
from metrics.recorder.moves import moved
from metrics.recorder.store import Job, Replica, Service, counted
from supervisor.core.effects import Transition
from supervisor.core.events import Adopted
from supervisor.core.model import Kind, UnitSpec
from supervisor.core.state import Exit, Reason, Unit

_OK, _FAIL, _TIMEOUT = map(RUNS.index, ("ok", "fail", "timeout"))
_RESULT = {id(Reason.OK): _OK, id(Reason.TIMEOUT): _TIMEOUT}
_OURS = frozenset({id(Reason.STOPPED), id(Reason.KILLED)})

#: Wall time less monotonic time, in seconds.
Offset = Callable[[], float]


def enlisted(service: Service, spec: UnitSpec, at: float, offset: Offset) -> None:
    """Begin or end the record of a job, by what its service is now; `at` (monotonic) is the moment of its load."""
    if spec.kind is not Kind.ONESHOT:
        service.job = None
    elif service.job is None:
        loaded = at + offset()
        service.job = Job(loaded, loaded, loaded)


def ran(replica: Replica, job: Job, fact: Transition, offset: Offset) -> float | None:
    """Count what a transition of a job adds, as `moved` does for all services, and what it says of runs."""
    service = replica.service
    exits, (launched, failed) = service.exits, service.spawns
    overhead = moved(replica, fact)
    if service.spawns[1] > failed:
        job = _not_launched(job, service.spawns[1] - failed, fact.at + offset())
    if fact.unit.started_wall is not None and (service.spawns[0] > launched or isinstance(fact.cause, Adopted)):
        job = job._replace(started=fact.unit.started_wall)
    if service.exits is not exits and fact.unit.exit is not None:
        job = _ended(job, fact.was, fact.unit, fact.unit.exit)
    service.job = job
    return overhead


def _not_launched(job: Job, runs: int, wall: float) -> Job:
    return job._replace(completed=wall, took=None, code=None, runs=counted(job.runs, _FAIL, runs))


def _ended(job: Job, was: Unit, unit: Unit, how: Exit) -> Job:
    """The main process is dead. The exit of a life that ended without a transition is in what was before this one."""
    reason = id(how.reason)
    if reason in _OURS and was.blame is None:
        return job
    result = _TIMEOUT if reason in _OURS else _RESULT.get(reason, _FAIL)
    died = was.died_at if was.exit is how else unit.died_at
    return Job(
        job.started,
        how.at,
        how.at if result == _OK else job.succeeded,
        max(0.0, died - was.started_at) if died is not None and was.started_at is not None else None,
        -how.signal if how.signal is not None else how.code,
        counted(job.runs, result),
    )
