"""The laws of the fleet, asked after every step of a `World`.

They keep their own books and read only what the fleet shows, so that fleet and law cannot be wrong together; where they
look at a private field it is to ask whether somebody still remembers what must not be forgotten.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.fleet import LAST_WAIT
from supervisor.core.graph import holds
from supervisor.core.model import OnDependencyFailure, UnitKey
from supervisor.core.state import LIFELESS, State, Trigger, Unit, Want

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.core.fleet import Fleet, Turn
    from tests.core.world import World

TIMED = frozenset(
    {State.LAUNCHING, State.STARTING, State.STOPPING, State.KILLING, State.BACKOFF, State.SCHEDULED},
)
UNTIMED = frozenset({State.STOPPED, State.EXITED, State.WAITING})
#: Nobody pays for these from the respawn rate.
ASKED_FOR = (None, Trigger.MANUAL, Trigger.CONFIG, Trigger.SCHEDULE)
COMMANDS = (ev.Start, ev.RestartAsked, ev.Reconfigured)


@define
class Books:
    """What has happened, written down beside the fleet."""

    states: dict[UnitKey, State] = field(factory=dict)
    wants: dict[UnitKey, Want] = field(factory=dict)
    tokens: float = 0.0
    filled_at: float = 0.0
    respawns: dict[UnitKey, list[float]] = field(factory=dict)
    numbers: dict[UnitKey, int] = field(factory=dict)
    spared: dict[UnitKey, tuple[float, ...]] = field(factory=dict)
    faults: int = 0
    closed_at: float | None = None
    excused: set[tuple[UnitKey, int]] = field(factory=set)

    def opened(self, fleet: Fleet, now: float) -> None:
        """Begin with a fleet to which nothing has happened."""
        self.states = {key: unit.state for key, unit in fleet.units.items()}
        self.tokens, self.filled_at = max(1.0, fleet.limits.burst), now

    def before(self, fleet: Fleet, event: ev.Event, now: float) -> None:
        """Note what an event may not change."""
        if isinstance(event, COMMANDS):
            self.respawns.clear()
        self.spared.clear()
        unit = fleet.units.get(getattr(event, "key", None))  # type: ignore[arg-type]  # commands have no key
        if unit is not None and isinstance(event, (ev.Exited, ev.Gone)) and self._was_asked(unit):
            self.spared[unit.key] = unit.failures

    @staticmethod
    def _was_asked(unit: Unit) -> bool:
        going = unit.state in (State.STOPPING, State.KILLING)
        return going and (unit.want is Want.DOWN or unit.trigger in (Trigger.MANUAL, Trigger.CONFIG))

    def after(self, fleet: Fleet, turn: Turn, event: ev.Event | None, now: float) -> None:
        """Write down a turn, and hold what can be held by comparing it with the books."""
        self._transitions(fleet, turn)
        for effect in turn.effects:
            if isinstance(effect, fx.Launch):
                self._launch(fleet, effect, now)
        for key, failures in self.spared.items():
            if key in fleet.units:
                assert failures == fleet.units[key].failures, "what was asked for spends no budget"
        if isinstance(event, (ev.Start, ev.RestartAsked)) and not fleet.closing:
            for key in set(event.keys) & set(fleet.units) - set(fleet._leaving):
                self._brought_up(fleet, event, key)
        if isinstance(event, ev.Reconfigured):
            self.excused = {(key, unit.life) for key, unit in fleet.units.items() if any(missing(fleet, unit))}
        if fleet.closing and self.closed_at is None:
            self.closed_at = now

    @staticmethod
    def _brought_up(fleet: Fleet, event: ev.Start | ev.RestartAsked, key: UnitKey) -> None:
        """What is started, or restarted, and what it needs, is not to be stopped any more."""
        assert isinstance(event, ev.Start) or fleet.units[key].failures == (), "a restart clears the record"
        needs = fleet.units[key].spec.depends_on
        assert not [one for one in fleet._wave if one == key or (one.service in needs and one not in fleet._leaving)]

    def _transitions(self, fleet: Fleet, turn: Turn) -> None:
        for change in turn.transitions:
            key = change.unit.key
            assert self.states.get(key, State.STOPPED) is change.was.state, "transitions are told in order, each once"
            assert self.wants.get(key, Want.DOWN) is change.was.want, "wants are told in order, each once"
            self.wants[key] = change.unit.want
            if isinstance(change, fx.Wanted):
                assert change.was.state is change.unit.state, "a change of state is a transition"
                assert change.was.want is not change.unit.want, "what is told has changed"
                continue
            assert change.was.state is not change.unit.state, "a transition is a change of state"
            assert change.event != "DependencyLost" or any(missing(fleet, change.unit)), "nothing is lost that is there"
            self._in_order(fleet, change)
            self.states[key] = change.unit.state
        for key, unit in fleet.units.items():
            assert self.states.setdefault(key, State.STOPPED) is unit.state, "every change of state is told"
            assert self.wants.setdefault(key, Want.DOWN) is unit.want, "every change of want is told"
        self.states = {key: state for key, state in self.states.items() if key in fleet.units}
        self.wants = {key: want for key, want in self.wants.items() if key in fleet.units}

    @staticmethod
    def _in_order(fleet: Fleet, change: fx.Transition) -> None:
        """In a shutdown a unit is told to stop only when nothing that needs it, however indirectly, is there."""
        if change.event != "Stop" or change.unit.state is not State.STOPPING or not fleet.closing or fleet._hurried:
            return
        above = dependents(fleet, change.unit.key.service)
        still = {one.key for one in fleet.units.values() if one.key.service in above and one.state not in LIFELESS}
        assert still <= set(fleet._leaving) or change.unit.key in fleet._leaving, "reverse order on shutdown"

    def _launch(self, fleet: Fleet, effect: fx.Launch, now: float) -> None:
        key, trigger = effect.key, fleet.units[effect.key].trigger
        assert self.numbers.get(key, 0) < effect.life, "each life has a number of its own"
        self.numbers[key] = effect.life
        if trigger not in ASKED_FOR:
            self._pay(fleet, now)
        self._count(effect, now)

    def _pay(self, fleet: Fleet, now: float) -> None:
        limits = fleet.limits
        if limits.rate is None:
            return
        self._fill(fleet, now)
        self.tokens -= 1
        assert self.tokens >= -1e-6, "respawn tokens are never overdrawn"

    def _fill(self, fleet: Fleet, now: float) -> None:
        limits = fleet.limits
        filled = self.tokens + (now - self.filled_at) * (limits.rate or 0.0)
        self.tokens, self.filled_at = min(max(1.0, limits.burst), filled), now

    def _count(self, effect: fx.Launch, now: float) -> None:
        """Launches in a window never exceed the intensity + 1, where no waiting for dependencies is in the account."""
        policy = effect.spec.give_up
        times = self.respawns.setdefault(effect.key, [])
        times.append(now)
        if policy.failures is not None and not effect.spec.depends_on and policy.cooldown >= policy.within:
            recent = [at for at in times if at > now - policy.within + 1e-6]
            assert len(recent) <= policy.failures + 1, "restart intensity"


# --- what holds after every step ------------------------------------------------------------------------------------


def hold(world: World) -> None:
    """Ask every law of the present moment."""
    fleet = world.fleet
    for unit in fleet.units.values():
        timers(unit)
        lives(world, unit)
        if unit.state is State.WAITING:
            waits(world, unit)
        elif unit.state in (State.STARTING, State.RUNNING):
            bears(world, unit)
    one_life_each(world)
    wave(fleet)
    deadline(world)
    parallelism(world)
    assert fleet.quarantined == world.books.faults, "nobody is quarantined without a fault"
    if fleet.finished:
        ended(world)
    elif world.books.closed_at is not None:
        latest = world.books.closed_at + fleet.limits.shutdown_timeout + LAST_WAIT
        assert world.now <= latest, "a shutdown has an end"


def timers(unit: Unit) -> None:
    """A state that must have a deadline has one, a resting one none."""
    if unit.state in TIMED:
        assert unit.deadline is not None, f"{unit.state} has a deadline"
    if unit.state in UNTIMED:
        assert unit.deadline is None, f"{unit.state} has no deadline"
    if unit.state is State.RUNNING:
        forgives = unit.streak > 0 or unit.half_open
        assert (unit.deadline is not None) == forgives, "a timer to forgive, and for nothing else"


def lives(world: World, unit: Unit) -> None:
    """What the fleet believes of a life is what the host has."""
    life = world.lives.get((unit.key, unit.life))
    if unit.state is State.LAUNCHING:
        assert life is not None
        assert life.flight, "a launch is in flight"
    elif unit.state in (State.STARTING, State.RUNNING):
        assert life is not None
        assert life.main, "what runs has a process"
        assert unit.pid is not None
    elif unit.state in (State.STOPPING, State.KILLING):
        assert life is not None
        assert life.main or life.left, "what is on its way down is still there"
        assert life.killed or unit.state is State.STOPPING, "SIGKILL was sent"
        assert life.main == (unit.pid is not None), "a pid is of a living process"
    elif unit.aside is None:
        assert life is None or not life.there, f"nothing of a unit in {unit.state} is there"
        assert unit.pid is None


def parallelism(world: World) -> None:
    """No more launches are in flight than may be; one that quarantine left alone counts only once it is taken back."""
    flying = [life for life in world.lives.values() if life.flight]
    assert world.books.faults or len(flying) <= (world.fleet.limits.parallelism or len(flying))


def one_life_each(world: World) -> None:
    """At most one life a unit; and nobody lives whom the fleet does not know."""
    there = [life.key for life in world.lives.values() if life.there]
    assert len(there) == len(set(there)), "at most one life a unit"
    assert set(there) <= set(world.fleet.units), "what lives is known"


def waits(world: World, unit: Unit) -> None:
    """No deadlock: who waits, waits for something that does not hold, and says so."""
    fleet, reason = world.fleet, unit.waiting_for
    assert reason, "who waits says what for"
    if reason == ("stop",):
        assert unit.key in fleet._wave
    elif reason == ("parallelism",):
        flying = [life for life in world.lives.values() if life.flight]
        assert len(flying) >= fleet.limits.parallelism, "somebody is being launched"
    elif reason == ("rate",):
        world.books._fill(fleet, world.now)
        assert world.books.tokens < 1 + 1e-6, "there is no token"
    else:
        assert reason == tuple(missing(fleet, unit)), "conditions that do not hold"


def bears(world: World, unit: Unit) -> None:
    """Who does not bear the loss of a dependency is not up without it, but by a change of the configuration."""
    fleet = world.fleet
    unmoved = unit.spec.on_dependency_failure in (OnDependencyFailure.WAIT, OnDependencyFailure.IGNORE)
    excused = unmoved or fleet.closing or unit.key in fleet._wave or (unit.key, unit.life) in world.books.excused
    assert excused or not any(missing(fleet, unit)), "a loss is answered"


def missing(fleet: Fleet, unit: Unit) -> Iterator[str]:
    """The conditions of a unit that do not hold."""
    for name, condition in unit.spec.depends_on.items():
        others = [
            one
            for one in fleet.units.values()
            if one.key.service == name and one.key.replica < one.spec.replicas and one.key not in fleet._leaving
        ]
        if not all(holds(condition, one) for one in others):
            yield f"{name} {condition.value}"


def may_launch(world: World, effect: fx.Launch) -> None:
    """No dependent starts before its conditions hold; one that ignores its dependencies has started before."""
    unit = world.fleet.units[effect.key]
    ignores = unit.spec.on_dependency_failure is OnDependencyFailure.IGNORE and unit.started_wall is not None
    assert ignores or not list(missing(world.fleet, unit)), "conditions hold at a launch"
    assert effect.spec == unit.spec, "a launch is by the newest specification"
    assert world.life(effect.key) is None, "at most one life a unit"
    assert not world.fleet.closing, "nothing is launched in a shutdown"


def dependents(fleet: Fleet, service: str) -> set[str]:
    """The services that need `service`, directly or through others."""
    found = {service}
    for _ in fleet.units:
        staying = (one for one in fleet.units.values() if one.key not in fleet._leaving)
        found |= {one.key.service for one in staying if found & set(one.spec.depends_on)}
    return found - {service}


def wave(fleet: Fleet) -> None:
    """Who is to be stopped is on its way down, or held by one that is; who leaves is to be stopped."""
    assert set(fleet._leaving) <= set(fleet._wave), "what left the configuration is to be stopped"
    assert set(fleet._wave) <= set(fleet.units)
    for key in fleet._wave:
        unit = fleet.units[key]
        held = fleet._held(key)
        assert held or unit.state not in LIFELESS, "what is down has left the wave"
        assert held or unit.want is Want.DOWN, "what nobody holds is told to stop"


def deadline(world: World) -> None:
    """The deadline is the earliest of the units', the bucket's and the shutdown's."""
    fleet = world.fleet
    moments = [unit.deadline for unit in fleet.units.values() if unit.deadline is not None]
    moments += [fleet._close_by] if fleet._close_by is not None else []
    if any(unit.waiting_for == ("rate",) for unit in fleet.units.values()):
        world.books._fill(fleet, world.now)
        moments.append(world.now + (1 - world.books.tokens) / (fleet.limits.rate or 1.0))
    expected, real = min(moments, default=None), fleet.deadline
    assert (expected is None) == (real is None)
    assert abs((expected or 0) - (real or 0)) < 1e-6


def ended(world: World) -> None:
    """A shutdown ends once, with 1 if something was left behind, and nothing is left otherwise."""
    left = [life for life in world.lives.values() if life.there]
    assert len(world.codes) == 1
    assert world.codes[0] == 1 or not left
    if not left and not world.books.faults:
        assert {State.STOPPED} >= {unit.state for unit in world.fleet.units.values()}
