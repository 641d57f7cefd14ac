"""The unit machine: one total table from (state, event) to a handler, and `decide`, which applies it.

Theory. A unit is at rest (STOPPED, EXITED, FATAL), on its way up (WAITING, LAUNCHING, STARTING), up (RUNNING), on its
way down (STOPPING, KILLING), or between lives (BACKOFF, SCHEDULED). Only `enter` changes a state, and it revokes what
the new state no longer licenses; only `up` begins a life, and it raises the life's number. Every death goes through
`settle`, in this order: what the operator wants, a new life that was asked for, exit rules, the restart policy, what
the dependencies allow, the budget, the delay. While stragglers of a dead main process live, the unit is still
STOPPING: `settle` comes after them.

Every pair of state and event is a handler, `ignore` (silence is a decision) or `impossible` (raises Impossible: a
fault in respawnd, which the fleet answers by quarantine of that unit). News that another thread may have had under way
when the life ended (ready, unhealthy, gone) is ignored, never impossible. Each row declares the states it may lead to;
`decide` holds handlers to that, and the diagram in docs/ is drawn from the same rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from supervisor.core import events as ev
from supervisor.core.handlers import (
    Handler,
    Impossible,
    adopted,
    became_ready,
    changed,
    changed_alive,
    delay_over,
    dependency_lost,
    end,
    exited,
    exited_aside,
    gone,
    gone_aside,
    grace_over,
    half_open,
    healthy,
    ignore,
    impossible,
    kill,
    kill_again,
    launch_failed,
    launch_failed_aside,
    launched,
    launched_aside,
    overdue,
    quarantined,
    remember_ready,
    replace,
    rest,
    restart_after,
    restart_fresh,
    start_after,
    start_fresh,
    unhealthy,
    waited_too_long,
    want_down,
    want_up,
)
from supervisor.core.settle import leave_waiting
from supervisor.core.state import State, Unit

if TYPE_CHECKING:
    from supervisor.core.steps import Gate, Step


@frozen
class Row:
    """What one state answers to each event, and the states it may lead to.

    Staying is always allowed, and so is quarantine, which leads to FATAL from everywhere.
    """

    answers: tuple[Handler, ...]
    leads_to: frozenset[State]


S = State
COLUMNS: tuple[type, ...] = (
    ev.Start, ev.Stop, ev.RestartAsked, ev.DeadlineReached, ev.Launched, ev.LaunchFailed, ev.Ready, ev.Exited, ev.Gone,
    ev.Unhealthy, ev.Adopted, ev.DependencyLost, ev.DependencyBack, ev.ConfigChanged, ev.Quarantined,
)  # fmt: skip
_NO = impossible
_NIL = ignore
#: Where a life that nobody asked to end leads when nothing is left of it.
_ENDS = (S.WAITING, S.LAUNCHING, S.BACKOFF, S.FATAL, S.EXITED)


def _row(*answers: Handler, to: tuple[State, ...]) -> Row:
    return Row(answers, frozenset(to))


# start, stop, restart, deadline | launched, failed, ready, exited, gone, unhealthy, adopted |
# dependency lost, dependency back, configuration changed, quarantined
TABLE: dict[State, Row] = {
    S.STOPPED: _row(start_fresh, _NIL, restart_fresh, _NO, _NO, _NO, _NIL, _NO, _NIL, _NIL, adopted,
                    _NIL, _NIL, changed, quarantined, to=(S.WAITING, S.LAUNCHING, S.RUNNING)),
    S.WAITING: _row(want_up, rest, want_up, waited_too_long, _NO, _NO, _NIL, _NO, _NIL, _NIL, _NO,
                    _NIL, leave_waiting, changed, quarantined, to=(S.STOPPED, S.LAUNCHING, S.FATAL)),
    S.LAUNCHING: _row(want_up, want_down, want_up, overdue, launched, launch_failed, remember_ready, _NO, _NO, _NO, _NO,
                      _NIL, _NIL, changed, quarantined,
                      to=(S.STARTING, S.RUNNING, S.STOPPING, S.STOPPED, S.WAITING, S.BACKOFF, S.FATAL)),
    S.STARTING: _row(_NIL, end, replace, grace_over, _NO, _NO, became_ready, exited, _NO, _NIL, _NO,
                     dependency_lost, _NIL, changed_alive, quarantined, to=(S.RUNNING, S.STOPPING, *_ENDS)),
    S.RUNNING: _row(_NIL, end, replace, healthy, _NO, _NO, _NIL, exited, _NO, unhealthy, _NO,
                    dependency_lost, _NIL, changed_alive, quarantined, to=(S.STOPPING, *_ENDS)),
    S.STOPPING: _row(start_after, want_down, restart_after, kill, _NO, _NO, _NIL, exited, gone, _NIL, _NO,
                     _NIL, _NIL, changed, quarantined, to=(S.KILLING, S.STOPPED, *_ENDS)),
    S.KILLING: _row(start_after, want_down, restart_after, kill_again, _NO, _NO, _NIL, exited, gone, _NIL, _NO,
                    _NIL, _NIL, changed, quarantined, to=(S.STOPPED, *_ENDS)),
    S.BACKOFF: _row(start_fresh, rest, restart_fresh, delay_over, _NO, _NO, _NIL, _NO, _NIL, _NIL, _NO,
                    _NIL, _NIL, changed, quarantined, to=(S.STOPPED, S.WAITING, S.LAUNCHING)),
    S.FATAL: _row(start_fresh, rest, restart_fresh, half_open, launched_aside, launch_failed_aside, _NIL, exited_aside,
                  gone_aside, _NIL, _NO, _NIL, _NIL, changed, quarantined,
                  to=(S.STOPPED, S.WAITING, S.LAUNCHING, S.STOPPING, S.KILLING)),
    S.EXITED: _row(start_fresh, rest, restart_fresh, _NO, _NO, _NO, _NIL, _NO, _NIL, _NIL, adopted,
                   _NIL, _NIL, changed, quarantined,
                   to=(S.STOPPED, S.WAITING, S.LAUNCHING, S.RUNNING)),
    S.SCHEDULED: _row(start_fresh, rest, restart_fresh, delay_over, _NO, _NO, _NIL, _NO, _NIL, _NIL, adopted,
                      _NIL, _NIL, changed, quarantined, to=(S.STOPPED, S.WAITING, S.LAUNCHING, S.RUNNING)),
}  # fmt: skip
_INDEX = {column: number for number, column in enumerate(COLUMNS)}


def decide(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """What becomes of `unit` by `event` at `now` (monotonic seconds), and what is to be done.

    News of a life that is not the unit's present one changes nothing (the fleet counts it). Raises Impossible where the
    table has no answer, or where a handler went to a state that its row does not declare.
    """
    life = getattr(event, "life", None)
    if life is not None and life != unit.life and not isinstance(event, ev.Adopted):
        return unit, ()
    row = TABLE[unit.state]
    after, effects = row.answers[_INDEX[type(event)]](unit, event, now, gate)
    if after.state is not unit.state and after.state not in row.leads_to and not isinstance(event, ev.Quarantined):
        raise Impossible(f"{unit.name}: {unit.state.value} may not lead to {after.state.value}")
    return after, effects
