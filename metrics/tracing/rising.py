"""On the way up: what each state that leads to a life adds to its episode, and what its end does."""

from __future__ import annotations

from metrics.tracing import words
from metrics.tracing.ledger import Change, Ledger, Track
from metrics.tracing.spans import Episode, Value
from supervisor.core import events as ev
from supervisor.core.effects import Transition
from supervisor.core.model import Kind
from supervisor.core.state import State, Unit, Want

LATENCY = "respawnd_service_respawn_latency_seconds"
OVERHEAD = "respawnd_respawn_overhead_seconds"
SPAWN = "respawnd_spawn_duration_seconds"
ON_THE_WAY_UP = frozenset({State.WAITING, State.LAUNCHING, State.BACKOFF})


# --- a state is entered ---------------------------------------------------------------------------------------------


def goes_up(ledger: Ledger, track: Track, fact: Transition) -> None:
    """It waits, for a delay or for others, or it is launched."""
    unit, at = fact.unit, fact.at
    if track.up is None and unit.want is Want.UP:
        _begin(ledger, track, fact)
    episode = track.up
    if episode is None:
        return
    if unit.trigger is not None and not episode.job:
        episode.attributes["restart.trigger"] = unit.trigger.value
    if unit.streak > fact.was.streak:
        _budget(episode, unit, at)
    if unit.state is State.BACKOFF:
        delay: dict[str, Value] = {"backoff.seconds": unit.delay}
        episode.attributes.update(delay)
        episode.tell("backoff.scheduled", at, backoff_seconds=unit.delay)
        episode.open("service.backoff", at, {**delay, "backoff.attempt": unit.streak})
    elif unit.state is State.WAITING:
        episode.open("service.wait", at, {"respawnd.waiting_for": unit.waiting_for})
    else:
        episode.life = unit.life
        episode.open("service.spawn", at, {"process.executable.name": words.executable(unit)})


def _begin(ledger: Ledger, track: Track, fact: Transition) -> None:
    """It is on its way up, and no episode tells of that yet."""
    unit = fact.unit
    if unit.spec.kind is Kind.ONESHOT:
        if unit.state is not State.BACKOFF:  # the delay before a run is no part of it
            track.up = _run(ledger, track, fact)
    elif unit.trigger is None:
        track.up = ledger.begin(track, "service.start", fact, fact.at)
        track.up.attributes["start.trigger"] = ledger.why_up(fact)
    else:
        episode = respawn(ledger, track, fact, fact.at)
        if unit.half_open:
            episode.attributes["respawnd.half_open"] = True


def _run(ledger: Ledger, track: Track, fact: Transition) -> Episode:
    unit = fact.unit
    episode = ledger.begin(track, "job.run", fact, fact.at)
    episode.attributes["process.executable.name"] = words.executable(unit)
    if unit.trigger is None:
        episode.attributes["start.trigger"] = ledger.why_up(fact)
    else:
        episode.attributes["restart.trigger"] = unit.trigger.value
        episode.attributes["backoff.seconds"] = unit.delay
    return episode


def respawn(ledger: Ledger, track: Track, fact: Change, begun: float) -> Episode:
    """Begin the episode of a respawn."""
    track.up = ledger.begin(track, "service.respawn", fact, begun)
    return track.up


def is_up(ledger: Ledger, track: Track, fact: Transition) -> None:
    """It runs: that was what it all was for, but for a job, which is to end."""
    if track.down is not None:
        track.down.tell("cancelled", fact.at)
        ledger.finish(track, track.down, fact.at)
    if track.up is not None and not track.up.job:
        ledger.finish(track, track.up, fact.at)


def _budget(episode: Episode, unit: Unit, at: float) -> None:
    """Say so when one more failure is all that the policy allows."""
    most = unit.spec.give_up.failures
    if most is not None and most - len(unit.failures) <= 1:
        episode.tell("budget.low", at, remaining=max(0, most - len(unit.failures)))


# --- a state is left ------------------------------------------------------------------------------------------------


def waited(ledger: Ledger, track: Track, fact: Transition) -> None:
    """What it waited for has come, or nobody wants it any more."""
    track.paused += max(0.0, fact.at - fact.was.since)
    episode = track.up
    if episode is None:
        return
    episode.took("queue", fact.at - fact.was.since)
    span = episode.close(fact.at)
    if span is not None:
        before = span.attributes.get("respawnd.waiting_for", ())
        assert isinstance(before, tuple)
        span.attributes["respawnd.waiting_for"] = tuple(dict.fromkeys((*before, *fact.was.waiting_for)))
    needs = words.dependencies(fact.was.waiting_for)
    if needs and fact.unit.state is State.LAUNCHING:
        episode.tell("dependency.satisfied", fact.at, respawnd_dependencies=needs)


def backed_off(ledger: Ledger, track: Track, fact: Transition) -> None:
    """The delay is over, or was cut short: what then starts was asked for, and is another episode."""
    passed = min(fact.was.delay, fact.at - fact.was.since)  # what it lasted too long is the loop's lateness
    track.paused += passed
    episode = track.up
    if episode is None:
        return
    episode.took("backoff", passed)
    span = episode.close(fact.at)
    if isinstance(fact.cause, ev.DeadlineReached):
        return
    if span is not None:
        span.tell("cancelled", fact.at)
    if fact.unit.state in ON_THE_WAY_UP:
        ledger.cancel(track, fact.at)


def answered(ledger: Ledger, track: Track, fact: Transition) -> None:
    """The launch has its answer."""
    if track.up is None:
        return
    if isinstance(fact.cause, ev.Launched):
        _launched(ledger, track, track.up, fact, fact.cause)
    elif isinstance(fact.cause, ev.LaunchFailed):
        _failed(ledger, track, track.up, fact, fact.cause)


def _failed(ledger: Ledger, track: Track, episode: Episode, fact: Transition, cause: ev.LaunchFailed) -> None:
    """No life came of it: that ends the episode, and the next try is another one."""
    span = episode.child or episode.open("service.spawn", fact.was.since)
    error = words.launch_error(cause.error)
    span.attributes["error.type"] = error
    span.tell("spawn.error", fact.at, stage=cause.error.stage, errno=words.errno_name(cause.error.errno))
    episode.close(fact.at, error)
    episode.error = error
    if fact.unit.state is State.FATAL:
        gave_up(episode, fact)
    ledger.finish(track, episode, fact.at)


def _launched(ledger: Ledger, track: Track, episode: Episode, fact: Transition, cause: ev.Launched) -> None:
    """A life is there: how long that took, of which the call itself is the span."""
    span = episode.child or episode.open("service.spawn", fact.was.since)
    span.begun = max(cause.at - cause.spent, fact.was.since)
    span.attributes["process.pid"] = cause.pid
    span.attributes["process.creation.time"] = words.instant(cause.wall)
    span.attributes["spawn.method"] = cause.method
    episode.took("queue", span.begun - fact.was.since)
    episode.took("spawn", cause.at - span.begun)
    episode.close(cause.at)
    episode.life = cause.life
    if episode.job:
        episode.attributes["process.pid"] = cause.pid
    if fact.unit.trigger is not None:
        episode.attributes["restart.count"] = fact.unit.restarts
    latency = _latency(episode, fact.unit)
    if ledger.sampling.life(track.key, cause.life) > 0:
        _exemplify(ledger, track, cause, latency)


def _latency(episode: Episode, unit: Unit) -> float | None:
    """Seconds from the death to the new life, None where there was no death; the phases then add up to it."""
    if unit.died_at is None or unit.started_at is None:
        return None
    latency = max(0.0, unit.started_at - unit.died_at)
    if episode.begun <= unit.died_at:
        known = sum(seconds for phase, seconds in episode.phases.items() if phase != "notice")
        episode.took("decide", latency - known)
        episode.attributes["respawnd.latency_seconds"] = round(latency, 9)
    return latency


def _exemplify(ledger: Ledger, track: Track, cause: ev.Launched, latency: float | None) -> None:
    context, tell = ledger.ids.life(track.key, cause.life), ledger.sink.exemplar
    tell(SPAWN, None, cause.spent, context, cause.wall)
    if latency is not None:
        tell(LATENCY, track.key.service, latency, context, cause.wall)
        tell(OVERHEAD, None, max(0.0, latency - track.paused), context, cause.wall)


def readied(ledger: Ledger, track: Track, fact: Transition) -> None:
    """The wait for readiness is over, one way or the other."""
    episode = track.up
    span = episode.child if episode is not None else None
    if episode is None or span is None:
        return
    span.attributes["ready.method"] = "reported" if isinstance(fact.cause, ev.Ready) else "grace"
    died = isinstance(fact.cause, ev.Exited)
    error = words.exit_error(fact.unit) if died else None
    if fact.unit.state is State.RUNNING:
        episode.took("ready", fact.at - span.begun)
    if error is not None:
        span.attributes["error.type"] = error
    episode.close(fact.at, error)


def gave_up(episode: Episode, fact: Transition) -> None:
    """There will be no further try, by itself."""
    episode.tell("gave_up", fact.at, failures=len(fact.unit.failures))
    if fact.unit.trigger is not None and fact.unit.streak > fact.was.streak and not episode.job:
        episode.attributes["restart.trigger"] = fact.unit.trigger.value
