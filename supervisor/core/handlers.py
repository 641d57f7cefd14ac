"""What a unit does in each situation: the handlers that the table of `supervisor.core.decide` is made of.

Each takes the unit, the event, the moment and the gate, and gives the unit as it is then and what is to be done. It is
named for the situation it answers. None reads a clock, and none changes a state but through `enter`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from supervisor.core.effects import Notice, Signal, Sweep
from supervisor.core.model import OnDependencyFailure, needs_restart
from supervisor.core.settle import fatal_by_quarantine, forgiven, settle, settle_failed_launch, up
from supervisor.core.state import Exit, Reason, State, Trigger, Unit, Want
from supervisor.core.steps import LATE, OVERDUE, SWEEP_GRACE, Gate, Step, enter, why_died

if TYPE_CHECKING:
    from supervisor.core import events as ev
    from supervisor.core.model import UnitSpec

Handler = Callable[[Unit, Any, float, Gate], Step]


class Impossible(Exception):
    """An event came in a state in which it cannot come: respawnd itself is at fault."""


# --- what operators say ---------------------------------------------------------------------------------------------


def start_fresh(unit: Unit, event: ev.Start, now: float, gate: Gate) -> Step:
    """At rest, or between lives: start now, all failures forgiven (a start never spends the crash budget)."""
    if unit.aside is not None:
        return retaken(again(unit, Trigger.MANUAL), now)
    return up(forgiven(unit)._replace(want=Want.UP, trigger=None, died_at=None, delay=0.0), now, gate)


def restart_fresh(unit: Unit, event: ev.RestartAsked, now: float, gate: Gate) -> Step:
    """As start; a unit that had lived counts it as a restart by its trigger."""
    if unit.aside is not None:
        return retaken(again(unit, event.trigger), now)
    trigger = event.trigger if unit.started_wall is not None and unit.want is Want.UP else None
    return up(forgiven(unit)._replace(want=Want.UP, trigger=trigger, died_at=None, delay=0.0), now, gate)


def want_up(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """It is on its way up already: only the want changes, and its record is clean."""
    return forgiven(unit)._replace(want=Want.UP), ()


def start_after(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """It is on its way down: up again after that, unless that is what will happen anyway."""
    return (unit if unit.want is Want.UP else again(unit, Trigger.MANUAL)), ()


def restart_after(unit: Unit, event: ev.RestartAsked, now: float, gate: Gate) -> Step:
    """It is on its way down: up again after that, and whatever brought it down is not held against it."""
    return again(unit, event.trigger), ()


def want_down(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """It is on its way down already, or cannot be stopped until exec was answered: only the want changes."""
    return unit._replace(want=Want.DOWN), ()


def rest(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Nothing lives: stopped at once. What quarantine left alone is ended first."""
    if unit.aside is not None:
        return retaken(unit._replace(want=Want.DOWN), now)
    return enter(unit._replace(want=Want.DOWN), State.STOPPED, now), ()


def end(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Ask the life to end, and stay down."""
    return stopping(unit._replace(want=Want.DOWN, blame=None), now)


def replace(unit: Unit, event: ev.RestartAsked, now: float, gate: Gate) -> Step:
    """Ask the life to end, then start again; the streak is forgiven, as an operator asked."""
    return stopping(again(unit, event.trigger)._replace(blame=None), now)


# --- what the host reports ------------------------------------------------------------------------------------------


def launched(unit: Unit, event: ev.Launched, now: float, gate: Gate) -> Step:
    """Exec was confirmed: a life is there. It goes at once if it is no longer wanted, or not as it was launched."""
    again_for = unit.trigger is not None and unit.trigger is not Trigger.SCHEDULE
    unit = living(unit, event, unit.restarts + again_for)
    if unit.want is Want.DOWN:
        return stopping(unit, now)
    old = unit.launched_as
    if old is not None and old is not unit.spec and needs_restart(old, unit.spec):
        return stopping(again(unit, Trigger.CONFIG), now, old)
    if unit.ready_early or unit.spec.start_grace == 0:
        return running(unit, now)
    return enter(unit, State.STARTING, now, now + unit.spec.start_grace), ()


def launch_failed(unit: Unit, event: ev.LaunchFailed, now: float, gate: Gate) -> Step:
    """No life came of it: a failure like a death, told with its stage."""
    failed = unit._replace(error=event.error, draw=event.draw, pid=None, started_at=None)
    return settle_failed_launch(failed, now, gate)


def adopted(unit: Unit, event: ev.Adopted, now: float, gate: Gate) -> Step:
    """A life of an earlier daemon is ours again; it had time enough to start."""
    return running(living(unit, event, unit.restarts)._replace(life=event.life, want=Want.UP), now)


def remember_ready(unit: Unit, event: ev.Ready, now: float, gate: Gate) -> Step:
    """It can say so before exec's answer has reached us."""
    return unit._replace(ready_early=True), ()


def became_ready(unit: Unit, event: ev.Ready, now: float, gate: Gate) -> Step:
    """It said so before its grace was over."""
    return running(unit, now)


def exited(unit: Unit, event: ev.Exited, now: float, gate: Gate) -> Step:
    """The main process is dead. What is left of its life is swept before anything else is decided."""
    how = Exit(event.code, event.signal, why_died(unit, event), event.wall, event.core)
    unit = unit._replace(exit=how, died_at=event.at, main_gone=True, pid=None, draw=event.draw, error=None)
    if not event.left:
        return settle(unit, now, gate)
    if unit.state is State.KILLING:
        return unit, (Sweep(unit.key, unit.life, 9),)
    kill_at = now + SWEEP_GRACE
    if unit.state is not State.STOPPING:
        unit = unit._replace(trigger=None)  # nobody has asked for the next life
    elif unit.deadline is not None:
        kill_at = min(kill_at, unit.deadline)
    return enter(unit, State.STOPPING, now, kill_at), (Sweep(unit.key, unit.life, 15),)


def gone(unit: Unit, event: ev.Gone, now: float, gate: Gate) -> Step:
    """The last straggler is dead too. While the main process lives, only its exit counts."""
    return settle(unit, now, gate) if unit.main_gone else (unit, ())


def unhealthy(unit: Unit, event: ev.Unhealthy, now: float, gate: Gate) -> Step:
    """A liveness check failed for good: this death is a failure of the service, not an operator's wish."""
    return stopping(unit._replace(blame=Reason.TIMEOUT, trigger=Trigger.HEALTH), now)


# --- of a life that quarantine left alone ----------------------------------------------------------------------------


def launched_aside(unit: Unit, event: ev.Launched, now: float, gate: Gate) -> Step:
    """The launch that was in flight has succeeded."""
    return living(unit, event, unit.restarts)._replace(aside=State.RUNNING), ()


def launch_failed_aside(unit: Unit, event: ev.LaunchFailed, now: float, gate: Gate) -> Step:
    """The launch that was in flight has failed: nothing remains."""
    return unit._replace(error=event.error, aside=None), ()


def exited_aside(unit: Unit, event: ev.Exited, now: float, gate: Gate) -> Step:
    """The main process is dead; its stragglers, if there are any, are left alone too."""
    how = Exit(event.code, event.signal, why_died(unit, event), event.wall, event.core)
    aside = unit.aside if event.left else None
    return unit._replace(exit=how, died_at=event.at, main_gone=True, pid=None, aside=aside), ()


def gone_aside(unit: Unit, event: ev.Gone, now: float, gate: Gate) -> Step:
    """Its stragglers are dead."""
    return (unit._replace(aside=None) if unit.main_gone else unit), ()


# --- what the clock says --------------------------------------------------------------------------------------------


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
    """The backoff, or the time until the next run, is over."""
    return up(unit, now, gate)


def half_open(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """The cooldown is over: one try; if that fails too, the circuit opens again at once."""
    return up(unit._replace(half_open=True, trigger=Trigger.CRASH, died_at=None, delay=0.0), now, gate)


def waited_too_long(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Its time to wait, where it has one, is over."""
    return enter(unit, State.FATAL, now), ()


# --- what the fleet says --------------------------------------------------------------------------------------------


def dependency_lost(unit: Unit, event: ev.DependencyLost, now: float, gate: Gate) -> Step:
    """A dependency of a living unit died; its policy says whether it bears that."""
    if unit.spec.on_dependency_failure is OnDependencyFailure.RESTART:
        return stopping(unit._replace(trigger=Trigger.DEPENDENCY), now)
    if unit.spec.on_dependency_failure is OnDependencyFailure.STOP:
        return stopping(unit._replace(want=Want.DOWN), now)
    return unit, ()


def changed(unit: Unit, event: ev.ConfigChanged, now: float, gate: Gate) -> Step:
    """No life is there that would have to go: what it has lived through stays."""
    return unit._replace(spec=event.spec), ()


def changed_alive(unit: Unit, event: ev.ConfigChanged, now: float, gate: Gate) -> Step:
    """Only what cannot hold in the present process costs a restart; the life ends by the rules it was started under."""
    old, unit = unit.spec, unit._replace(spec=event.spec)
    if not event.replace or unit.want is Want.DOWN:
        return unit, ()
    return stopping(again(unit, Trigger.CONFIG), now, old)


def quarantined(unit: Unit, event: ev.Quarantined, now: float, gate: Gate) -> Step:
    """Deciding for it failed inside respawnd. A life that is there is left alone, unsupervised, and said to be."""
    return fatal_by_quarantine(unit, event.text, now)


# --- shared moves ---------------------------------------------------------------------------------------------------


def again(unit: Unit, trigger: Trigger) -> Unit:
    """Somebody asked for a new life, for `trigger`: it will have a clean record."""
    return forgiven(unit)._replace(want=Want.UP, trigger=trigger)


def living(unit: Unit, event: ev.Launched | ev.Adopted, restarts: int) -> Unit:
    """The unit with the process that `event` tells of."""
    return unit._replace(
        pid=event.pid,
        started_at=event.at,
        started_wall=event.wall,
        error=None,
        blame=None,
        main_gone=False,
        restarts=restarts,
    )


def running(unit: Unit, now: float) -> Step:
    """It is up; its deadline is the moment at which its failures are forgiven."""
    deadline = now + unit.spec.backoff.reset_after if unit.streak or unit.half_open else None
    return enter(unit._replace(ready_at=now), State.RUNNING, now, deadline), ()


def stopping(unit: Unit, now: float, old: UnitSpec | None = None) -> Step:
    """Send the stop signal, once; the deadline is the moment of SIGKILL. What is replaced ends by `old` rules."""
    policy = (old or unit.spec).stop
    signal = Signal(unit.key, unit.life, policy.signal, policy.scope)
    return enter(unit, State.STOPPING, now, now + policy.timeout), (signal,)


def retaken(unit: Unit, now: float) -> Step:
    """Quarantine is over: what it left alone is ended, then all goes on as the unit's want says."""
    found, unit = unit.aside, unit._replace(aside=None)
    if found is State.LAUNCHING:
        return enter(unit, State.LAUNCHING, now, now + OVERDUE), ()
    if unit.main_gone:
        return enter(unit, State.KILLING, now, now + LATE), (Sweep(unit.key, unit.life, 9),)
    return stopping(unit, now)


def ignore(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """A named nothing."""
    return unit, ()


def impossible(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """Raise Impossible."""
    raise Impossible(f"{type(event).__name__} for {unit.name} in {unit.state.value}")
