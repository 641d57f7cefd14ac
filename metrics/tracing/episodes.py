"""Episodes: the facts of the loop, turned into finished spans. The unit of tracing is what happens to a service.

A long-running child is no span. What is: bringing a life up (service.start, service.respawn; job.run, until it ends),
and taking one down for good (service.stop). A replica has at most one of each at a time; the parts of the first are its
children, one after the other: service.stop (of the life before), service.sweep, service.backoff, service.wait,
service.spawn, service.ready_wait.

Rules: a fact is taken at once and waits for no other; no clock is read but through the ledger's `offset`; a fact that
does not fit is taken for what it says, since facts before it may have been lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from metrics.tracing.falling import ON_THE_WAY_DOWN, came_down, died, escalated, goes_down, replace, rests, stop
from metrics.tracing.ledger import Ledger, Track
from metrics.tracing.rising import answered, backed_off, goes_up, is_up, readied, waited
from supervisor.core import events as ev
from supervisor.core.effects import Forget, Notice, Transition, Wanted
from supervisor.core.ports import Fact
from supervisor.core.state import State, Want

_NOTICE_LETTERS = 200
Part = Callable[[Ledger, Track, Transition], None]


def observe(ledger: Ledger, fact: Fact) -> None:
    """Take one fact."""
    if isinstance(fact, Transition):
        track = ledger.track(fact.unit.key)
        _left(ledger, track, fact)
        enter = _ENTERED.get(fact.unit.state)
        if enter is not None:
            enter(ledger, track, fact)
    elif isinstance(fact, Wanted):
        _wanted(ledger, ledger.track(fact.unit.key), fact)
    elif isinstance(fact, Notice):
        _noticed(ledger, fact)
    elif isinstance(fact, Forget):
        ledger.forget(fact.key)


def _started(ledger: Ledger, track: Track, fact: Transition) -> None:
    """Exec was confirmed; now it has to show that it works."""
    if track.up is not None:
        track.up.open("service.ready_wait", fact.at)


_ENTERED: Mapping[State, Part] = {
    State.WAITING: goes_up, State.LAUNCHING: goes_up, State.BACKOFF: goes_up, State.STARTING: _started,
    State.RUNNING: is_up, State.STOPPING: goes_down, State.KILLING: escalated,
    State.STOPPED: rests, State.EXITED: rests, State.FATAL: rests,
}  # fmt: skip
_LEFT: Mapping[State, Part] = {
    State.LAUNCHING: answered, State.WAITING: waited, State.BACKOFF: backed_off, State.STARTING: readied,
}  # fmt: skip


def _left(ledger: Ledger, track: Track, fact: Transition) -> None:
    was, leave = fact.was.state, _LEFT.get(fact.was.state)
    if leave is not None:
        leave(ledger, track, fact)
    if was in (State.STARTING, State.RUNNING) and isinstance(fact.cause, ev.Exited):
        died(ledger, track, fact, fact.cause)
    elif was in ON_THE_WAY_DOWN and fact.unit.state not in ON_THE_WAY_DOWN and fact.unit.aside is None:
        came_down(ledger, track, fact)


def _wanted(ledger: Ledger, track: Track, fact: Wanted) -> None:
    """A change of mind: down while it comes up, or up again while it goes down."""
    goes_down_now = fact.unit.state in ON_THE_WAY_DOWN
    if fact.unit.want is Want.DOWN:
        if goes_down_now and track.up is not None and not track.up.job:
            ledger.cancel(track, fact.at)
        stop(ledger, track, fact)
        return
    if goes_down_now:
        replace(ledger, track, fact)
    elif track.down is not None:
        track.down.tell("cancelled", fact.at)
        ledger.finish(track, track.down, fact.at)


def _noticed(ledger: Ledger, fact: Notice) -> None:
    """What an operator should read. It comes at a deadline, which the unit still shows; quarantine quotes errors."""
    track = ledger.tracks.get(fact.unit.key)
    episode = next(iter(track.episodes), None) if track is not None else None
    if episode is not None and not fact.text.startswith("quarantined"):
        at = fact.unit.since if fact.unit.deadline is None else fact.unit.deadline
        episode.tell("notice", at, level=fact.level, text=fact.text[:_NOTICE_LETTERS])
