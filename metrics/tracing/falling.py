"""On the way down: deaths, stops, sweeps, and what is at rest after them."""

from __future__ import annotations

from metrics.tracing import words
from metrics.tracing.ledger import Change, Ledger, Track
from metrics.tracing.rising import gave_up, respawn
from metrics.tracing.spans import Episode
from supervisor.core import events as ev
from supervisor.core.effects import Transition
from supervisor.core.model import Kind
from supervisor.core.state import State, Unit, Want

ON_THE_WAY_DOWN = frozenset({State.STOPPING, State.KILLING})
_SWEEP = "service.sweep"
_EXITED = "process.exited"


def died(ledger: Ledger, track: Track, fact: Transition, cause: ev.Exited) -> None:
    """The main process ended by itself: a job is done then, a service will probably be respawned."""
    unit = fact.unit
    swept = unit.state in ON_THE_WAY_DOWN
    track.paused = 0.0
    if track.up is not None and track.up.job:
        _ended(track.up, unit, cause)
        if not swept:
            _job_done(ledger, track, track.up, fact)
    else:
        if track.up is not None:  # it was not ready yet
            track.up.error = words.exit_error(unit)
            ledger.finish(track, track.up, cause.at)
        if unit.state is not State.EXITED and unit.spec.kind is not Kind.ONESHOT:
            episode = respawn(ledger, track, fact, cause.at if cause.woke is None else cause.woke)
            episode.tentative = swept
            _ended(episode, unit, cause)
    if swept and track.up is not None:
        track.up.open(_SWEEP, cause.at)


def _ended(episode: Episode, unit: Unit, cause: object) -> None:
    """Note an exit on an episode, once, as attributes and as an event."""
    at = unit.died_at
    if unit.exit is None or at is None or any(told[:2] == (_EXITED, at) for told in episode.events):
        return
    found, error = words.exit_attributes(unit.exit), words.exit_error(unit)
    episode.attributes.update(found)
    wrong = {"error.type": error} if error is not None else {}
    episode.events.append((_EXITED, at, {**found, **words.consumed(cause), **wrong}))
    if isinstance(cause, ev.Exited) and cause.woke is not None:
        episode.took("notice", cause.at - cause.woke)


def came_down(ledger: Ledger, track: Track, fact: Transition) -> None:
    """Nothing of the old life is left."""
    unit = fact.unit
    for episode in track.episodes:
        _swept(episode, fact)
    track.paused = 0.0
    if track.down is not None:
        ledger.finish(track, track.down, fact.at)
    if track.up is None:
        return
    if track.up.job:
        _job_done(ledger, track, track.up, fact)
    elif track.up.tentative and unit.state in (State.STOPPED, State.EXITED):
        track.up = None  # the death led to rest, so there is no respawn to tell of
    else:
        track.up.tentative = False


def _swept(episode: Episode, fact: Transition) -> None:
    """End what went on in an episode while the life went down; what came after the main process was the sweep."""
    unit, at, child = fact.unit, fact.at, episode.child
    if child is not None and child.name == _SWEEP:
        episode.took("sweep", at - child.begun)
        episode.close(at)
        return
    death = unit.died_at if unit.main_gone and unit.died_at is not None and unit.died_at <= at else at
    episode.close(death)
    if unit.main_gone:
        _ended(episode, unit, fact.cause)
    if isinstance(fact.cause, ev.Gone):
        episode.open(_SWEEP, death)
        episode.took("sweep", at - death)
        episode.close(at)


def _job_done(ledger: Ledger, track: Track, episode: Episode, fact: Transition) -> None:
    episode.error = words.exit_error(fact.unit)
    if fact.unit.state is State.FATAL:
        gave_up(episode, fact)
    ledger.finish(track, episode, fact.at)


def goes_down(ledger: Ledger, track: Track, fact: Transition) -> None:
    """Somebody, or a rule, takes the life down. Where it is only swept, `died` has said all there is to say."""
    unit, at = fact.unit, fact.at
    if isinstance(fact.cause, ev.Exited):
        return
    if track.up is not None and not track.up.job:
        ledger.cancel(track, at)
    if unit.want is Want.DOWN:
        stop(ledger, track, fact)
    else:
        replace(ledger, track, fact)
    place = track.down if unit.want is Want.DOWN else track.up and track.up.child
    if place is not None and unit.state is State.STOPPING:
        name = words.signal_name((unit.launched_as or unit.spec).stop.signal)
        place.attributes["stop.signal"] = name
        place.tell("signal.sent", at, signal=name)


def stop(ledger: Ledger, track: Track, fact: Change) -> None:
    """It is to go down and stay down."""
    if track.down is None:
        track.down = ledger.begin(track, "service.stop", fact, fact.at)
        track.down.attributes["stop.trigger"] = ledger.why_down(fact)


def replace(ledger: Ledger, track: Track, fact: Change) -> None:
    """The life goes down in order to come up again: part of a respawn, or of the run that it ends."""
    unit = fact.unit
    if track.up is None and unit.spec.kind is not Kind.ONESHOT:
        respawn(ledger, track, fact, fact.at)
    if track.up is not None:
        trigger = unit.trigger.value if unit.trigger is not None else ""
        track.up.open("service.stop", fact.at, {"stop.trigger": trigger})


def escalated(ledger: Ledger, track: Track, fact: Transition) -> None:
    """Its time to end is over."""
    if fact.was.state is not State.STOPPING:  # taken up again where quarantine had left it
        goes_down(ledger, track, fact)
    for episode in track.episodes:
        (episode.child or episode).tell("signal.escalated", fact.at, signal="SIGKILL")


def rests(ledger: Ledger, track: Track, fact: Transition) -> None:
    """At rest: whatever is open ends here."""
    at = fact.at
    if track.up is not None:
        episode = track.up
        if fact.unit.state is State.FATAL:
            gave_up(episode, fact)
            episode.error = _why_fatal(fact)
        elif fact.unit.state is State.STOPPED:
            episode.tell("cancelled", at)
            ledger.asked(episode, fact)
        ledger.finish(track, episode, at)
    if track.down is not None:
        track.down.error = _why_fatal(fact) if fact.unit.state is State.FATAL else None
        ledger.finish(track, track.down, at)


def _why_fatal(fact: Transition) -> str:
    """The error.type of an episode that ended in FATAL; what quarantine sets aside is respawnd's own fault."""
    unit, cause = fact.unit, fact.cause
    if unit.aside is not None or not isinstance(cause, (ev.Exited, ev.Gone, ev.DeadlineReached)):
        return "quarantined"
    return "timeout" if isinstance(cause, ev.DeadlineReached) else words.exit_error(unit) or "exit"
