"""The loop over a fake edge and a fake clock: what goes in, what is carried out, and in which order it is told."""

from __future__ import annotations

from collections.abc import Sequence

from supervisor.core import effects as fx
from supervisor.core.events import Event, Exited, Launched, Shutdown
from supervisor.core.fleet import Fleet, Limits
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.ports import Ask, Fact
from supervisor.core.state import State
from supervisor.core.view import FleetView
from supervisor.loop import LONGEST, Loop

WEB = UnitKey("web")


class FakeEdge:
    """An edge that plays a script: one batch for each wait; launches are answered at once."""

    def __init__(self, now: list[float]) -> None:
        self.now = now
        self.batches: list[Sequence[Event | Ask]] = []
        self.timeouts: list[float] = []
        self.done: list[fx.Effect] = []
        self.pid = 100
        self.stall = 0.0

    def wait(self, timeout: float) -> Sequence[Event | Ask]:
        """The next batch of the script; without one, the clock moves on by `timeout`."""
        self.timeouts.append(timeout)
        if self.batches:
            self.now[0] += self.stall
            return self.batches.pop(0)
        self.now[0] += timeout
        return []

    def launch(self, effect: fx.Launch, *, alone: bool) -> Event | None:
        """Note it, and answer that it was launched under the next pid."""
        self.done.append(effect)
        self.pid += 1
        return Launched(effect.key, effect.life, self.pid, self.now[0], 1e9)

    def signal(self, effect: fx.Signal) -> None:
        """Note it."""
        self.done.append(effect)

    def sweep(self, effect: fx.Sweep) -> Event | None:
        """Note it; nothing comes of it at once."""
        self.done.append(effect)
        return None

    def forget(self, effect: fx.Forget) -> None:
        """Note it."""
        self.done.append(effect)


class Rig:
    """A loop with everything around it faked."""

    def __init__(self, **services: UnitSpec) -> None:
        self.now = [1000.0]
        self.edge = FakeEdge(self.now)
        self.views: list[FleetView] = []
        self.facts: list[Fact] = []
        self.late: list[float | None] = []
        specs = services or {"web": UnitSpec("web", ("web",))}
        self.fleet = Fleet(specs, Limits(), self.now[0], strict=True)
        self.loop = Loop(
            self.fleet,
            self.edge,
            lambda: self.now[0],
            [self.facts.append],
            self.views.append,
            lambda _now, late: self.late.append(late),
            lambda _event: None,
        )

    def finish(self, life: int = 1) -> int:
        """Shut down; the web service obeys."""
        self.edge.batches.append([Shutdown()])
        self.edge.batches.append([Exited(WEB, life, None, 15, self.now[0], 1e9)])
        return self.loop.run()


def test_it_boots_runs_and_ends() -> None:
    """Boot launches, a shutdown signals, the exit ends the loop with status 0."""
    rig = Rig()
    assert 0 == rig.finish()
    assert [fx.Launch, fx.Signal] == [type(effect) for effect in rig.edge.done]


def test_a_death_is_answered_in_its_own_turn() -> None:
    """A respawn waits for nothing but its own decision: it is carried out before the next wait."""
    rig = Rig()
    rig.edge.batches.append([Exited(WEB, 1, None, 9, 1000.0, 1e9)])
    rig.finish(life=2)
    kinds = [type(effect) for effect in rig.edge.done]
    assert [fx.Launch, fx.Launch, fx.Signal] == kinds


def test_it_turns_when_nothing_happens() -> None:
    """An idle loop turns every five seconds, so that a stall can be told from idleness."""
    rig = Rig()
    rig.loop._take(rig.fleet.boot(1000.0))
    rig.loop.turn()
    rig.loop.turn()
    assert [0.0, LONGEST, LONGEST] == rig.edge.timeouts  # the first look is for what is more urgent than observers
    assert [0.0, 0.0] == rig.late


def test_a_stall_is_lateness_also_where_news_came_meanwhile() -> None:
    """It wakes eight seconds late, and finds an event; that it wakes early for one is no lateness."""
    rig = Rig()
    rig.loop._take(rig.fleet.boot(1000.0))
    rig.loop.turn()
    rig.edge.batches += [[Ask(lambda: None, lambda _problem: None)]] * 2
    rig.loop.turn()
    rig.edge.stall = LONGEST + 8.0
    rig.loop.turn()
    assert [0.0, None, 8.0] == rig.late


def test_who_asks_finds_it_done_in_the_picture() -> None:
    """The answer to a request comes after the picture that shows what it did."""
    rig = Rig()
    seen: list[State] = []
    ask = Ask(Shutdown, lambda _problem: seen.append(rig.views[-1].units[WEB].state))
    rig.edge.batches.append([ask])
    rig.edge.batches.append([Exited(WEB, 1, 0, None, 1000.0, 1e9)])
    rig.loop.run()
    assert [State.STOPPING] == seen


def test_a_request_that_fails_costs_the_asker_alone() -> None:
    """What a request raises goes to its asker, and the loop goes on."""
    rig = Rig()
    problems: list[BaseException | None] = []

    def fail() -> Event | None:
        raise KeyError("x")

    rig.edge.batches.append([Ask(fail, problems.append)])
    assert 0 == rig.finish()
    assert isinstance(problems[0], KeyError)


def test_an_observer_that_raises_is_removed() -> None:
    """Observers cannot hurt the observed: the one that fails hears no more, the others do."""
    rig = Rig()
    calls = []

    def bad(fact: Fact) -> None:
        calls.append(fact)
        raise RuntimeError("observer")

    rig.loop._observers.insert(0, bad)
    assert 0 == rig.finish()
    assert 1 == len(calls)
    assert len(rig.facts) > 3


def test_a_fleet_of_nothing_is_ready_at_once() -> None:
    """Without a single service the first picture says booted."""
    rig = Rig()
    rig.fleet.units.clear()
    rig.edge.batches.append([Shutdown()])
    assert 0 == rig.loop.run()
    assert rig.views[0].booted
