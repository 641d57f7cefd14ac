"""A fleet on a fake clock with a recorder that hears of it: what tests of the metrics drive."""

from __future__ import annotations

from typing import Any

from metrics.exposition import TEXT, Exposition, Format
from metrics.recorder import Recorder
from supervisor.core import events as ev
from supervisor.core.effects import Effect, Forget, Launch
from supervisor.core.fleet import Fleet, Limits, Turn
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import LaunchError, Unit
from supervisor.core.view import FleetView
from tests.metrics.library import parse_text

#: Unix time at moment 0 of the fake clock, far from round numbers.
EPOCH = 1_700_000_000.25


def spec(name: str = "web", **fields: Any) -> UnitSpec:
    """Build a service whose failures are answered at once, unless `fields` say otherwise."""
    return UnitSpec(name, ("true",), **fields)


class Drill:
    """Services that start, die and stop as a test says; the recorder hears every fact as the loop would tell it."""

    def __init__(self, *specs: UnitSpec) -> None:
        self.now = 100.0
        self.fleet = Fleet({item.name: item for item in specs}, Limits(rate=None), self.now, strict=True)
        self.recorder = Recorder(lambda: EPOCH)
        self.exposition = Exposition(
            self.recorder, self.view, clock=lambda: self.now, wall=lambda: self.now + EPOCH, pause=lambda _: None
        )
        self.effects: list[Effect] = []

    def view(self) -> FleetView:
        """Take a picture of the fleet, as the loop publishes it."""
        return FleetView(dict(self.fleet.units), 1, self.now, booted=True, specs=self.fleet.specs)

    def boot(self) -> Drill:
        """Start what starts by itself."""
        self._take(self.fleet.boot(self.now))
        self.recorder.sync(self.view())
        return self

    def say(self, event: ev.Event) -> None:
        """Give the fleet an event now."""
        self._take(self.fleet.step(event, self.now))
        if isinstance(event, ev.Reconfigured):
            self.recorder.sync(self.view())

    def pass_time(self, seconds: float) -> None:
        """Let time pass, with every deadline that falls in it at its moment."""
        until = self.now + seconds
        while (deadline := self.fleet.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            self._take(self.fleet.tick(self.now))
        self.now = until

    def unit(self, key: UnitKey) -> Unit:
        """Return the present unit."""
        return self.fleet.units[key]

    def launched(self, key: UnitKey, after: float = 0.0) -> None:
        """Exec of the launch under way is confirmed `after` some seconds."""
        self.now += after
        self.say(ev.Launched(key, self.unit(key).life, 4000, self.now, self.now + EPOCH, after))

    def say_gone(self, key: UnitKey) -> None:
        """Report that the last straggler is gone."""
        self.say(ev.Gone(key, self.unit(key).life))

    def not_launched(self, key: UnitKey) -> None:
        """Let the launch under way fail."""
        self.say(ev.LaunchFailed(key, self.unit(key).life, LaunchError("exec", 2, "no such file")))

    def died(self, key: UnitKey, code: int | None = 1, signal: int | None = None, **fields: Any) -> None:
        """Report the death of the main process, just now."""
        self.say(ev.Exited(key, self.unit(key).life, code, signal, self.now, self.now + EPOCH, **fields))

    def page(self, chosen: Format = TEXT, *names: str) -> str:
        """Render a page."""
        return self.exposition.render(chosen, names).decode()

    def value(self, name: str, **labels: str) -> float | None:
        """Read one sample of the page; None if it has none."""
        return values(self.page()).get((name, frozenset(labels.items())))

    def _take(self, turn: Turn) -> None:
        for transition in turn.transitions:
            self.recorder.observe(transition)
        self.effects += turn.effects
        for effect in turn.effects:
            if isinstance(effect, Forget):
                self.recorder.observe(effect)

    def launches(self) -> int:
        """Count the launches asked for so far."""
        return sum(isinstance(effect, Launch) for effect in self.effects)


def values(page: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample of a text page, by name and labels, as prometheus-client's parser reads it."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in parse_text(page)
        for sample in family.samples
    }
