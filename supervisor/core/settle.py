"""What follows when nothing of a life is left: rest, wait, give up, wait out a delay, or live again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from supervisor.core.backoff import delay, exhausted, recent
from supervisor.core.effects import Effect, Launch, Notice, ShutdownAsked
from supervisor.core.model import ExitAction, GiveUpThen, Kind, OnDependencyFailure, Restart
from supervisor.core.state import LIFELESS, Reason, State, Trigger, Unit, Want
from supervisor.core.steps import OVERDUE, Gate, Step, enter

if TYPE_CHECKING:
    from supervisor.core.state import Exit

no_effects: tuple[Effect, ...] = ()
#: Exit status of the daemon when a service, group or exit rule says shutdown.
SERVICE_SAID_SHUTDOWN = 10


def forgiven(unit: Unit) -> Unit:
    """The unit with a clean record, as an operator's start or restart gives it."""
    return unit._replace(streak=0, failures=(), half_open=False, error=None)


def up(unit: Unit, now: float, gate: Gate) -> Step:
    """Launch if the gate is open, else wait for what is in the way."""
    waiting_for = gate.in_the_way(unit.trigger)
    if waiting_for:
        return enter(unit, State.WAITING, now)._replace(waiting_for=waiting_for), no_effects
    unit = enter(unit, State.LAUNCHING, now, now + OVERDUE)
    unit = unit._replace(life=unit.life + 1, started_at=None, blame=None, launched_as=unit.spec)
    return unit, (Launch(unit.key, unit.life, unit.spec),)


def leave_waiting(unit: Unit, event: object, now: float, gate: Gate) -> Step:
    """What it waited for may have come; if not, it says what it waits for now."""
    waiting_for = gate.in_the_way(unit.trigger)
    if waiting_for == unit.waiting_for:
        return unit, no_effects
    if waiting_for:
        return unit._replace(waiting_for=waiting_for), no_effects
    return up(unit, now, gate)


def settle(unit: Unit, now: float, gate: Gate) -> Step:
    """Nothing of the life is left. Order: the operator's want, a replacement under way, exit rules, policy, budget."""
    assert unit.exit is not None, "settle comes after an exit"
    how = unit.exit
    if unit.want is Want.DOWN:
        return enter(unit, State.STOPPED, now), no_effects
    if unit.state in (State.STOPPING, State.KILLING) and unit.trigger in _ASKED:
        return up(unit._replace(delay=0.0), now, gate)
    action = _ruled(unit, how)
    if action is ExitAction.STOP or (action is None and not _again(unit, how)):
        return _done(unit, how, now)
    if action is ExitAction.FAIL:
        return enter(_over(unit), State.FATAL, now), no_effects
    if action is ExitAction.SHUTDOWN:
        after, _ = _done(unit, how, now)
        return after, (ShutdownAsked(SERVICE_SAID_SHUTDOWN, f"{unit.name}: an exit rule asks for shutdown"),)
    return _failed(unit._replace(trigger=_trigger(unit, how)), now, gate)


# On its way down these say that somebody asked for a new life; a death of its own, or by a liveness check, has others.
_ASKED = frozenset({Trigger.MANUAL, Trigger.CONFIG, Trigger.DEPENDENCY, Trigger.LIMIT, Trigger.FEEDBACK})


def settle_failed_launch(unit: Unit, now: float, gate: Gate) -> Step:
    """A launch that failed is a failure like a death, whatever the restart policy says of exits.

    The next try is never made in the same step, even without a delay: one that fails at once would have no end.
    """
    if unit.want is Want.DOWN:
        return enter(unit, State.STOPPED, now), no_effects
    return _failed(unit._replace(trigger=Trigger.CRASH), now, gate, at_once=False)


def _trigger(unit: Unit, how: Exit) -> Trigger:
    if unit.blame is not None:
        return Trigger.HEALTH
    if how.reason is Reason.OOM:
        return Trigger.OOM
    return Trigger.EXIT if how.reason is Reason.OK else Trigger.CRASH


def _ruled(unit: Unit, how: Exit) -> ExitAction | None:
    return next((rule.action for rule in unit.spec.exit_rules if rule.exits.holds(how.code, how.signal)), None)


def _again(unit: Unit, how: Exit) -> bool:
    """Whether the restart policy answers this exit (the matrix of systemd.service(5), Table 1)."""
    clean = how.reason is Reason.OK
    policy = unit.spec.restart
    if policy is Restart.ON_FAILURE:
        return not clean
    if policy is Restart.ON_SUCCESS:
        return clean
    if policy is Restart.ON_ABNORMAL:
        return not clean and how.reason is not Reason.ERROR
    return policy is Restart.ALWAYS


def _done(unit: Unit, how: Exit, now: float) -> Step:
    """The service has ended and stays so; for a oneshot that is completion."""
    ok = how.reason is Reason.OK
    unit = unit._replace(completed=True, completed_ok=unit.completed_ok or ok, streak=0, half_open=False)
    return enter(unit, State.EXITED, now), no_effects


def _over(unit: Unit) -> Unit:
    """It will not be tried again by itself; a oneshot has then completed, if not well."""
    return unit._replace(completed=unit.completed or unit.spec.kind is Kind.ONESHOT)


def _failed(unit: Unit, now: float, gate: Gate, *, at_once: bool = True) -> Step:
    """Count the failure, unless a dependency is down: then it waits, and its budget is left alone."""
    if gate.dependencies and unit.spec.on_dependency_failure is not OnDependencyFailure.IGNORE:
        return up(unit._replace(delay=0.0), now, gate)
    policy = unit.spec.give_up
    failures = recent(policy, (*unit.failures, now), now)
    unit = unit._replace(streak=unit.streak + 1, failures=failures)
    if unit.half_open or exhausted(policy, failures):
        return _given_up(unit, now)
    pause = delay(unit.spec.backoff, unit.streak, unit.draw)
    if pause == 0 and at_once:
        return up(unit._replace(delay=0.0), now, gate)
    return enter(unit._replace(delay=pause), State.BACKOFF, now, now + pause), no_effects


def _given_up(unit: Unit, now: float) -> Step:
    policy = unit.spec.give_up
    retry = now + policy.cooldown if policy.then is GiveUpThen.COOLDOWN else None
    unit = enter(_over(unit), State.FATAL, now, retry)
    if policy.then is GiveUpThen.SHUTDOWN:
        return unit, (ShutdownAsked(SERVICE_SAID_SHUTDOWN, f"{unit.name}: gave up, and its policy asks for shutdown"),)
    return unit, no_effects


def fatal_by_quarantine(unit: Unit, text: str, now: float) -> Step:
    """Set the unit aside; its process, if it has one, is left as it is, and remembered for who starts or stops it."""
    aside = unit.aside if unit.state in LIFELESS else unit.state
    unit = enter(unit, State.FATAL, now)._replace(aside=aside, pid=unit.pid)
    return unit, (Notice(unit, "error", f"quarantined: {text}"),)
