"""The unit machine: one total table from (state, event) to a handler, and `decide`, which applies it.

Theory. A unit is at rest (STOPPED, EXITED, FATAL), on its way up (WAITING, LAUNCHING, STARTING), up (RUNNING), on its way
down (STOPPING, KILLING), or between lives (BACKOFF, SCHEDULED). Only `enter` changes a state, and it revokes what the new
state no longer licenses; only `launch` begins a life, and it raises the life's number. A death that nobody asked for goes
through `settle`, in this order: what the operator wants, what the dependencies allow, exit rules, the restart policy, the
budget, the delay. While stragglers of a dead main process live, the unit is still STOPPING: `settle` comes after them.

Every pair of state and event is a handler, `ignore` (silence is a decision) or impossible (raises Impossible: a fault in
respawnd, which the fleet answers by quarantine of that unit). Each row declares the states it may lead to; `decide` holds
handlers to that, and the diagram in docs/ is drawn from the same rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen

from supervisor.core import events as ev
from supervisor.core.effects import Effect, Launch, Notice, Signal, Sweep
from supervisor.core.settle import (
    fatal_by_quarantine,
    forgiven,
    leave_waiting,
    no_effects,
    settle,
    settle_failed_launch,
    up,
)
from supervisor.core.state import Exit, Reason, State, Trigger, Unit, Want
from supervisor.core.steps import LATE, OVERDUE, SWEEP_GRACE, Gate, Step, enter, reconfigured, why_died

Handler = Callable[[Unit, Any, float, Gate], Step]


class Impossible(Exception):
    """An event came in a state in which it cannot come: respawnd itself is at fault."""


# --- what operators say ------------------------------------------------------------------------------------------------


def start_fresh(unit: Unit, event: ev.Start, now: float, gate: Gate) -> Step:
    """At rest, or between lives: start now, all failures forgiven (an operator's start never spends the crash budget)."""
    return up(forgiven(unit)._replace(want=Want.UP, trigger=None, died_at=None, delay=0.0), now, gate)


def restart_fresh(unit: Unit, event: ev.RestartAsked, now: float, gate: Gate) -> Step:
    """As start; a unit that had lived counts it as a restart by its trigger."""
    trigger = event.trigger if unit.life and unit.want is Want.UP else None
    return up(forgiven(unit)._replace(want=Want.UP, trigger=trigger, died_at=None, delay=0.0), now, gate)


def want_up(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """It is on its way, or will be once it is down: only the want changes."""
    if unit.want is Want.UP:
        return unit, ()
    return unit._replace(want=Want.UP, trigger=Trigger.MANUAL), ()


def want_down(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """It is on its way down already, or cannot be stopped until exec was answered: only the want changes."""
    return unit._replace(want=Want.DOWN), ()


def rest(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Nothing lives: stopped at once."""
    return enter(unit._replace(want=Want.DOWN), State.STOPPED, now), ()


def end(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Ask the life to end, and stay down."""
    return stopping(unit._replace(want=Want.DOWN, blame=None), now)


def replace(unit: Unit, event: ev.RestartAsked, now: float, gate: Gate) -> Step:
    """Ask the life to end, then start again; the streak is forgiven, as an operator asked."""
    return stopping(forgiven(unit)._replace(want=Want.UP, trigger=event.trigger, blame=None), now)


# --- what the host reports ---------------------------------------------------------------------------------------------


def launched(unit: Unit, event: ev.Launched, now: float, gate: Gate) -> Step:
    """Exec was confirmed: a life is there."""
    counted = unit.restarts + (unit.trigger is not None and unit.trigger is not Trigger.SCHEDULE)
    unit = unit._replace(
        pid=event.pid, started_at=event.at, started_wall=event.wall, error=None, restarts=counted, main_gone=False
    )
    if unit.want is Want.DOWN:
        return stopping(unit, now)
    if unit.ready_early or unit.spec.start_grace == 0:
        return running(unit, now)
    return enter(unit, State.STARTING, now, now + unit.spec.start_grace), ()


def launch_failed(unit: Unit, event: ev.LaunchFailed, now: float, gate: Gate) -> Step:
    """No life came of it: a failure like a death, told with its stage."""
    failed = unit._replace(error=event.error, draw=event.draw, pid=None, started_at=None)
    return settle_failed_launch(failed, now, gate)


def adopted(unit: Unit, event: ev.Adopted, now: float, gate: Gate) -> Step:
    """A life of an earlier daemon is ours again; it had time enough to start."""
    unit = unit._replace(life=event.life, pid=event.pid, started_at=event.at, started_wall=event.wall, want=Want.UP)
    return running(unit, now)


def remember_ready(unit: Unit, event: ev.Ready, now: float, gate: Gate) -> Step:
    """It can say so before exec's answer has reached us."""
    return unit._replace(ready_early=True), ()


def became_ready(unit: Unit, event: ev.Ready, now: float, gate: Gate) -> Step:
    return running(unit, now)


def exited(unit: Unit, event: ev.Exited, now: float, gate: Gate) -> Step:
    """The main process is dead. What is left of its life is swept before anything else is decided."""
    how = Exit(event.code, event.signal, why_died(unit, event), event.wall, event.core)
    unit = unit._replace(exit=how, died_at=event.at, main_gone=True, draw=event.draw, error=None)
    if not event.left:
        return settle(unit, now, gate)
    if unit.state is State.KILLING:
        return unit, (Sweep(unit.key, unit.life, 9),)
    kill_at = now + SWEEP_GRACE
    if unit.state is State.STOPPING and unit.deadline is not None:
        kill_at = min(kill_at, unit.deadline)
    return enter(unit, State.STOPPING, now, kill_at), (Sweep(unit.key, unit.life, 15),)


def gone(unit: Unit, event: ev.Gone, now: float, gate: Gate) -> Step:
    """The last straggler is dead too."""
    return settle(unit, now, gate)


def unhealthy(unit: Unit, event: ev.Unhealthy, now: float, gate: Gate) -> Step:
    """A liveness check failed for good: this death is a failure of the service, not an operator's wish."""
    return stopping(unit._replace(blame=Reason.TIMEOUT, trigger=Trigger.HEALTH), now)


# --- what the clock says -----------------------------------------------------------------------------------------------


def overdue(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Exec has not answered: say so, go on waiting (a network file system may come back)."""
    text = f"{now - unit.since:.0f} s without an answer from exec"
    return unit._replace(deadline=now + OVERDUE), (Notice(unit, "warning", text),)


def grace_over(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """It survived its start grace, which without a readiness protocol is all we ask."""
    return running(unit, now)


def healthy(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """It ran long enough: the streak is over, and after a half-open try the circuit closes."""
    failures = () if unit.half_open else unit.failures
    return unit._replace(streak=0, half_open=False, failures=failures, deadline=None), ()


def kill(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Its time to end is over: SIGKILL to all of it."""
    return enter(unit, State.KILLING, now, now + LATE), (Sweep(unit.key, unit.life, 9),)


def kill_again(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """SIGKILL has not ended it: it sleeps in the kernel, or forks faster than it dies. Again, and say so."""
    text = f"still alive {now - unit.since:.0f} s after SIGKILL"
    return unit._replace(deadline=now + LATE), (Sweep(unit.key, unit.life, 9), Notice(unit, "error", text))


def delay_over(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    return up(unit, now, gate)


def half_open(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """The cooldown is over: one try; if that fails too, the circuit opens again at once."""
    return up(unit._replace(half_open=True, trigger=Trigger.CRASH, died_at=None, delay=0.0), now, gate)


def waited_too_long(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    return enter(unit, State.FATAL, now), ()


# --- what the fleet says -----------------------------------------------------------------------------------------------


def dependency_lost(unit: Unit, event: ev.DependencyLost, now: float, gate: Gate) -> Step:
    """A dependency of a living unit died, and its policy is not to bear it."""
    if unit.spec.on_dependency_failure.value == "restart":
        return stopping(unit._replace(trigger=Trigger.DEPENDENCY, blame=None), now)
    if unit.spec.on_dependency_failure.value == "stop":
        return stopping(unit._replace(want=Want.DOWN, blame=None), now)
    return unit, ()


def changed_at_rest(unit: Unit, event: ev.ConfigChanged, now: float, gate: Gate) -> Step:
    return reconfigured(unit, event.spec, now), ()


def changed_alive(unit: Unit, event: ev.ConfigChanged, now: float, gate: Gate) -> Step:
    """Only what cannot hold in the present process costs a restart; the life ends by the rules it was started under."""
    old = unit.spec
    unit = reconfigured(unit, event.spec, now)
    if not event.replace or unit.want is Want.DOWN:
        return unit, ()
    return stopping(forgiven(unit)._replace(trigger=Trigger.CONFIG, blame=None), now, old)


def quarantined(unit: Unit, event: ev.Quarantined, now: float, gate: Gate) -> Step:
    """Deciding for it failed inside respawnd. A life that is there is left alone, unsupervised, and said to be."""
    return fatal_by_quarantine(unit, event.text, now)


# --- shared moves ------------------------------------------------------------------------------------------------------


def running(unit: Unit, now: float) -> Step:
    """It is up; its deadline is the moment at which its failures are forgiven."""
    deadline = now + unit.spec.backoff.reset_after if unit.streak or unit.half_open else None
    return enter(unit._replace(ready_at=now), State.RUNNING, now, deadline), ()


def stopping(unit: Unit, now: float, old: Any = None) -> Step:
    """Send the stop signal, once; the deadline is the moment of SIGKILL."""
    policy = (old or unit.spec).stop
    signal = Signal(unit.key, unit.life, policy.signal, policy.scope)
    return enter(unit, State.STOPPING, now, now + policy.timeout), (signal,)


def ignore(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """A named nothing."""
    return unit, ()


def impossible(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    raise Impossible(f"{type(event).__name__} for {unit.name} in {unit.state.value}")


@frozen
class Row:
    """What one state answers to each event, and the states it may lead to (staying is always allowed)."""

    answers: tuple[Handler, ...]
    leads_to: frozenset[State]


S = State
_ENDS = (S.STOPPED, S.WAITING, S.LAUNCHING, S.BACKOFF, S.FATAL, S.EXITED)
COLUMNS: tuple[type, ...] = (
    ev.Start, ev.Stop, ev.RestartAsked, ev.DeadlineReached, ev.Launched, ev.LaunchFailed, ev.Ready, ev.Exited, ev.Gone,
    ev.Unhealthy, ev.Adopted, ev.DependencyLost, ev.DependencyBack, ev.ConfigChanged, ev.Quarantined,
)  # fmt: skip
_NO = impossible
_NIL = ignore


def _row(*answers: Handler, to: tuple[State, ...]) -> Row:
    return Row(answers, frozenset({*to, S.FATAL}))


# start, stop, restart, deadline | launched, failed, ready, exited, gone, unhealthy, adopted | lost, back, changed, quarantine
TABLE: dict[State, Row] = {
    S.STOPPED: _row(start_fresh, _NIL, restart_fresh, _NO, _NO, _NO, _NO, _NO, _NO, _NO, adopted,
                    _NIL, _NIL, changed_at_rest, quarantined, to=(S.WAITING, S.LAUNCHING, S.RUNNING)),
    S.WAITING: _row(want_up, rest, want_up, waited_too_long, _NO, _NO, _NO, _NO, _NO, _NO, _NO,
                    _NIL, leave_waiting, changed_at_rest, quarantined, to=(S.STOPPED, S.LAUNCHING)),
    S.LAUNCHING: _row(want_up, want_down, want_up, overdue, launched, launch_failed, remember_ready, _NO, _NO, _NO, _NO,
                      _NIL, _NIL, changed_at_rest, quarantined, to=(S.STARTING, S.RUNNING, S.STOPPING, *_ENDS)),
    S.STARTING: _row(want_up, end, replace, grace_over, _NO, _NO, became_ready, exited, _NO, _NIL, _NO,
                     _NIL, _NIL, changed_alive, quarantined, to=(S.RUNNING, S.STOPPING, *_ENDS)),
    S.RUNNING: _row(want_up, end, replace, healthy, _NO, _NO, _NIL, exited, _NO, unhealthy, _NO,
                    dependency_lost, _NIL, changed_alive, quarantined, to=(S.STOPPING, *_ENDS)),
    S.STOPPING: _row(want_up, want_down, want_up, kill, _NO, _NO, _NIL, exited, gone, _NIL, _NO,
                     _NIL, _NIL, changed_at_rest, quarantined, to=(S.KILLING, *_ENDS)),
    S.KILLING: _row(want_up, want_down, want_up, kill_again, _NO, _NO, _NIL, exited, gone, _NIL, _NO,
                    _NIL, _NIL, changed_at_rest, quarantined, to=_ENDS),
    S.BACKOFF: _row(start_fresh, rest, restart_fresh, delay_over, _NO, _NO, _NO, _NO, _NO, _NO, _NO,
                    _NIL, _NIL, changed_at_rest, quarantined, to=(S.STOPPED, S.WAITING, S.LAUNCHING)),
    S.FATAL: _row(start_fresh, rest, restart_fresh, half_open, _NO, _NO, _NO, _NIL, _NIL, _NO, _NO,
                  _NIL, _NIL, changed_at_rest, quarantined, to=(S.STOPPED, S.WAITING, S.LAUNCHING)),
    S.EXITED: _row(start_fresh, rest, restart_fresh, _NO, _NO, _NO, _NO, _NO, _NO, _NO, adopted,
                   _NIL, _NIL, changed_at_rest, quarantined, to=(S.STOPPED, S.WAITING, S.LAUNCHING, S.RUNNING)),
    S.SCHEDULED: _row(start_fresh, rest, restart_fresh, delay_over, _NO, _NO, _NO, _NO, _NO, _NO, adopted,
                      _NIL, _NIL, changed_at_rest, quarantined, to=(S.STOPPED, S.WAITING, S.LAUNCHING, S.RUNNING)),
}  # fmt: skip
_INDEX = {column: number for number, column in enumerate(COLUMNS)}


def decide(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """What becomes of `unit` by `event` at `now` (monotonic seconds), and what is to be done.

    News of a life that is not the unit's present one changes nothing (the fleet counts it). Raises Impossible where the
    table has no answer, or where a handler went to a state that its row does not declare.
    """
    life = getattr(event, "life", None)
    if life is not None and life != unit.life and not isinstance(event, ev.Adopted):
        return unit, no_effects
    row = TABLE[unit.state]
    after, effects = row.answers[_INDEX[type(event)]](unit, event, now, gate)
    if after.state is not unit.state and after.state not in row.leads_to:
        raise Impossible(f"{unit.name}: {unit.state.value} may not lead to {after.state.value}")
    return after, effects


__all__ = ["COLUMNS", "TABLE", "Effect", "Gate", "Impossible", "Launch", "Row", "decide", "ignore", "impossible"]
