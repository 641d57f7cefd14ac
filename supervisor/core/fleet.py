"""The fleet: every unit, the order between them, and the limits they share.

Deterministic: its state changes only in `step` and `tick`, by (event, now). It asks `decide` for each unit and adds
what one unit cannot know: whether dependencies hold, whether the host's limits allow a launch, who is to be stopped
before whom, and when all is at rest. It is the one mutable value of the core, owned by the loop.

What a change of one unit means to others is taken up after the unit itself, in the same step, first in first out: never
from within another decision, so that neither the order nor the depth of a configuration can confuse it.
"""

from __future__ import annotations

from collections import deque
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from supervisor.core import events as ev
from supervisor.core.decide import decide
from supervisor.core.effects import Effect, Finish, Forget, Notice, ShutdownAsked, Transition, Turn, Wanted
from supervisor.core.graph import Graph, holds
from supervisor.core.model import OnDependencyFailure, needs_restart
from supervisor.core.state import LIFELESS, State, Trigger, Unit, Want
from supervisor.core.steps import OPEN, Gate
from supervisor.core.turnstile import Limits, Turnstile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from supervisor.core.model import UnitKey, UnitSpec

#: Seconds that SIGKILL has to work, once all is being killed, before the daemon leaves what will not die.
LAST_WAIT = 5.0
#: A unit in these has a process that a stop signal can end.
_UP = frozenset({State.STARTING, State.RUNNING})
#: A unit in these has come to nothing under its old specification; under a new program it is tried again.
_BETWEEN = frozenset({State.BACKOFF, State.FATAL, State.EXITED})
#: Policies of those that do not bear the loss of a dependency.
_NOT_BORNE = frozenset({OnDependencyFailure.RESTART, OnDependencyFailure.STOP})
_HELD = Gate(dependencies=("stop",))
#: What the fleet itself tells a unit.
_INNER = (ev.DeadlineReached, ev.DependencyLost, ev.DependencyBack, ev.ConfigChanged, ev.Quarantined)


class Fleet:
    """All units. `strict` raises what `decide` raises (tests); otherwise the unit is quarantined and counted."""

    def __init__(self, specs: Mapping[str, UnitSpec], limits: Limits, now: float, *, strict: bool = False) -> None:
        self.units: dict[UnitKey, Unit] = {}
        self.limits = limits
        self.closing = False
        self.exit_code = 0
        self.ghosts = 0
        self.quarantined = 0
        self.finished = False
        self._strict = strict
        self._turnstile = Turnstile(limits, now)
        self._living = 0
        self._lives = 0
        self._wave: dict[UnitKey, ev.Origin | None] = {}
        self._leaving: dict[UnitKey, int] = {}
        self._generation = 0
        self._unanswered: set[UnitKey] | None = None
        self._due: list[tuple[float, UnitKey]] = []
        self._changes: deque[tuple[Unit, Unit]] = deque()
        self._close_by: float | None = None
        self._hurried = False
        self._turn = Turn()
        self.specs = specs
        self._graph = Graph(specs)
        for spec in specs.values():
            self.units.update((key, Unit(key, spec, since=now)) for key in spec.keys())  # noqa: SIM118 - not a dict

    # --- what the loop asks -----------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The next moment at which `tick` has something to do, or None."""
        while self._due and self._deadline_of(self._due[0][1]) != self._due[0][0]:
            heappop(self._due)
        earliest = self._due[0][0] if self._due else None
        for moment in (self._close_by, self._turnstile.deadline):
            if moment is not None and (earliest is None or moment < earliest):
                earliest = moment
        return earliest

    @property
    def booted(self) -> bool:
        """Whether the first launch of everything that needed nothing was answered."""
        return self._unanswered is not None and not self._unanswered

    def step(self, event: ev.Event, now: float) -> Turn:
        """Take one event at `now`; what is to be done, and what changed, in order."""
        turn = self._turn = Turn()
        command = self._commands.get(type(event))
        if command is not None:
            command(self, event, now)
        else:
            self._unit_event(event, now)
        self._settle(now)
        return turn

    def tick(self, now: float) -> Turn:
        """Take every deadline that is due at `now`."""
        turn = self._turn = Turn()
        while self._due and self._due[0][0] <= now:
            due, key = heappop(self._due)
            if self._deadline_of(key) == due:
                self._apply(key, ev.DeadlineReached(key), now)
        if self._close_by is not None and now >= self._close_by:
            self._overtime(now)
        self._settle(now)
        return turn

    def boot(self, now: float) -> Turn:
        """Start what starts by itself, in order of priority and dependency."""
        keys = [unit.key for unit in self.units.values() if unit.spec.autostart]
        turn = self.step(ev.Start(tuple(self._graph.ordered(keys, self.units))), now)
        going = [unit for unit in self.units.values() if unit.state in (State.LAUNCHING, State.WAITING)]
        self._unanswered = {unit.key for unit in going if not self._missing(unit)}
        return turn

    # --- single units -----------------------------------------------------------------------------------------------

    def _unit_event(self, event: Any, now: float) -> None:
        unit = self.units.get(event.key)
        life = getattr(event, "life", None)
        if unit is None or (life is not None and life != unit.life and not isinstance(event, ev.Adopted)):
            self.ghosts += 1
            return
        if self._unanswered and isinstance(event, (ev.Launched, ev.LaunchFailed)):
            self._unanswered.discard(event.key)
        self._apply(event.key, event, now)

    def _apply(self, key: UnitKey, event: ev.Event, now: float) -> None:
        """One unit, one event."""
        was = self.units[key]
        if isinstance(event, _INNER):
            self._turn.inner.append(event)
        try:
            unit, effects = decide(was, event, now, self._gate(was, now))
        except Exception as error:
            # The fault of one unit must not end the supervision of the others.
            if self._strict or isinstance(event, ev.Quarantined):
                raise
            unit, effects = self._quarantine(was, event, error, now)
        self.units[key] = unit
        if unit.deadline is not None and unit.deadline != was.deadline:
            heappush(self._due, (unit.deadline, key))
        self._turnstile.note(was, unit, now)
        if unit.state is not was.state:
            self._changed(was, unit, event, now)
        elif unit.want is not was.want:
            self._turn.transitions.append(Wanted(was, unit, now, event))
        for effect in effects:
            if isinstance(effect, ShutdownAsked):
                self._turn.effects.append(Notice(unit, "error", effect.text))
                self._close(effect.code, now)
            else:
                self._turn.effects.append(effect)

    def _quarantine(self, was: Unit, event: object, error: Exception, now: float) -> tuple[Unit, tuple[Effect, ...]]:
        """Set the unit aside; what the host told of its life is still true of it."""
        self.quarantined += 1
        text = f"{type(error).__name__}: {error}"
        quarantined = ev.Quarantined(was.key, text)
        self._turn.inner.append(quarantined)
        unit, effects = decide(was, quarantined, now, OPEN)
        if isinstance(event, (ev.Launched, ev.LaunchFailed, ev.Exited, ev.Gone)):
            unit, _ = decide(unit, event, now, OPEN)
        return unit, effects

    def _changed(self, was: Unit, unit: Unit, event: ev.Event, now: float) -> None:
        self._turn.transitions.append(Transition(was, unit, now, event))
        self._living += (unit.state not in LIFELESS) - (was.state not in LIFELESS)
        if self._unanswered and unit.state not in (State.LAUNCHING, State.WAITING):
            self._unanswered.discard(unit.key)
        self._changes.append((was, unit))

    def _deadline_of(self, key: UnitKey) -> float | None:
        unit = self.units.get(key)
        return unit.deadline if unit is not None else None

    # --- what changes mean to others --------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Take up what follows from the changes, until nothing does; end when all is at rest."""
        self._spread(now)
        while True:
            for key in self._turnstile.heads():
                self._apply(key, ev.DependencyBack(key), now)
            if not self._changes:
                break
            self._spread(now)
        if self.closing and not self.finished and self._living == 0:
            self._finish(self.exit_code)

    def _spread(self, now: float) -> None:
        while self._changes:
            was, unit = self._changes.popleft()
            # Itself first: one that has to go down again at once must not start others before.
            if was.state is State.LAUNCHING and unit.spec.on_dependency_failure in _NOT_BORNE:
                self._catch_up(unit.key, now)
            if self._hurried:
                self._kill(unit.key, now)
            if unit.key in self._wave:
                self._release((unit.key,), now)
            for key in self._graph.above(unit.key.service):
                self._tell(key, was, unit, now)

    def _tell(self, key: UnitKey, was: Unit, unit: Unit, now: float) -> None:
        """Let one dependent know of a change of `unit`. A replica that leaves the configuration is no loss."""
        other = self.units.get(key)
        if other is None:
            return
        if other.state is State.WAITING:
            self._apply(key, ev.DependencyBack(key), now)
        elif other.state in _UP and not self.closing and unit.key not in self._leaving:
            condition = other.spec.depends_on.get(unit.key.service)
            if condition is not None and holds(condition, was) and not holds(condition, unit):
                self._apply(key, ev.DependencyLost(key, unit.key.service), now)

    def _catch_up(self, key: UnitKey, now: float) -> None:
        """A launch was answered: tell the unit what it lost meanwhile, when it could not be stopped."""
        unit = self.units.get(key)
        if unit is not None and unit.state in _UP and key not in self._wave:
            for missing in self._missing(unit)[:1]:
                self._apply(key, ev.DependencyLost(key, missing.partition(" ")[0]), now)

    # --- the gate ---------------------------------------------------------------------------------------------------

    def _gate(self, unit: Unit, now: float) -> Gate:
        """What is in the way of a launch of `unit` now."""
        if unit.key in self._wave:
            return _HELD
        missing = self._missing(unit) if unit.spec.depends_on else ()
        return Gate(missing) if missing else self._turnstile.gate(unit.key, now)

    def _missing(self, unit: Unit) -> tuple[str, ...]:
        """Conditions of `unit` that do not hold, in words."""
        spec = unit.spec
        if unit.started_wall is not None and spec.on_dependency_failure is OnDependencyFailure.IGNORE:
            return ()
        return tuple(
            f"{name} {condition.value}"
            for name, condition in spec.depends_on.items()
            if not all(holds(condition, self.units[key]) for key in self._graph.keys(name))
        )

    # --- commands ---------------------------------------------------------------------------------------------------

    def _bring_up(self, event: ev.Start | ev.RestartAsked, now: float) -> None:
        """Tell each what was asked of it, and start what it needs first; none of them is to be stopped any more."""
        if self.closing:
            return
        asked = dict.fromkeys(key for key in event.keys if key not in self._leaving)
        for key in self._graph.with_dependencies(asked, self.units, self._down):
            self._wave.pop(key, None)
            self._apply(key, event if key in asked else ev.Start((key,), event.origin), now)
            if self.units[key].state is State.WAITING:
                self._apply(key, ev.DependencyBack(key), now)  # it may have waited only to be stopped
        self._release(tuple(self._wave), now)

    def _down(self, unit: Unit) -> bool:
        return unit.want is Want.DOWN or unit.key in self._wave

    def _stop(self, event: ev.Stop, now: float) -> None:
        """Dependents among them first; the others wait in the wave until those are down."""
        keys = self._graph.ordered((key for key in event.keys if key in self.units), self.units, backwards=True)
        self._wave.update(dict.fromkeys(keys, event.origin))
        self._release(keys, now)

    def _release(self, keys: Iterable[UnitKey], now: float) -> None:
        """Stop those of the wave that nothing above them holds; what is down leaves the wave and frees what it needed.

        What was down before is held as well: through a job that has ended, its dependents still need what it needed.
        """
        queue = deque(keys)
        while queue:
            key = queue.popleft()
            if key not in self._wave or self._held(key):
                continue
            self._apply(key, ev.Stop((key,), self._wave[key]), now)
            unit = self.units[key]
            if unit.state in LIFELESS:
                del self._wave[key]
                if key in self._leaving:
                    self._forget(unit)
                for need in unit.spec.depends_on:
                    queue.extend(self._graph.members(need))

    def _held(self, key: UnitKey) -> bool:
        """Whether a dependent is to be down first.

        What is leaving is held only by what left with it or before: a newer configuration has its own dependencies,
        which together with the old ones may form a circle.
        """
        left = self._leaving.get(key, self._generation)
        return any(
            other in self._wave
            and key.service in self.units[other].spec.depends_on
            and self._leaving.get(other, self._generation) <= left
            for other in self._graph.above(key.service)
        )

    def _forget(self, unit: Unit) -> None:
        """It left the configuration and is at rest. Its numbers of lives are not used again: late news stays late."""
        self._lives = max(self._lives, unit.life)
        del self._leaving[unit.key]
        del self.units[unit.key]
        self._turn.effects.append(Forget(unit.key))

    def _reconfigure(self, event: ev.Reconfigured, now: float) -> None:
        """Take a whole new configuration: what left it is stopped, what is new is started, what changed is told."""
        if self.closing:
            return
        wanted = {key: spec for spec in event.specs.values() for key in spec.keys()}  # noqa: SIM118 - not a dict
        gone = [key for key in self.units if key not in wanted]
        fresh = [key for key in wanted if key not in self.units or key in self._leaving]
        self._leaving = {key: self._leaving.get(key, self._generation) for key in gone}
        self._generation += 1
        again = [key for key, spec in wanted.items() if self._take_spec(key, spec, now)]
        self.specs = event.specs
        self._graph = Graph(event.specs, [self.units[key] for key in gone])
        self._stop(ev.Stop(tuple(gone)), now)
        self._bring_up(ev.Start(tuple(key for key in fresh if wanted[key].autostart)), now)
        for key in self._graph.ordered(again, self.units):
            self._apply(key, ev.RestartAsked((key,), Trigger.CONFIG), now)
        for unit in list(self.units.values()):
            if unit.state is State.WAITING:
                self._apply(unit.key, ev.DependencyBack(unit.key), now)

    def _take_spec(self, key: UnitKey, spec: UnitSpec, now: float) -> bool:
        """Give a unit its specification; whether it is to be started again under it, having come to nothing before."""
        unit = self.units.get(key)
        if unit is None:
            self.units[key] = Unit(key, spec, since=now, life=self._lives)
            return False
        if unit.spec == spec:
            return False
        replace = needs_restart(unit.spec, spec)
        self._apply(key, ev.ConfigChanged(key, spec, replace), now)
        return replace and unit.want is Want.UP and unit.state in _BETWEEN

    def _shutdown(self, event: ev.Shutdown, now: float) -> None:
        self._close(event.code, now, event.origin)
        if event.hurry and not self._hurried and not self.finished:
            self._hurry(now)

    def _close(self, code: int, now: float, origin: ev.Origin | None = None) -> None:
        if self.closing:
            return
        self.closing, self.exit_code = True, code
        self._close_by = now + self.limits.shutdown_timeout
        self._stop(ev.Stop(tuple(self.units), origin), now)

    def _hurry(self, now: float) -> None:
        """No more patience: everything that lives is killed now."""
        self._hurried, self._close_by = True, now + LAST_WAIT
        for key in self.units:
            self._kill(key, now)

    def _kill(self, key: UnitKey, now: float) -> None:
        """Kill one, without regard to order; a launch in flight is killed when it is answered."""
        unit = self.units.get(key)
        if unit is not None and (unit.state in _UP or unit.aside is not None):
            self._apply(key, ev.Stop((key,)), now)
        if key in self.units and self.units[key].state is State.STOPPING:
            self._apply(key, ev.DeadlineReached(key), now)

    def _overtime(self, now: float) -> None:
        left = [unit for unit in self.units.values() if unit.state not in LIFELESS]
        if self._hurried:
            for unit in left:
                self._turn.effects.append(Notice(unit, "error", "still alive; left behind"))
            self._finish(1 if left else self.exit_code)
            return
        for unit in left:
            self._turn.effects.append(Notice(unit, "warning", "not down within shutdown_timeout; killing it"))
        self._hurry(now)

    def _finish(self, code: int) -> None:
        self.finished, self._close_by = True, None
        self._turn.effects.append(Finish(code))

    _commands: Mapping[type, Callable[[Fleet, Any, float], None]] = {
        ev.Start: _bring_up,
        ev.Stop: _stop,
        ev.RestartAsked: _bring_up,
        ev.Reconfigured: _reconfigure,
        ev.Shutdown: _shutdown,
    }


__all__ = ["Fleet", "Limits", "Turn"]
