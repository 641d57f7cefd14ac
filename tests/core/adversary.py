"""A random but plausible adversary of the fleet: configurations, commands, deaths, macro steps, and time.

Macro steps (die n times in a row, all die at once, stop and start in a breath) are there because single random steps
seldom make a crash loop, a storm or a race.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

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
PICK = st.integers(0, 11)
DRAW = st.sampled_from([0.0, 0.5, 1.0])
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
        stop=StopPolicy(timeout=draw(st.sampled_from([0.0, 3.0]))),
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


def happens(**draws: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make a rule that holds for as long as the daemon has not ended."""
    rules: Any = rule(**draws)
    return lambda body: precondition(lambda self: not self.world.fleet.finished)(rules(body))


LIMITS = st.builds(
    Limits,
    rate=st.sampled_from([None, 0.5, 2.0]),
    burst=st.sampled_from([1.0, 3.0]),
    parallelism=st.sampled_from([0, 0, 1, 2]),
    shutdown_timeout=st.just(20.0),
)


class FleetMachine(RuleBasedStateMachine):
    """Anything that can happen to a fleet; the laws are asked by the world after every step."""

    world: World

    @initialize(config=configurations(), limits=LIMITS, faulty=st.sampled_from([False, False, True]))
    def open(self, config: dict[str, UnitSpec], limits: Limits, faulty: bool) -> None:
        """Boot a fleet; a faulty one will meet exceptions of our own."""
        self.config, self.faulty = config, faulty
        self.world = World.of(*config.values(), limits=limits, strict=not faulty)

    def some(self, pick: int, wanted: Callable[[Life], bool]) -> Life | None:
        """Pick one of the lives that are as wanted."""
        found = [life for life in self.world.lives.values() if wanted(life)]
        return found[pick % len(found)] if found else None

    def keys(self, picks: list[int]) -> tuple[UnitKey, ...]:
        """Pick some units."""
        keys = list(self.world.fleet.units)
        return tuple(dict.fromkeys(keys[pick % len(keys)] for pick in picks)) if keys else ()

    def key(self, pick: int, *states: State) -> UnitKey | None:
        """Pick one unit in one of these states."""
        found = [key for key, unit in self.world.fleet.units.items() if unit.state in states]
        return found[pick % len(found)] if found else None

    @precondition(lambda self: self.world.fleet.finished)
    @rule()
    def ended(self) -> None:
        """The daemon is gone: nothing happens to it any more."""
        assert self.world.fleet.closing

    # --- the host ---------------------------------------------------------------------------------------------------

    @happens(pick=PICK, ok=st.sampled_from([True, True, False]), draw=DRAW)
    def answer(self, pick: int, ok: bool, draw: float) -> None:
        """A launch is answered."""
        life = self.some(pick, lambda one: one.flight)
        if life is not None:
            self.world.launched(life.key) if ok else self.world.launch_failed(life.key, draw)

    @happens()
    def answer_all(self) -> None:
        """All launches are answered by success."""
        for life in list(self.world.lives.values()):
            if life.flight:
                self.world.launched(life.key)

    @happens(pick=PICK)
    def says_ready(self, pick: int) -> None:
        """A unit says that it is ready, early or late."""
        early = (State.LAUNCHING, State.STARTING)
        key = self.key(pick, *early, State.RUNNING, State.BACKOFF, State.EXITED, State.STOPPING)
        if key is not None:
            self.world.ready(key)

    @happens(pick=PICK, code=st.sampled_from([0, 1, 1, 7]), crash=st.booleans(), left=st.booleans(), draw=DRAW)
    def ends(self, pick: int, code: int, crash: bool, left: bool, draw: float) -> None:
        """A main process ends, perhaps leaving others behind."""
        life = self.some(pick, lambda one: one.main)
        if life is not None:
            self.world.dies(life.key, code, 11 if crash else None, left=left, draw=draw)

    @happens(pick=PICK)
    def last_one_ends(self, pick: int) -> None:
        """The last straggler of a life ends."""
        life = self.some(pick, lambda one: one.left)
        if life is not None:
            self.world.gone(life.key)

    @happens(pick=PICK)
    def fails_its_check(self, pick: int) -> None:
        """A liveness check fails for good; the news may come after the death."""
        key = self.key(pick, State.RUNNING, State.STOPPING, State.BACKOFF, State.WAITING)
        if key is not None:
            self.world.unhealthy(key)

    @happens()
    def all_end(self) -> None:
        """Everything that lives dies at once."""
        for life in [one for one in self.world.lives.values() if one.main]:
            self.world.dies(life.key)

    @happens()
    def obey(self) -> None:
        """All that were told to stop do so."""
        self.world.obey()

    @happens()
    def reap(self) -> None:
        """All that were killed die."""
        self.world.reap()

    @happens(pick=PICK, times=st.integers(2, 6))
    def crash_loop(self, pick: int, times: int) -> None:
        """One service dies as soon as it is up, many times in a row."""
        keys = self.keys([pick])
        for _ in range(times):
            for key in keys:
                life = self.world.life(key) if key in self.world.fleet.units else None
                if life is not None and life.flight:
                    self.world.launched(key)
                if life is not None and life.main:
                    self.world.dies(key)
                unit = self.world.fleet.units.get(key)
                if unit is not None and unit.state is State.BACKOFF and unit.deadline is not None:
                    self.world.advance(unit.deadline - self.world.now)

    @happens(pick=PICK, number=st.integers(0, 5))
    def ghost(self, pick: int, number: int) -> None:
        """News of an older life, or of a unit that is no more, changes nothing."""
        key = self.keys([pick])[0] if self.keys([pick]) else UnitKey("nobody")
        unit = self.world.fleet.units.get(key)
        life = number if unit is None or number < unit.life else -1
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

    @happens(pick=PICK)
    def fault(self, pick: int) -> None:
        """Deciding for a unit raises: it is set aside, its life with it."""
        key = self.key(pick, *State)
        if key is not None and self.faulty:
            self.world.books.faults += 1
            self.world.step(Faulty(key))
            assert self.world.state(key) in (State.FATAL, State.STOPPED, State.STOPPING, State.KILLING, State.LAUNCHING)

    # --- operators --------------------------------------------------------------------------------------------------

    @happens(picks=st.lists(PICK, min_size=1, max_size=3))
    def start(self, picks: list[int]) -> None:
        """Some are started."""
        self.world.start(*self.keys(picks))

    @happens(picks=st.lists(PICK, min_size=1, max_size=3))
    def stop(self, picks: list[int]) -> None:
        """Some are stopped."""
        self.world.stop(*self.keys(picks))

    @happens(picks=st.lists(PICK, min_size=1, max_size=3), trigger=st.sampled_from([Trigger.MANUAL, Trigger.LIMIT]))
    def restart(self, picks: list[int], trigger: Trigger) -> None:
        """Some are restarted."""
        self.world.restart(*self.keys(picks), trigger=trigger)

    @happens(picks=st.lists(PICK, min_size=1, max_size=3))
    def stop_and_start(self, picks: list[int]) -> None:
        """Some are stopped and started in one breath."""
        self.world.stop(*self.keys(picks))
        self.world.start(*self.keys(picks))

    @happens(picks=st.lists(PICK, min_size=1, max_size=2))
    def stop_to_the_end(self, picks: list[int]) -> None:
        """Told to stop, what can be killed is down after a bounded number of deadlines."""
        keys = self.keys(picks)
        self.world.stop(*keys)
        self.world.run_down(keys)

    @happens(config=configurations())
    def reconfigure(self, config: dict[str, UnitSpec]) -> None:
        """A new configuration is taken."""
        self.config = config
        self.world.reconfigure(*config.values())

    @happens(pick=PICK, replicas=st.integers(0, 3))
    def scale(self, pick: int, replicas: int) -> None:
        """One service gets more or fewer replicas."""
        name = list(self.config)[pick % len(self.config)]
        self.config = {**self.config, name: evolve(self.config[name], replicas=replicas)}
        self.world.reconfigure(*self.config.values())

    @happens(pick=PICK)
    def remove_and_add(self, pick: int) -> None:
        """A service leaves the configuration and comes back at once."""
        name = list(self.config)[pick % len(self.config)]
        without = [one for one in self.config.values() if name != one.name and name not in one.depends_on]
        self.world.reconfigure(*without)
        self.world.reconfigure(*self.config.values())

    @happens(hurry=st.booleans(), really=st.integers(0, 7))
    def shutdown(self, hurry: bool, really: int) -> None:
        """The daemon is told to end; seldom, for little happens after it."""
        if really == 0:
            self.world.shutdown(hurry=hurry)

    # --- time -------------------------------------------------------------------------------------------------------

    @happens(seconds=st.sampled_from([0.5, 2.0, 10.0, 61.0]))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.advance(seconds)

    @happens()
    def to_deadline(self) -> None:
        """Time passes until something is due."""
        if not self.world.resting():
            self.world.to_deadline()

    def teardown(self) -> None:
        """Shutdown always ends: orderly if everything can be killed, in hurry's time if not."""
        if not hasattr(self, "world") or not self.world.sound:
            return
        began = self.world.now
        self.world.shutdown()
        self.world.run_down()
        assert self.world.now <= began + self.world.fleet.limits.shutdown_timeout + LAST_WAIT
        left = [life for life in self.world.lives.values() if life.there]
        assert [1 if left else self.world.fleet.exit_code] == self.world.codes


class Faulty(ev.DependencyBack):
    """An event that no table knows."""
