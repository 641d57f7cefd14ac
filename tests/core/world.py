"""A fleet under a fake clock, with a host that answers as a real one could: for stories and for properties.

The host knows which lives there are, whatever the fleet believes: it refuses a signal to the dead and a second life of
a unit. After each step the laws of `tests.core.laws` are asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import define, field

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.fleet import Fleet, Limits, Turn
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import Exit, LaunchError, State, Trigger, Unit
from tests.core import laws

if TYPE_CHECKING:
    from collections.abc import Iterable

START = 1000.0
UNLIMITED = Limits(rate=None)
#: Turns of a loop that should end after a handful.
MANY = 400


def spec(name: str, **fields: Any) -> UnitSpec:
    """Return a specification that differs from the default only by `fields`."""
    return UnitSpec(name, ("/bin/true",), **fields)


@define
class Life:
    """What the host knows of one life."""

    key: UnitKey
    number: int
    flight: bool = True
    main: bool = False
    left: bool = False
    killed: bool = False
    deathless: bool = False

    @property
    def there(self) -> bool:
        """Whether a process of it exists, or may soon."""
        return self.flight or self.main or self.left


@define
class World:
    """The fleet, the clock and the host. Verbs take a unit's name ("web", or "web:1") and do one thing."""

    fleet: Fleet
    now: float = START
    lives: dict[tuple[UnitKey, int], Life] = field(factory=dict)
    turn: Turn = field(factory=Turn)
    notices: list[fx.Notice] = field(factory=list)
    forgotten: list[UnitKey] = field(factory=list)
    launches: list[fx.Launch] = field(factory=list)
    codes: list[int] = field(factory=list)
    books: laws.Books = field(factory=laws.Books)
    pid: int = 100
    sound: bool = True

    @classmethod
    def of(
        cls, *specs: UnitSpec, limits: Limits = UNLIMITED, strict: bool = True, boot: bool = True, now: float = START
    ) -> World:
        """Return a world with these services; nothing has happened but the boot."""
        world = cls(Fleet({one.name: one for one in specs}, limits, now, strict=strict), now)
        world.books.opened(world.fleet, now)
        if boot:
            world.take(world.fleet.boot(world.now), ev.Start(()))
        return world

    # --- looking ----------------------------------------------------------------------------------------------------

    def unit(self, name: str | UnitKey) -> Unit:
        """Return the unit, which must be there."""
        return self.fleet.units[key_of(name)]

    def state(self, name: str | UnitKey) -> State:
        """Return the state of the unit."""
        return self.unit(name).state

    def exit(self, name: str) -> Exit:
        """Return the last exit of the unit, which must have had one."""
        how = self.unit(name).exit
        assert how is not None
        return how

    def error(self, name: str) -> LaunchError:
        """Return why the unit's last launch failed, which it must have."""
        error = self.unit(name).error
        assert error is not None
        return error

    def life(self, name: str | UnitKey) -> Life | None:
        """Return what is there of the unit, living or on its way; None when nothing is."""
        key = key_of(name)
        return next((life for life in self.lives.values() if life.key == key and life.there), None)

    def cannot_die(self, name: str) -> None:
        """Make the present life one that even SIGKILL does not end."""
        self._now(name).deathless = True

    def resting(self) -> bool:
        """Tell whether no timer is left."""
        return self.fleet.deadline is None

    # --- what happens -----------------------------------------------------------------------------------------------

    def step(self, event: ev.Event) -> Turn:
        """Give the fleet an event, carry out what it asks for, and hold the laws."""
        self.books.before(self.fleet, event, self.now)
        return self.take(self.fleet.step(event, self.now), event)

    def take(self, turn: Turn, event: ev.Event | None = None) -> Turn:
        """Carry out a turn on the host."""
        self.turn, self.sound = turn, False
        for effect in turn.effects:
            self._carry_out(effect)
        self.books.after(self.fleet, turn, event, self.now)
        laws.hold(self)
        self.sound = True
        return turn

    def _carry_out(self, effect: fx.Effect) -> None:
        if isinstance(effect, fx.Launch):
            laws.may_launch(self, effect)
            self.lives[effect.key, effect.life] = Life(effect.key, effect.life)
            self.launches.append(effect)
        elif isinstance(effect, fx.Signal):
            assert self.lives[effect.key, effect.life].main, "a signal goes only to a living life"
        elif isinstance(effect, fx.Sweep):
            life = self.lives[effect.key, effect.life]
            assert life.main or life.left, "a sweep goes only to what lives"
            life.killed = life.killed or effect.signal == 9
        elif isinstance(effect, fx.Notice):
            self.notices.append(effect)
        elif isinstance(effect, fx.Forget):
            assert self.life(effect.key) is None, "what is forgotten is gone"
            self.forgotten.append(effect.key)
        elif isinstance(effect, fx.Finish):
            self.codes.append(effect.code)

    def launched(self, name: str | UnitKey) -> None:
        """Exec has succeeded."""
        life = self._now(name)
        assert life.flight
        life.flight, life.main = False, True
        self.pid += 1
        self.step(ev.Launched(life.key, life.number, self.pid, self.now, self.now + 1e9))

    def launch_failed(self, name: str | UnitKey, draw: float = 0.5) -> None:
        """Exec has failed."""
        life = self._now(name)
        assert life.flight
        life.flight = False
        self.step(ev.LaunchFailed(life.key, life.number, LaunchError("exec", 2, "no such file"), draw))

    def up(self, *names: str) -> None:
        """Exec has succeeded, for each in turn."""
        for name in names:
            self.launched(name)

    def dies(
        self,
        name: str | UnitKey,
        code: int | None = 1,
        signal: int | None = None,
        *,
        left: bool = False,
        draw: float = 0.5,
    ) -> None:
        """The main process ends; `left` when others of its life stay."""
        life = self._now(name)
        assert life.main
        life.main, life.left = False, left
        code = code if signal is None else None
        self.step(ev.Exited(life.key, life.number, code, signal, self.now, self.now + 1e9, left=left, draw=draw))

    def gone(self, name: str | UnitKey) -> None:
        """The last straggler ends."""
        life = self._now(name)
        assert life.left
        life.left = False
        self.step(ev.Gone(life.key, life.number))

    def ready(self, name: str | UnitKey) -> None:
        """The unit says that it does its work."""
        self.step(ev.Ready(key_of(name), self.unit(name).life))

    def unhealthy(self, name: str | UnitKey) -> None:
        """A liveness check has failed for good."""
        self.step(ev.Unhealthy(key_of(name), self.unit(name).life))

    def adopted(self, name: str | UnitKey) -> None:
        """A life of an earlier daemon is found."""
        key = key_of(name)
        number = self.unit(key).life + 1
        self.lives[key, number] = Life(key, number, flight=False, main=True)
        self.pid += 1
        self.step(ev.Adopted(key, number, self.pid, self.now - 5, self.now + 1e9))

    # --- what operators do ------------------------------------------------------------------------------------------

    def start(self, *names: str | UnitKey) -> None:
        """An operator starts these."""
        self.step(ev.Start(keys_of(names)))

    def stop(self, *names: str | UnitKey) -> None:
        """An operator stops these."""
        self.step(ev.Stop(keys_of(names)))

    def restart(self, *names: str | UnitKey, trigger: Trigger = Trigger.MANUAL) -> None:
        """These are restarted."""
        self.step(ev.RestartAsked(keys_of(names), trigger))

    def reconfigure(self, *specs: UnitSpec) -> None:
        """A new configuration is taken."""
        self.step(ev.Reconfigured({one.name: one for one in specs}))

    def shutdown(self, *, hurry: bool = False) -> None:
        """The daemon is to end."""
        self.step(ev.Shutdown(hurry=hurry))

    # --- time -------------------------------------------------------------------------------------------------------

    def advance(self, seconds: float) -> None:
        """Let time pass; each deadline on the way is taken at its moment."""
        end = self.now + seconds
        for _ in range(MANY):
            due = self.fleet.deadline
            if due is None or due > end:
                break
            self.tick(max(due, self.now))
        else:
            raise AssertionError("the clock has stopped: deadlines do not end")
        self.now = max(self.now, end)

    def tick(self, at: float) -> None:
        """Come to a moment, and take what is due."""
        self.now = at
        self.take(self.fleet.tick(at))

    def to_deadline(self) -> None:
        """Come to the next deadline."""
        due = self.fleet.deadline
        assert due is not None, "something should be due"
        self.tick(max(due, self.now))

    # --- longer stories ---------------------------------------------------------------------------------------------

    def ended(self) -> None:
        """Shut down in good order, and see that nothing is left, no timer either."""
        self.shutdown()
        self.run_down()
        assert [0] == self.codes
        assert self.resting()

    def obey(self, signal: int = 15) -> None:
        """Every living main process that was asked to end does so."""
        for life in list(self.lives.values()):
            if life.main and self.state(life.key) in (State.STOPPING, State.KILLING):
                self.dies(life.key, signal=signal)

    def reap(self) -> bool:
        """Everything that SIGKILL reached dies; whether anything did."""
        dead = [life for life in self.lives.values() if life.killed and not life.deathless and (life.main or life.left)]
        for life in dead:
            if life.main:
                self.dies(life.key, signal=9)
            else:
                self.gone(life.key)
        return bool(dead)

    def run_down(self, until: Iterable[UnitKey] | None = None) -> int:
        """Let launches succeed, the killed die and deadlines pass, until these (or the fleet) are down; the turns."""
        for turns in range(MANY):
            if self.fleet.finished if until is None else all(self._down(key) for key in until):
                return turns
            flying = next((life for life in self.lives.values() if life.flight), None)
            if flying is not None:
                self.launched(flying.key)
            elif not self.reap():
                self.to_deadline()
        raise AssertionError("it never comes down")

    def _down(self, key: UnitKey) -> bool:
        return key not in self.fleet.units or self.state(key) is State.STOPPED

    def _now(self, name: str | UnitKey) -> Life:
        life = self.life(name)
        assert life is not None, f"nothing of {name} is there"
        return life


def key_of(name: str | UnitKey) -> UnitKey:
    """Return the key of "web" or "web:1"."""
    if isinstance(name, UnitKey):
        return name
    service, _, replica = name.partition(":")
    return UnitKey(service, int(replica or 0))


def keys_of(names: Iterable[str | UnitKey]) -> tuple[UnitKey, ...]:
    """Return the keys of several."""
    return tuple(key_of(name) for name in names)


def running(*specs: UnitSpec) -> World:
    """Return a world in which all these run."""
    world = World.of(*specs)
    for _ in specs:
        for unit in list(world.fleet.units.values()):
            if unit.state is State.LAUNCHING:
                world.launched(unit.key)
    assert {State.RUNNING} == {unit.state for unit in world.fleet.units.values()}
    return world
