"""The commands that change something: asked of the loop, then followed until each unit has come to a result.

A command answers at once with what was accepted, or, when the caller waits, with one line of JSON for each unit as it comes
to its result: `{"unit", "ok", "state", "text"}`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from supervisor.control.daemon import Daemon
from supervisor.core.events import Event, RestartAsked, Start, Stop
from supervisor.core.model import Kind, UnitKey
from supervisor.core.state import State, Unit
from supervisor.core.view import FleetView

#: (whether it went well, what to say), or None while there is no result.
Verdict = tuple[bool, str] | None
_EVENTS: dict[str, Callable[[tuple[UnitKey, ...]], Event]] = {"start": Start, "stop": Stop, "restart": RestartAsked}


class Action:
    """One command on some units, followed from the picture before it."""

    def __init__(self, daemon: Daemon, verb: str, keys: tuple[UnitKey, ...]) -> None:
        self._daemon, self._verb, self._keys = daemon, verb, keys
        self._before: dict[UnitKey, Unit] = {}

    def take(self) -> None:
        """Give the command to the loop. Raises TimeoutError when the loop does not turn."""

        def event() -> Event:
            self._before = {key: unit for key in self._keys if (unit := self._daemon.view().units.get(key)) is not None}
            return _EVENTS[self._verb](self._keys)

        self._daemon.ask(event)

    def results(self, timeout: float) -> Iterator[dict[str, Any]]:
        """The result of each unit as it comes; what has none after `timeout` seconds is told last."""
        end = time.monotonic() + timeout
        pending = dict.fromkeys(self._keys)
        while pending:
            view = self._daemon.wait(lambda seen: any(self._verdict(seen, key) for key in pending), end - time.monotonic())
            shown = view or self._daemon.view()
            for key in list(pending):
                verdict = self._verdict(shown, key)
                if verdict is not None or view is None:
                    del pending[key]
                    yield _line(shown, key, verdict or (False, f"not done after {timeout:.0f} s{_why(shown, key)}"))

    def _verdict(self, view: FleetView, key: UnitKey) -> Verdict:
        unit = view.units.get(key)
        if unit is None:
            return self._verb == "stop", "left the configuration"
        before = self._before.get(key)
        if self._verb == "stop":
            return _stopped(unit, before)
        fresh = before is None or unit.life != before.life or (self._verb == "start" and unit.state is before.state)
        return _started(unit) if fresh else _not_tried(unit, before)


def _stopped(unit: Unit, before: Unit | None) -> Verdict:
    if unit.state is State.STOPPED:
        return True, "stopped"
    again = before is not None and unit.life > before.life
    return (False, "started again by someone") if again else None


def _started(unit: Unit) -> Verdict:
    if unit.state is State.RUNNING:
        return (True, f"running, pid {unit.pid}") if unit.spec.kind is Kind.SERVICE else None
    if unit.state is State.EXITED and unit.exit is not None:
        return unit.completed_ok or unit.spec.kind is Kind.SERVICE, f"exited ({unit.exit.reason.value})"
    if unit.state in (State.BACKOFF, State.FATAL):
        return False, unit.error.text if unit.error is not None else _died(unit)
    if unit.state is State.STOPPED:
        return False, "stopped by someone"
    return None


def _not_tried(unit: Unit, before: Unit | None) -> Verdict:
    """No new life yet: only a state in which none will come is a result."""
    if unit.state is State.STOPPED and unit is not before:
        return False, "stopped by someone"
    return None


def _died(unit: Unit) -> str:
    how = unit.exit
    if how is None:
        return unit.state.word
    end = f"signal {how.signal}" if how.signal is not None else f"code {how.code}"
    return f"died at once: {end}; {unit.state.word}"


def _why(view: FleetView, key: UnitKey) -> str:
    unit = view.units.get(key)
    if unit is None:
        return ""
    return f": waiting for {', '.join(unit.waiting_for)}" if unit.waiting_for else f": still {unit.state.word}"


def _line(view: FleetView, key: UnitKey, verdict: tuple[bool, str]) -> dict[str, Any]:
    unit = view.units.get(key)
    name = unit.name if unit is not None else key.service
    state = unit.state.word if unit is not None else None
    return {"unit": name, "ok": verdict[0], "state": state, "text": verdict[1]}
