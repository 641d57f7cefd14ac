"""The commands that change something: asked of the loop, then followed until each unit has come to a result.

A result is one line of JSON: `{"unit", "ok", "state", "text"}`; `ok` is null in a line that only says what is waited
for.

Rules: a command is asked once, and only when its caller can be told the results; a caller who hangs up is noticed, what
it asked for goes on. Up means running for `SETTLED` seconds: most programs that cannot work die of their configuration
at once, and who said `start` wants to hear of it now. A death on the way is no result while the policy tries again at
once; a delay is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from supervisor.control.daemon import Daemon
from supervisor.core.events import Event, Origin, RestartAsked, Start, Stop
from supervisor.core.model import Kind, UnitKey
from supervisor.core.state import Reason, State, Unit, Want
from supervisor.core.view import FleetView
from supervisor.narrate import exit_words

#: Seconds that a service has run before it is said to.
SETTLED = 0.5
#: Seconds after which it is told, once, what is waited for; units that are named then at most.
SILENCE, NAMED = 3.0, 5
#: Seconds between looks for a caller who hung up; and, a unit, between looks at a picture that changes all the time.
_PULSE, _PAUSE = 0.1, 0.00002

#: (whether it went well, what to say), or None while there is no result.
Verdict = tuple[bool, str] | None
Line = dict[str, Any]

EVENTS: Mapping[str, Callable[..., Event]] = {"start": Start, "stop": Stop, "restart": RestartAsked}
#: A start finds these satisfied by the life they have, a restart only the first: it was not yet alive when it was asked
#: for.
_UNDER_WAY = {
    "start": frozenset({State.LAUNCHING, State.STARTING, State.RUNNING}),
    "restart": frozenset({State.LAUNCHING}),
}


class ClosingError(Exception):
    """The daemon shuts down: nothing can be started any more."""


class Action:
    """One command of `origin` on some units, followed from the picture before it."""

    def __init__(self, daemon: Daemon, verb: str, keys: tuple[UnitKey, ...], origin: Origin) -> None:
        self._daemon, self._verb, self._keys, self._origin = daemon, verb, keys, origin
        self._before: dict[UnitKey, Unit] = {}
        self._falling: set[UnitKey] = set()

    def take(self) -> None:
        """Give the command to the loop. TimeoutError when the loop does not turn, ClosingError during a shutdown."""

        def event() -> Event:
            view = self._daemon.view()
            if view.closing and self._verb != "stop":
                raise ClosingError(f"cannot {self._verb}: respawnd is shutting down")
            self._before = {key: view.units[key] for key in self._keys if key in view.units}
            return EVENTS[self._verb](self._keys, origin=self._origin)

        self._daemon.ask(event)

    def results(self, patience: float, hung_up: Callable[[float], bool]) -> Iterator[Line]:
        """The result of each unit as it comes; what has none after `patience` seconds is told last.

        `hung_up` sleeps for so many seconds and tells whether nobody listens any more.
        """
        begun = time.monotonic()
        pending = dict.fromkeys(self._keys)
        silent = True
        while True:
            view, now = self._daemon.view(), time.monotonic()
            for key in list(pending):
                verdict = self._verdict(view, key, now) or (now - begun >= patience and _overdue(view, key, patience))
                if verdict:
                    del pending[key]
                    yield line(view, key, *verdict)
            if not pending:
                return
            if silent and now - begun >= SILENCE:
                silent = False
                yield from (line(view, key, None, _why(view, key)) for key in list(pending)[:NAMED])
            if hung_up(len(pending) * _PAUSE):
                yield from (line(view, key, False, "respawnd ends before it is done") for key in pending)
                return
            self._await(view, min(_PULSE, max(0.0, begun + patience - now)))

    def _await(self, seen: FleetView, timeout: float) -> None:
        self._daemon.wait(lambda view: view.number != seen.number, timeout)

    def _verdict(self, view: FleetView, key: UnitKey, now: float) -> Verdict:
        unit, before = view.units.get(key), self._before.get(key)
        if unit is None:
            return self._verb == "stop", "it has left the configuration"
        if self._verb == "stop":
            return self._stopped(unit, before)
        if before is None or unit.life > before.life or before.state in _UNDER_WAY[self._verb]:
            return _up(unit, before, now)
        return _refused(unit, before, closing=view.closing)

    def _stopped(self, unit: Unit, before: Unit | None) -> Verdict:
        if unit.state is State.STOPPED:
            return True, _how_stopped(unit, before)
        if unit.want is Want.DOWN:
            self._falling.add(unit.key)
        return (False, "somebody started it again") if unit.want is Want.UP and unit.key in self._falling else None


def _how_stopped(unit: Unit, before: Unit | None) -> str:
    if before is None or before.state is State.STOPPED:
        return "stopped already"
    if unit.exit is not None and unit.exit is not before.exit and unit.exit.reason is Reason.KILLED:
        return f"stopped, by SIGKILL: it did not end within {unit.spec.stop.timeout:g} s"
    return "stopped"


def _up(unit: Unit, before: Unit | None, now: float) -> Verdict:
    """The verdict on a life that the command began, or found under way."""
    state = unit.state
    if state is State.RUNNING:
        return _running(unit, before, now)
    if state is State.EXITED and unit.exit is not None:
        return unit.exit.reason is Reason.OK, exit_words(unit.exit)
    if state in {State.BACKOFF, State.FATAL}:
        return False, f"{_failure(unit)}{_next(unit, now)}"
    return (False, "somebody stopped it") if state is State.STOPPED else None


def _running(unit: Unit, before: Unit | None, now: float) -> Verdict:
    if unit.spec.kind is Kind.ONESHOT or now - (unit.started_at or now) < SETTLED:
        return None
    same = before is not None and before.state is State.RUNNING and before.life == unit.life
    return True, f"running{' already' if same else ''}, pid {unit.pid}"


def _refused(unit: Unit, before: Unit, *, closing: bool) -> Verdict:
    """No new life yet: only where none will come this is a result."""
    if unit.state is State.STOPPED and (closing or unit is not before):
        return False, "respawnd is shutting down" if closing else "somebody stopped it"
    if unit.state is State.FATAL and unit.since != before.since:
        return False, "it was set aside; the daemon's log says why"
    return None


def _failure(unit: Unit) -> str:
    """Why the last attempt came to nothing."""
    if unit.error is not None:
        return unit.error.text
    return exit_words(unit.exit) if unit.exit is not None else unit.state.word


def _next(unit: Unit, now: float) -> str:
    budget = unit.spec.give_up.failures
    count = f"failure {len(unit.failures)}" + (f"/{budget}" if budget is not None else "")
    pause = f"{max(0.0, unit.deadline - now):.1f} s" if unit.deadline is not None else ""
    if unit.state is State.BACKOFF:
        return f"; next start in {pause} ({count})"
    return f"; given up ({count})" + (f", one try in {pause}" if pause else "")


def _overdue(view: FleetView, key: UnitKey, patience: float) -> tuple[bool, str]:
    return False, f"not done after {patience:g} s: {_why(view, key)}"


def _why(view: FleetView, key: UnitKey) -> str:
    """What a unit that has no result is about."""
    unit = view.units.get(key)
    if unit is None:
        return "it has left the configuration"
    if unit.waiting_for:
        return f"waiting for {', '.join(_condition(view, word) for word in unit.waiting_for)}"
    if unit.state is State.STOPPING and unit.main_gone:
        return "its main process is gone, what it left behind is not"
    if unit.state is State.KILLING:
        return f"it outlives SIGKILL, pid {unit.pid}"
    word = "still running" if unit.state is State.RUNNING else f"still {unit.state.word}"
    return f"{word}, pid {unit.pid}" if unit.pid is not None else word


def _condition(view: FleetView, words: str) -> str:
    """A condition such as "db started", with what the service of that name is instead."""
    name = words.partition(" ")[0]
    found = next((unit for key, unit in view.units.items() if key.service == name and not unit.up), None)
    return f"{words} ({name} is {found.state.word})" if found is not None else words


def line(view: FleetView, key: UnitKey, ok: bool | None, text: str) -> Line:
    """One line of a result."""
    unit = view.units.get(key)
    state = unit.state.word if unit is not None else None
    return {"unit": unit.name if unit is not None else str(key), "ok": ok, "state": state, "text": text}
