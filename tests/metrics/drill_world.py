"""The core's world with a recorder that hears of it, and a ledger that adds up the same by looking at the units.

The ledger knows nothing of transitions: between two steps nothing changes, so that the time that passed belongs to what
every unit was then. What is launched and what dies is reported a little late, as by a real loop.
"""

from __future__ import annotations

import random
from collections import defaultdict
from typing import Any

from attrs import define, evolve, field
from hypothesis import strategies as st

from metrics.catalog import PHASES
from metrics.recorder import Recorder
from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.fleet import Limits, Turn
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.ports import Fact
from supervisor.core.state import State, Unit
from supervisor.core.view import FleetView, desired
from tests.core.adversary import LIMITS, MOVES, FleetMachine, configurations
from tests.core.world import World

#: Seconds between an event and the step that takes it, and between a step and the picture of it.
LATE = 0.0005
#: Seconds between the kernel's news and the look at it.
NOTICED = 0.000125
#: Unix time at moment 0 of the core's world.
WALL = 1e9


@define
class Respawn:
    """One respawn under way, by phase; `launching` is what the present launch has taken so far."""

    spent: dict[str, float] = field(factory=lambda: dict.fromkeys(PHASES, 0.0))
    launching: float = 0.0


@define
class Ledger:
    """What the units' states add up to, by service."""

    running: dict[str, float] = field(factory=lambda: defaultdict(float))
    wished: dict[str, float] = field(factory=lambda: defaultdict(float))
    phases: dict[str, dict[str, float]] = field(factory=dict)
    respawns: dict[str, int] = field(factory=lambda: defaultdict(int))
    latency: dict[str, float] = field(factory=lambda: defaultdict(float))
    open: dict[UnitKey, Respawn] = field(factory=dict)
    rising: set[UnitKey] = field(factory=set)
    units: dict[UnitKey, Unit] = field(factory=dict)
    at: float = 0.0

    def look(self, units: dict[UnitKey, Unit], specs: Any, event: object, now: float) -> None:
        """Add what passed since the last look, then take what the event began and ended."""
        self.pass_time(now)
        if isinstance(event, (ev.Exited, ev.Launched, ev.LaunchFailed, ev.Adopted)):
            self._take(units.get(event.key), event, now)
        for key, was in self.units.items():
            unit = units.get(key)
            if unit is None or unit.died_at is None:
                self.open.pop(key, None)
            elif was.state is State.LAUNCHING and unit.state is State.FATAL and key in self.open:
                self._charge(key, "decide", self.open[key].launching)
                self.open[key].launching = 0.0
            if unit is None or (unit.exit is not was.exit and not isinstance(event, ev.Launched)):
                self.rising.discard(key)
            if unit is not None and key in self.rising and unit.ready_at is not None and unit.started_at is not None:
                self.rising.discard(key)
                self._of(key)["ready"] += unit.ready_at - unit.started_at
        self.units = dict(units)
        for name in {*self.running, *self.wished, *self.phases} - {*specs, *(key.service for key in units)}:
            for kept in (self.running, self.wished, self.phases, self.respawns, self.latency):
                kept.pop(name, None)

    def pass_time(self, now: float) -> None:
        """Let the time since the last look go to what every unit was."""
        passed = now - self.at
        for key, unit in self.units.items():
            self.running[key.service] += passed * (unit.state is State.RUNNING)
            self.wished[key.service] += passed * desired(unit)
            if key in self.open:
                self._spend(key, unit, passed, now)
        self.at = now

    def _spend(self, key: UnitKey, unit: Unit, passed: float, now: float) -> None:
        if unit.state is State.LAUNCHING:
            self.open[key].launching += passed
        elif unit.state is State.BACKOFF:
            assert unit.deadline is not None
            over = min(passed, max(0.0, now - unit.deadline))
            self._charge(key, "backoff", passed - over)
            self._charge(key, "decide", over)
        elif unit.state is State.WAITING:
            self._charge(key, "queue", passed)
        elif unit.state is State.FATAL and unit.aside is State.LAUNCHING:
            self._charge(key, "decide", passed)
        elif unit.state in (State.STOPPING, State.KILLING, State.FATAL):
            self._charge(key, "sweep", passed)

    def _charge(self, key: UnitKey, phase: str, seconds: float) -> None:
        self.open[key].spent[phase] += seconds

    def _of(self, key: UnitKey) -> dict[str, float]:
        return self.phases.setdefault(key.service, dict.fromkeys(PHASES, 0.0))

    def _take(self, unit: Unit | None, event: Any, now: float) -> None:
        was = self.units.get(event.key)
        if was is None or unit is None or event.life != unit.life - (unit.life != was.life):
            return
        if isinstance(event, ev.Exited):
            self.open[event.key] = Respawn()
            self._charge(event.key, "sweep" if event.left else "decide", now - event.at)
            if was.state is not unit.state:
                assert event.woke is not None
                self._charge(event.key, "notice", event.at - event.woke)
        elif event.key in self.open and was.state is State.LAUNCHING:
            one = self.open[event.key]
            if isinstance(event, ev.LaunchFailed):
                self._charge(event.key, "spawn", one.launching)
                one.launching = 0.0
            elif isinstance(event, ev.Launched):
                self._close(unit, one, event, now)

    def _close(self, unit: Unit, one: Respawn, event: ev.Launched, now: float) -> None:
        del self.open[event.key]
        if unit.state is State.FATAL or unit.died_at is None:
            return
        one.spent["queue"] += one.launching - (now - event.at) - event.spent
        one.spent["spawn"] += event.spent
        total = self._of(event.key)
        for phase, seconds in one.spent.items():
            total[phase] += seconds
        self.respawns[event.key.service] += 1
        self.latency[event.key.service] += event.at - unit.died_at
        self.rising.add(event.key)


@define
class Chronicle(World):
    """A world of which a recorder hears. `ahead`: it sees a new picture before it is told what led to it.

    `successor` is another that hears the same.
    """

    recorder: Recorder = field(factory=lambda: Recorder(lambda: WALL))
    successor: Recorder | None = None
    ledger: Ledger = field(factory=Ledger)
    facts: list[Fact] = field(factory=list)
    ahead: bool = False
    launches_seen: int = 0

    def begin(self) -> None:
        """Boot, as the daemon does."""
        self.ledger.at = self.now
        self.ledger.units = dict(self.fleet.units)
        self.take(self.fleet.boot(self.now), ev.Start(()))
        self.picture()

    def view(self) -> FleetView:
        """Take a picture of the fleet, as the loop publishes it."""
        return FleetView(dict(self.fleet.units), 1, self.now, booted=True, specs=self.fleet.specs)

    def step(self, event: ev.Event) -> Turn:
        """Dress an event with times as a host gives them, and take it a little late."""
        if isinstance(event, ev.Launched) and event.key in self.fleet.units:
            self.launches_seen += 1
            flown = max(0.0, self.now - self.fleet.units[event.key].since)
            event = evolve(event, at=self.now, spent=flown * (self.launches_seen % 4) / 4)
            self.now += LATE
        elif isinstance(event, ev.Exited):
            event = evolve(event, at=self.now, woke=self.now - NOTICED)
            self.now += LATE
        if isinstance(event, ev.Reconfigured):
            self.tell()
        turn = World.step(self, event)
        if isinstance(event, ev.Reconfigured):
            self.picture()
        return turn

    def take(self, turn: Turn, event: ev.Event | None = None) -> Turn:
        """Carry out a turn, look at what came of it, and tell the recorder now or later."""
        World.take(self, turn, event)
        self.ledger.look(self.fleet.units, self.fleet.specs, event, self.now)
        self.facts += turn.transitions
        self.facts += [effect for effect in turn.effects if isinstance(effect, fx.Forget)]
        if not self.ahead:
            self.tell()
        return turn

    def picture(self) -> None:
        """Publish a picture after boot or reload."""
        self.now += LATE
        if not self.ahead:
            self.tell()
        for recorder in self.recorders():
            recorder.sync(self.view())
        self.tell()

    def recorders(self) -> list[Recorder]:
        """Everybody who hears."""
        return [self.recorder, *([self.successor] if self.successor is not None else [])]

    def tell(self) -> None:
        """Tell what was not told yet."""
        facts, self.facts = self.facts, []
        for recorder in self.recorders():
            for fact in facts:
                recorder.observe(fact)


def story(configs: list[dict[str, UnitSpec]], limits: Limits, *, faulty: bool, ahead: bool) -> FleetMachine:
    """A machine that makes moves on a chronicle."""
    machine = FleetMachine()
    machine.configs, machine.config, machine.faulty = configs, configs[0], faulty
    world = Chronicle.of(*configs[0].values(), limits=limits, strict=not faulty, boot=False)
    assert isinstance(world, Chronicle)
    world.ahead = ahead
    world.begin()
    machine.world = world
    return machine


STORIES = st.builds(
    story,
    st.lists(configurations(), min_size=2, max_size=3),
    LIMITS,
    faulty=st.sampled_from([False, False, True]),
    ahead=st.booleans(),
)


def moves(seed: int, length: int) -> list[tuple[str, int]]:
    """A long run of moves: drawn one by one, most would be short."""
    chance = random.Random(seed)
    return [(chance.choice(MOVES), chance.randrange(12)) for _ in range(length)]


STEPS = st.builds(moves, st.integers(0, 2**32), st.integers(0, 150))


def play(machine: FleetMachine, steps: list[tuple[str, int]]) -> Chronicle:
    """Make the moves, until the daemon ends; the world after them, with all told."""
    world = machine.world
    assert isinstance(world, Chronicle)
    for name, number in steps:
        if not world.fleet.finished:
            getattr(machine, name)(number)
    world.tell()
    world.ledger.pass_time(world.now)
    return world
