"""What one transition of a unit adds to the record: exits, spawns, restarts, and where the time of a respawn went.

The seconds of a respawn are gathered in `Replica.path` from the death on, and added to its service with the launch that
ends it. What no interval accounts for is `decide`: news that waited, decisions, lateness of the loop. So sweep, decide,
backoff, queue and spawn make up the latency, whatever came between; the death was noticed before that, and the new life
gets ready after it. A death whose news changed no state (one on the way down, that left others behind) has no `notice`.
"""

from __future__ import annotations

from operator import add

from metrics.catalog import B1, PHASES, REASONS, TRIGGERS
from metrics.recorder.store import NO_PHASES, Replica, Service, counted, observed
from supervisor.core.effects import Transition
from supervisor.core.events import Adopted, Exited, Gone, Launched, LaunchFailed
from supervisor.core.state import Reason, State, Trigger, Unit

# By identity, for members are few and immortal: hashing an Enum, or asking it for its value, runs Python (250 ns).
_TRIGGER = {id(trigger): TRIGGERS.index(trigger.value) for trigger in Trigger}
_REASON = {id(reason): REASONS.index(reason.value) for reason in Reason}
_NOTICE, _DECIDE, _SWEEP, _BACKOFF, _QUEUE, _SPAWN, _READY = map(
    PHASES.index, ("notice", "decide", "sweep", "backoff", "queue", "spawn", "ready")
)


def moved(replica: Replica, fact: Transition) -> float | None:
    """Count what a transition adds; the supervisor's own cost of a respawn, in seconds, if it ended one."""
    was, unit, cause = fact.was, fact.unit, fact.cause
    if unit.exit is not replica.exit:
        _died(replica, unit, cause)
    if was.state is State.LAUNCHING and isinstance(cause, Launched):
        return _launched(replica, was, unit, cause)
    _left(replica, fact)
    if isinstance(cause, Adopted):
        replica.life = unit.life
    elif unit.state is State.RUNNING:
        _rose(replica, unit)
    elif unit.state is State.KILLING and not unit.main_gone:  # a sweep of what it left is no stop
        replica.service.escalations += 1
    return None


def _left(replica: Replica, fact: Transition) -> None:
    """Count what the state that was left had been spent on."""
    was, before = fact.was, fact.was.state
    if before is State.BACKOFF or before is State.WAITING:
        _waited(replica, was, fact.at)
    elif before is State.LAUNCHING:
        if isinstance(fact.cause, LaunchFailed):
            _not_launched(replica, was, fact.at)
    elif before is State.FATAL:
        if replica.life < was.life and was.started_at is not None:
            _tried(replica, was.life, 1)  # set aside while its launch was under way: the answer was no transition
    elif isinstance(fact.cause, Gone):
        _swept(replica, fact.unit, fact.at)


def _died(replica: Replica, unit: Unit, cause: object) -> None:
    """Count an exit that was not counted yet; each exit is a value of its own, so identity tells them apart."""
    replica.exit = unit.exit
    if unit.exit is None:
        return
    service = replica.service
    service.exits = counted(service.exits, _REASON[id(unit.exit.reason)])
    replica.paused = 0.0
    replica.respawned = False
    path = replica.path = list(NO_PHASES)
    if isinstance(cause, Exited) and cause.woke is not None and cause.at > cause.woke:
        path[_NOTICE] = cause.at - cause.woke


def _swept(replica: Replica, unit: Unit, at: float) -> None:
    """The last straggler is gone, and with it the life."""
    if replica.path is not None and unit.died_at is not None:
        replica.path[_SWEEP] = max(0.0, at - unit.died_at)


def _waited(replica: Replica, was: Unit, at: float) -> None:
    """A delay is over, or what was waited for has come. What a delay lasted too long is the loop's lateness."""
    passed = at - was.since
    if was.state is State.BACKOFF:
        phase, passed = _BACKOFF, min(was.delay, passed)
    else:
        phase = _QUEUE
    replica.paused += passed
    if replica.path is not None:
        replica.path[phase] += passed


def _not_launched(replica: Replica, was: Unit, at: float) -> None:
    """A try that failed belongs to the respawn all the same."""
    if replica.path is not None:
        replica.path[_SPAWN] += at - was.since
    _tried(replica, was.life, 0)


def _tried(replica: Replica, life: int, ok: int) -> None:
    """Count the lives since the last that was counted: those between failed without a transition."""
    service = replica.service
    service.spawns = service.spawns[0] + ok, service.spawns[1] + max(0, life - replica.life - ok)
    replica.life = life


def _launched(replica: Replica, was: Unit, unit: Unit, cause: Launched) -> float | None:
    """A life is there. One that was set aside in the same moment is a spawn, and no respawn."""
    _tried(replica, was.life, 1)
    path, replica.path, replica.respawned = replica.path, None, False
    if unit.state is State.FATAL:
        return None
    service = replica.service
    if unit.trigger is not None:
        replica.restarts = counted(replica.restarts, _TRIGGER[id(unit.trigger)])
    if unit.died_at is None:
        _rose(replica, unit)
        return None
    latency = max(0.0, cause.at - unit.died_at)
    service.latency = observed(service.latency, B1, latency)
    _add_up(service, path or list(NO_PHASES), latency, was.since, cause)
    replica.respawned = True
    _rose(replica, unit)
    return max(0.0, latency - replica.paused)


def _add_up(service: Service, path: list[float], latency: float, asked: float, cause: Launched) -> None:
    """Add a respawn to the phases of its service."""
    queued = cause.at - cause.spent - asked
    if queued > 0:
        path[_QUEUE] += queued
    path[_SPAWN] += cause.spent
    rest = latency - path[_SWEEP] - path[_BACKOFF] - path[_QUEUE] - path[_SPAWN]
    if rest > 0:
        path[_DECIDE] = rest
    service.phases = tuple(map(add, service.phases, path))


def _rose(replica: Replica, unit: Unit) -> None:
    """If it is up, count how long it took to get ready."""
    if unit.state is not State.RUNNING or unit.ready_at is None or unit.started_at is None:
        return
    service = replica.service
    took = max(0.0, unit.ready_at - unit.started_at)
    service.ready = service.ready[0] + 1, service.ready[1] + took
    if replica.respawned:
        replica.respawned = False
        *others, ready = service.phases
        service.phases = (*others, ready + took)
