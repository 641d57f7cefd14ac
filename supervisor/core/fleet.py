"""The fleet: every unit, the order between them, and the limits they share.

Deterministic: its state changes only in `step`, by (event, now). It asks `decide` for each unit and adds what one unit
cannot know: whether dependencies hold, whether the host's respawn rate and start parallelism allow a launch, who is to be
stopped before whom, and when all is at rest. It is the one mutable value of the core, owned by the loop.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush

from attrs import field, frozen

from supervisor.core import events as ev
from supervisor.core.backoff import TokenBucket
from supervisor.core.decide import COLUMNS, Impossible, decide
from supervisor.core.effects import Effect, Finish, Forget, Notice, ShutdownAsked, Transition
from supervisor.core.graph import Graph, holds
from supervisor.core.model import OnDependencyFailure, UnitKey, UnitSpec, needs_restart
from supervisor.core.state import LIFELESS, State, Trigger, Unit, Want
from supervisor.core.steps import OPEN, Gate

#: Seconds that SIGKILL has to work, once all is being killed, before the daemon leaves what will not die.
LAST_WAIT = 5.0
#: Launches that an operator, or the configuration, asked for do not draw on the respawn rate.
_FREE = frozenset({None, Trigger.MANUAL, Trigger.CONFIG, Trigger.SCHEDULE})


@frozen
class Limits:
    """The host's limits: respawns a second (None for no limit) with the burst, launches at once (0 for no limit), and
    the seconds a shutdown may take."""

    rate: float | None = 100.0
    burst: float = 500.0
    parallelism: int = 0
    shutdown_timeout: float = 30.0


@frozen
class Turn:
    """What came of one event."""

    effects: list[Effect] = field(factory=list)
    transitions: list[Transition] = field(factory=list)


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
        self._bucket = TokenBucket(limits.rate, limits.burst, limits.burst, now) if limits.rate else None
        self._queue: deque[UnitKey] = deque()
        self._launching = 0
        self._living = 0
        self._wave: set[UnitKey] = set()
        self._leaving: set[UnitKey] = set()
        self._unanswered: set[UnitKey] | None = None
        self._due: list[tuple[float, UnitKey]] = []
        self._close_by: float | None = None
        self._hurried = False
        self._turn = Turn()
        self._graph = Graph(specs)
        for spec in specs.values():
            for key in spec.keys():
                self.units[key] = Unit(key, spec, since=now)

    # --- what the loop asks -----------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """The next moment at which `step` must be given a Tick, or None."""
        while self._due and self.units_deadline(self._due[0][1]) != self._due[0][0]:
            heappop(self._due)
        moments = [self._due[0][0]] if self._due else []
        if self._close_by is not None:
            moments.append(self._close_by)
        if self._queue and self._bucket is not None and not self._bucket_ready(self._bucket.at):
            moments.append(self._bucket.next_at())
        return min(moments, default=None)

    def units_deadline(self, key: UnitKey) -> float | None:
        """The present deadline of one unit, None also for a unit that is no more."""
        unit = self.units.get(key)
        return unit.deadline if unit is not None else None

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
            if self.units_deadline(key) == due:
                self._apply(key, ev.DeadlineReached(key), now)
        if self._close_by is not None and now >= self._close_by:
            self._overtime(now)
        self._settle(now)
        return turn

    def boot(self, now: float) -> Turn:
        """Start what starts by itself, in order of priority and dependency."""
        keys = [unit.key for unit in self.units.values() if unit.spec.autostart]
        turn = self.step(ev.Start(tuple(self._graph.ordered(keys, self.units))), now)
        self._unanswered = {key for key in keys if self.units[key].state is State.LAUNCHING}
        return turn

    # --- single units -----------------------------------------------------------------------------------------------

    def _unit_event(self, event: ev.UnitEvent, now: float) -> None:
        unit = self.units.get(event.key)
        life = getattr(event, "life", None)
        if unit is None or (life is not None and life != unit.life and not isinstance(event, ev.Adopted)):
            self.ghosts += 1
            return
        if self._unanswered and isinstance(event, (ev.Launched, ev.LaunchFailed)):
            self._unanswered.discard(event.key)
        self._apply(event.key, event, now)

    def _apply(self, key: UnitKey, event: object, now: float) -> None:
        """One unit, one event; then what its change means to others."""
        was = self.units[key]
        try:
            unit, effects = decide(was, event, now, self._gate(was, now))
        except Exception as error:  # the fault of one unit must not end the supervision of the others
            if self._strict or isinstance(event, ev.Quarantined):
                raise
            self.quarantined += 1
            unit, effects = decide(was, ev.Quarantined(key, f"{type(error).__name__}: {error}"), now, OPEN)
        self.units[key] = unit
        if unit.deadline is not None and unit.deadline != was.deadline:
            heappush(self._due, (unit.deadline, key))
        for effect in effects:
            if isinstance(effect, ShutdownAsked):
                self._turn.effects.append(Notice(unit, "error", effect.text))
                self._close(effect.code, now)
            else:
                self._turn.effects.append(effect)
        if unit.state is not was.state:
            self._changed(was, unit, type(event).__name__, now)

    def _changed(self, was: Unit, unit: Unit, event: str, now: float) -> None:
        self._turn.transitions.append(Transition(was, unit, now, event))
        if unit.state is State.LAUNCHING:
            self._launching += 1
            if self._bucket is not None and unit.trigger not in _FREE:
                self._bucket = self._bucket.filled(now).take()
        if was.state is State.LAUNCHING:
            self._launching -= 1
        self._living += (unit.state not in LIFELESS) - (was.state not in LIFELESS)
        if unit.state is State.WAITING and self._gate(unit, now).queue:
            self._queue.append(unit.key)
        for dependent in self._graph.dependents(unit.key.service):
            self._tell(dependent, was, unit, now)
        if unit.state in LIFELESS:
            self._lifeless(unit, now)

    def _tell(self, dependent: str, was: Unit, unit: Unit, now: float) -> None:
        """Let one dependent service know of a change of `unit`."""
        for key in self._graph.keys(dependent):
            other = self.units.get(key)
            if other is None:
                continue
            if other.state is State.WAITING:
                self._apply(key, ev.DependencyBack(key), now)
            elif was.state is State.RUNNING and other.state is State.RUNNING and not self.closing:
                condition = other.spec.depends_on.get(unit.key.service)
                if condition is not None and not holds(condition, unit):
                    self._apply(key, ev.DependencyLost(key, unit.key.service), now)

    # --- the gate ---------------------------------------------------------------------------------------------------

    def _gate(self, unit: Unit, now: float) -> Gate:
        """What is in the way of a launch of `unit` now."""
        if unit.key in self._wave:
            return Gate(dependencies=("stop",))
        missing = self._missing(unit) if unit.spec.depends_on else ()
        if missing:
            return Gate(dependencies=missing)
        if self.limits.parallelism and self._launching >= self.limits.parallelism:
            return Gate(queue=("parallelism",))
        if self._bucket is not None and unit.trigger not in _FREE and not self._bucket_ready(now):
            return Gate(queue=("rate",))
        return OPEN

    def _missing(self, unit: Unit) -> tuple[str, ...]:
        """Conditions of `unit` that do not hold, in words."""
        spec = unit.spec
        if unit.life and spec.on_dependency_failure is OnDependencyFailure.IGNORE:
            return ()
        return tuple(
            f"{name} {condition.value}"
            for name, condition in spec.depends_on.items()
            if not all(holds(condition, other) for key in self._graph.keys(name) if (other := self.units.get(key)))
        )

    def _bucket_ready(self, now: float) -> bool:
        return self._bucket is None or self._bucket.filled(now).tokens >= 1 - 1e-9

    def _settle(self, now: float) -> None:
        """Let those go that waited for the host's limits, first come first served; end when all is at rest."""
        while self._queue:
            unit = self.units.get(self._queue[0])
            if unit is None or unit.state is not State.WAITING:
                self._queue.popleft()
                continue
            if self._gate(unit, now).queue:
                break
            self._queue.popleft()
            self._apply(unit.key, ev.DependencyBack(unit.key), now)
        if self.closing and not self.finished and self._living == 0:
            self._finish(self.exit_code)

    # --- commands ---------------------------------------------------------------------------------------------------

    def _start(self, event: ev.Start, now: float) -> None:
        for key in self._graph.with_dependencies(event.keys, self.units):
            asked = key in event.keys
            if key in self.units and not self.closing and (asked or self.units[key].want is Want.DOWN):
                self._wave.discard(key)
                self._apply(key, event, now)

    def _stop(self, event: ev.Stop, now: float) -> None:
        """Dependents among them first; the others wait in the wave until those are lifeless."""
        keys = [key for key in event.keys if key in self.units]
        self._wave.update(keys)
        for key in self._graph.ordered(keys, self.units, backwards=True):
            self._stop_if_free(key, now)

    def _stop_if_free(self, key: UnitKey, now: float) -> None:
        if key not in self._wave or self._held(key):
            return
        self._apply(key, ev.Stop((key,)), now)
        if self.units[key].state in LIFELESS:
            self._wave.discard(key)

    def _held(self, key: UnitKey) -> bool:
        """Whether a dependent that is to be stopped too still lives."""
        for name in self._graph.dependents(key.service):
            for other in self._graph.keys(name):
                unit = self.units.get(other)
                if unit is not None and other in self._wave and unit.state not in LIFELESS:
                    return True
        return False

    def _lifeless(self, unit: Unit, now: float) -> None:
        """Nothing of it lives: what waited for that may be stopped, and a unit that left the configuration goes."""
        key = unit.key
        if key in self._wave:
            if unit.state is not State.STOPPED:
                self._apply(key, ev.Stop((key,)), now)
            self._wave.discard(key)
            for name in unit.spec.depends_on:
                for other in self._graph.keys(name):
                    self._stop_if_free(other, now)
        if key in self._leaving and self.units[key].state is State.STOPPED:
            self._leaving.discard(key)
            del self.units[key]
            self._turn.effects.append(Forget(key))

    def _restart(self, event: ev.RestartAsked, now: float) -> None:
        for key in self._graph.with_dependencies(event.keys, self.units):
            if key in event.keys and key in self.units and not self.closing:
                self._apply(key, event, now)
            elif key in self.units and self.units[key].want is Want.DOWN and not self.closing:
                self._apply(key, ev.Start((key,)), now)

    def _reconfigure(self, event: ev.Reconfigured, now: float) -> None:
        """Take a whole new configuration: what left it is stopped, what is new is started, what changed is told."""
        wanted = {key: spec for spec in event.specs.values() for key in spec.keys()}
        gone = [key for key in self.units if key not in wanted]
        self._leaving.update(gone)
        self._stop(ev.Stop(tuple(gone)), now)
        for key in [key for key in gone if key in self.units and self.units[key].state is State.STOPPED]:
            self._lifeless(self.units[key], now)
        self._graph = Graph(event.specs, {unit.key.service: unit.spec for unit in self.units.values()})
        fresh = [key for key in wanted if key not in self.units or key in self._leaving]
        for key, spec in wanted.items():
            self._take_spec(key, spec, now)
        self._start(ev.Start(tuple(key for key in fresh if wanted[key].autostart)), now)
        for unit in list(self.units.values()):
            if unit.state is State.WAITING:
                self._apply(unit.key, ev.DependencyBack(unit.key), now)

    def _take_spec(self, key: UnitKey, spec: UnitSpec, now: float) -> None:
        self._leaving.discard(key)
        unit = self.units.get(key)
        if unit is None:
            self.units[key] = Unit(key, spec, since=now)
        elif unit.spec != spec:
            self._apply(key, ev.ConfigChanged(key, spec, needs_restart(unit.spec, spec)), now)

    def _shutdown(self, event: ev.Shutdown, now: float) -> None:
        if not self.closing:
            self._close(event.code, now)
        if event.hurry:
            self._hurry(now)

    def _close(self, code: int, now: float) -> None:
        if self.closing:
            return
        self.closing, self.exit_code = True, code
        self._close_by = now + self.limits.shutdown_timeout
        self._stop(ev.Stop(tuple(self.units)), now)

    def _hurry(self, now: float) -> None:
        """No more patience: everything that lives is killed now."""
        self._hurried, self._close_by = True, now + LAST_WAIT
        for key in list(self.units):
            if self.units[key].state in (State.STARTING, State.RUNNING):
                self._apply(key, ev.Stop((key,)), now)
            if self.units[key].state is State.STOPPING:
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

    _commands: Mapping[type, Callable[[Fleet, ev.Event, float], None]] = {
        ev.Start: _start, ev.Stop: _stop, ev.RestartAsked: _restart, ev.Reconfigured: _reconfigure,
        ev.Shutdown: _shutdown,
    }  # type: ignore[dict-item, assignment]  # fmt: skip  # each takes its own event


def select(units: Iterable[UnitKey], service: str) -> tuple[UnitKey, ...]:
    """The keys of one service among `units`."""
    return tuple(key for key in units if key.service == service)


__all__ = ["Fleet", "Impossible", "Limits", "Turn", "select"]
