"""The story of the fleet in the daemon's log: an observer that turns facts into lines for people and collectors."""

from __future__ import annotations

import logging
import signal
from typing import Any

from supervisor.core.effects import Notice, Transition
from supervisor.core.ports import Fact
from supervisor.core.state import Exit, Reason, State, Unit

log = logging.getLogger("respawnd.fleet")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def narrate(fact: Fact) -> None:
    """Log one fact, if there is something to say."""
    if isinstance(fact, Notice):
        log.log(_LEVELS[fact.level], "%s: %s", fact.unit.name, fact.text, extra=_fields(fact.unit))
    elif isinstance(fact, Transition):
        _transition(fact)


def _transition(fact: Transition) -> None:
    unit, was = fact.unit, fact.was
    if fact.event == "Exited":
        _exit(was, unit, fact.at)
    if fact.event == "LaunchFailed" and unit.error is not None:
        log.error("Cannot start %s: %s%s", unit.name, unit.error.text, _next(unit), extra=_fields(unit))
    line = _LINES.get(unit.state)
    if line is not None and log.isEnabledFor(line[0]):
        log.log(line[0], line[1], unit.name, _detail(unit), extra=_fields(unit))


def _exit(was: Unit, unit: Unit, at: float) -> None:
    how = unit.exit
    if how is None:
        return
    expected = how.reason in (Reason.OK, Reason.STOPPED)
    lived = at - was.started_at if was.started_at is not None else 0.0
    level = logging.INFO if expected else logging.WARNING
    fields = {**_fields(unit), "reason": how.reason.value, "code": how.code, "signal": how.signal}
    log.log(level, "%s %s after %.1f s%s", unit.name, exit_words(how), lived, _next(unit), extra=fields)


def exit_words(how: Exit) -> str:
    """An exit as people say it: "exited with code 3", "was killed by SIGSEGV (core dumped)"."""
    if how.signal is not None:
        return f"was killed by {_signal_name(how.signal)}{' (core dumped)' if how.core else ''}"
    return "ended, how is not known" if how.code is None else f"exited with code {how.code}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _next(unit: Unit) -> str:
    """What follows a failure."""
    budget = unit.spec.give_up.failures
    count = f"failure {len(unit.failures)}{f'/{budget}' if budget is not None else ''}" if unit.failures else ""
    if unit.state is State.BACKOFF:
        return f"; next start in {unit.delay:.2f} s" + (f" ({count})" if count else "")
    if unit.state is State.FATAL:
        pause = f", one try in {unit.spec.give_up.cooldown:.0f} s" if unit.deadline is not None else ""
        return f"; given up{pause}" + (f" ({count})" if count else "")
    return ""


def _detail(unit: Unit) -> str:
    if unit.state is State.WAITING:
        return ", ".join(unit.waiting_for)
    if unit.state is State.STOPPING and unit.exit is not None and unit.main_gone:
        return "what it left behind"
    return str(unit.pid)


_LINES: dict[State, tuple[int, str]] = {
    State.STARTING: (logging.INFO, "Starting %s: pid %s"),
    State.RUNNING: (logging.INFO, "Started %s: pid %s"),
    State.WAITING: (logging.INFO, "Waiting to start %s: for %s"),
    State.STOPPING: (logging.DEBUG, "Stopping %s: %s"),
    State.KILLING: (logging.WARNING, "Killing %s: %s did not end in time"),
}


def _fields(unit: Unit) -> dict[str, Any]:
    return {
        "service": unit.key.service, "replica": unit.key.replica, "life": unit.life, "pid": unit.pid,
        "state": unit.state.word,
    }  # fmt: skip
