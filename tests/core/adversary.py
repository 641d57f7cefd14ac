"""A random but plausible adversary of the fleet: configurations, commands, deaths, macro steps, and time.

What happens comes in runs of weighted moves, so that services mostly live, now and then die, and sometimes are stopped:
single random steps seldom make a crash loop, a storm or a race. A move takes a number, and makes of it what it needs:
which unit, which exit code, which jitter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from supervisor.core import events as ev
from supervisor.core.fleet import LAST_WAIT, Limits
from supervisor.core.model import (
    Backoff,
    Condition,
    ExitAction,
    ExitRule,
    ExitSet,
    GiveUp,
    GiveUpThen,
    Kind,
    OnDependencyFailure,
    Restart,
    StopPolicy,
    UnitKey,
    UnitSpec,
)
from supervisor.core.state import State, Trigger
from tests.core.world import Life, World

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("a", "b", "c", "d")
NUMBER = st.integers(0, 11)
DRAWS = (0.0, 0.5, 1.0)
CODES = (1, 1, 0, 7)
RESTARTS = {
    Kind.SERVICE: tuple(Restart),
    Kind.ONESHOT: (Restart.ON_FAILURE, Restart.ON_ABNORMAL, Restart.NEVER),
}


@st.composite
def specs(draw: st.DrawFn, name: str) -> UnitSpec:
    """Draw one service; what it depends on is earlier in the alphabet, so that no configuration has a cycle."""
    kind = draw(st.sampled_from([Kind.SERVICE, Kind.SERVICE, Kind.ONESHOT]))
    rules = st.sampled_from([(), (), *((ExitRule(ExitSet(frozenset({7})), action),) for action in ExitAction)])
    earlier = NAMES[: NAMES.index(name)]
    needs = draw(st.sets(st.sampled_from(earlier), max_size=2)) if earlier else set()
    return UnitSpec(
        name,
        (draw(st.sampled_from(["/bin/true", "/bin/false"])),),
        kind=kind,
        replicas=draw(st.sampled_from([1, 1, 2])),
        autostart=draw(st.sampled_from([True, True, True, False])),
        restart=draw(st.sampled_from([RESTARTS[kind][0], *RESTARTS[kind]])),
        start_grace=draw(st.sampled_from([0.0, 0.0, 2.0])),
        exit_rules=draw(rules),
        backoff=Backoff(
            initial=draw(st.sampled_from([0.0, 1.0])),
            jitter=draw(st.sampled_from([0.0, 0.5])),
            max=4.0,
            reset_after=5.0,
        ),
        give_up=GiveUp(
            failures=draw(st.sampled_from([None, 1, 3])),
            within=60.0,
            then=draw(st.sampled_from([GiveUpThen.COOLDOWN, GiveUpThen.COOLDOWN, *GiveUpThen])),
            cooldown=60.0,
        ),
        depends_on={need: draw(st.sampled_from(Condition)) for need in sorted(needs)},
        on_dependency_failure=draw(st.sampled_from(OnDependencyFailure)),
        stop=StopPolicy(timeout=draw(st.sampled_from([0.0, 3.0, 100.0]))),
    )


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, UnitSpec]:
    """Draw a whole configuration of one to four services; dependencies on what is not in it are dropped."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=1, max_size=4))
    found = {name: draw(specs(name)) for name in names}
    return {
        name: evolve(one, depends_on={need: how for need, how in one.depends_on.items() if need in found})
        for name, one in found.items()
    }


LIMITS = st.builds(
    Limits,
    rate=st.sampled_from([None, 0.5, 2.0]),
    burst=st.sampled_from([1.0, 3.0]),
    parallelism=st.sampled_from([0, 0, 1, 2]),
    shutdown_timeout=st.just(20.0),
)
#: How often each move is made, beside the others.
WEIGHTS = {
    "answer": 8, "answer_all": 12, "refuse": 2, "says_ready": 2, "fails_its_check": 2, "ends": 8, "ends_and_leaves": 3,
    "last_one_ends": 3, "all_end": 2, "obey": 6, "reap": 3, "crash_loop": 4, "ghost": 1, "fault": 1, "start": 2,
    "start_all": 4, "stop": 2, "stop_all": 1, "restart": 3, "stop_and_start": 2, "stop_to_the_end": 1, "scale": 2,
    "mend": 1, "reconfigure": 2, "remove_and_add": 1, "shut_down": 1, "wait": 4, "to_deadline": 8,
}  # fmt: skip
MOVES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


class FleetMachine(RuleBasedStateMachine):
    """Anything that can happen to a fleet; the laws are asked by the world after every step."""

    world: World

    @initialize(
        configs=st.lists(configurations(), min_size=2, max_size=3),
        limits=LIMITS,
        faulty=st.sampled_from([False, False, True]),
    )
    def open(self, configs: list[dict[str, UnitSpec]], limits: Limits, faulty: bool) -> None:
        """Boot a fleet; a faulty one will meet exceptions of our own."""
        self.configs, self.config, self.faulty = configs, configs[0], faulty
        config = self.config
        self.world = World.of(*config.values(), limits=limits, strict=not faulty)

    @rule(moves=st.lists(st.tuples(st.sampled_from(MOVES), NUMBER), min_size=4, max_size=16))
    def things_happen(self, moves: list[tuple[str, int]]) -> None:
        """Some moves, one after the other, until the daemon ends."""
        for name, number in moves:
            if not self.world.fleet.finished:
                getattr(self, name)(number)

    def some(self, number: int, wanted: Callable[[Life], bool]) -> Life | None:
        """Pick one of the lives that are as wanted."""
        found = [life for life in self.world.lives.values() if wanted(life)]
        return found[number % len(found)] if found else None

    def keys(self, number: int) -> tuple[UnitKey, ...]:
        """Pick one unit, or two."""
        keys = list(self.world.fleet.units)
        return tuple(dict.fromkeys(keys[one % len(keys)] for one in (number, number // 3))) if keys else ()

    def key(self, number: int, *states: State) -> UnitKey | None:
        """Pick one unit in one of these states."""
        found = [key for key, unit in self.world.fleet.units.items() if unit.state in states]
        return found[number % len(found)] if found else None

    # --- the host ---------------------------------------------------------------------------------------------------

    def answer(self, number: int) -> None:
        """A launch succeeds."""
        life = self.some(number, lambda one: one.flight)
        if life is not None:
            self.world.launched(life.key)

    def refuse(self, number: int) -> None:
        """A launch fails."""
        life = self.some(number, lambda one: one.flight)
        if life is not None:
            self.world.launch_failed(life.key, DRAWS[number % 3])

    def answer_all(self, number: int) -> None:
        """All launches succeed."""
        for life in list(self.world.lives.values()):
            if life.flight:
                self.world.launched(life.key)

    def says_ready(self, number: int) -> None:
        """A unit says that it is ready, early or late."""
        early = (State.LAUNCHING, State.STARTING)
        key = self.key(number, *early, State.RUNNING, State.BACKOFF, State.EXITED, State.STOPPING)
        if key is not None:
            self.world.ready(key)

    def fails_its_check(self, number: int) -> None:
        """A liveness check fails for good; the news may come after the death."""
        key = self.key(number, State.RUNNING, State.STOPPING, State.BACKOFF, State.WAITING)
        if key is not None:
            self.world.unhealthy(key)

    def ends(self, number: int, *, left: bool = False) -> None:
        """A main process ends, by a code or a signal."""
        life = self.some(number, lambda one: one.main)
        if life is not None:
            signal = 11 if number % 5 == 0 else None
            self.world.dies(life.key, CODES[number % 4], signal, left=left, draw=DRAWS[number % 3])

    def ends_and_leaves(self, number: int) -> None:
        """A main process ends, and leaves others behind."""
        self.ends(number, left=True)

    def last_one_ends(self, number: int) -> None:
        """The last straggler of a life ends."""
        life = self.some(number, lambda one: one.left)
        if life is not None:
            self.world.gone(life.key)

    def all_end(self, number: int) -> None:
        """Everything that lives dies at once."""
        for life in [one for one in self.world.lives.values() if one.main]:
            self.world.dies(life.key)

    def obey(self, number: int) -> None:
        """All that were told to stop do so."""
        self.world.obey()

    def reap(self, number: int) -> None:
        """All that were killed die."""
        self.world.reap()

    def crash_loop(self, number: int) -> None:
        """One service dies as soon as it is up, many times in a row."""
        for key in self.keys(number)[:1]:
            for _ in range(2 + number % 5):
                life = self.world.life(key) if key in self.world.fleet.units else None
                if life is not None and life.flight:
                    self.world.launched(key)
                if life is not None and life.main:
                    self.world.dies(key)
                unit = self.world.fleet.units.get(key)
                if unit is not None and unit.state is State.BACKOFF and unit.deadline is not None:
                    self.world.advance(unit.deadline - self.world.now)

    def ghost(self, number: int) -> None:
        """News of an older life, or of a unit that is no more, changes nothing."""
        key = (*self.keys(number), UnitKey("nobody"))[0]
        unit = self.world.fleet.units.get(key)
        life = number % 4 if unit is None or number % 4 < unit.life else -1
        before = dict(self.world.fleet.units)
        for event in (
            ev.Exited(key, life, 1, None, 0.0, 0.0),
            ev.Gone(key, life),
            ev.Launched(key, life, 1, 0.0, 0.0),
            ev.Ready(key, life),
            ev.Unhealthy(key, life),
        ):
            ghosts = self.world.fleet.ghosts
            turn = self.world.step(event)
            assert ghosts + 1 == self.world.fleet.ghosts
            assert [] == turn.effects
            assert all(unit is before[key] for key, unit in self.world.fleet.units.items())

    def fault(self, number: int) -> None:
        """Deciding for a unit raises: it is set aside, its life with it."""
        key = self.key(number, *State)
        if key is not None and self.faulty:
            self.world.books.faults += 1
            self.world.step(Faulty(key))
            assert self.world.state(key) in (State.FATAL, State.STOPPED, State.STOPPING, State.KILLING, State.LAUNCHING)

    # --- operators --------------------------------------------------------------------------------------------------

    def start(self, number: int) -> None:
        """Some are started."""
        self.world.start(*self.keys(number))

    def start_all(self, number: int) -> None:
        """All are started."""
        self.world.start(*self.world.fleet.units)

    def stop(self, number: int) -> None:
        """Some are stopped."""
        self.world.stop(*self.keys(number))

    def stop_all(self, number: int) -> None:
        """All are stopped, in order; not often."""
        if number < 4:
            self.world.stop(*self.world.fleet.units)

    def restart(self, number: int) -> None:
        """Some are restarted."""
        trigger = Trigger.LIMIT if number % 3 == 0 else Trigger.MANUAL
        self.world.restart(*self.keys(number), trigger=trigger)

    def stop_and_start(self, number: int) -> None:
        """Some are stopped and started in one breath."""
        self.world.stop(*self.keys(number))
        self.world.start(*self.keys(number + 1))

    def stop_to_the_end(self, number: int) -> None:
        """Told to stop, what can be killed is down after a bounded number of deadlines."""
        keys = self.keys(number)
        self.world.stop(*keys)
        self.world.run_down(keys)

    def reconfigure(self, number: int) -> None:
        """Another configuration is taken."""
        self.config = self.configs[number % len(self.configs)]
        self.world.reconfigure(*self.config.values())

    def scale(self, number: int) -> None:
        """One service gets more or fewer replicas."""
        name = list(self.config)[number % len(self.config)]
        self.config = {**self.config, name: evolve(self.config[name], replicas=number // 3)}
        self.world.reconfigure(*self.config.values())

    def mend(self, number: int) -> None:
        """One service gets another program."""
        name = list(self.config)[number % len(self.config)]
        self.config = {**self.config, name: evolve(self.config[name], command=("/bin/other", str(number)))}
        self.world.reconfigure(*self.config.values())

    def remove_and_add(self, number: int) -> None:
        """A service leaves the configuration and comes back at once."""
        name = list(self.config)[number % len(self.config)]
        without = [one for one in self.config.values() if name != one.name and name not in one.depends_on]
        self.world.reconfigure(*without)
        if number % 2:
            self.world.obey()
        self.world.reconfigure(*self.config.values())

    def shut_down(self, number: int) -> None:
        """The daemon is told to end, now and then in a hurry; seldom, for little happens after it."""
        if number < 2:
            self.world.shutdown(hurry=number == 0)

    # --- time -------------------------------------------------------------------------------------------------------

    def wait(self, number: int) -> None:
        """Time passes."""
        self.world.advance((0.5, 1.0, 2.0, 10.0, 61.0)[number % 5])

    def to_deadline(self, number: int) -> None:
        """Time passes until something is due."""
        if not self.world.resting():
            self.world.to_deadline()

    def teardown(self) -> None:
        """Shutdown always ends: orderly if everything can be killed, in hurry's time if not."""
        if not hasattr(self, "world") or not self.world.sound or self.world.fleet.finished:
            return
        began = self.world.now
        self.world.shutdown()
        self.world.run_down()
        assert self.world.now <= began + self.world.fleet.limits.shutdown_timeout + LAST_WAIT
        left = [life for life in self.world.lives.values() if life.there]
        assert [1 if left else self.world.fleet.exit_code] == self.world.codes


class Faulty(ev.DependencyBack):
    """An event that no table knows."""
