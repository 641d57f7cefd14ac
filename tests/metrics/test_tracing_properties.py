"""Spans of a fleet against a random adversary: whatever happens, what is told of it is well-formed, once, and whole."""

from __future__ import annotations

from collections import Counter
from typing import cast

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from supervisor.core.model import Kind
from supervisor.core.state import LIFELESS, State
from tests.core import adversary
from tests.metrics.traced import Traced, well_formed


class TracedMachine(adversary.FleetMachine):
    """Anything that can happen to a fleet; at the end, the spans of it are looked at."""

    def teardown(self) -> None:
        """End it, and hold the laws of spans."""
        super().teardown()
        if not hasattr(self, "world") or not self.world.sound:
            return
        world = cast(Traced, self.world)
        for track in world.ledger.tracks.values():
            unit = world.fleet.units[track.key]
            resting = unit.state in LIFELESS - {State.BACKOFF, State.WAITING} and unit.aside is None
            assert not (resting and track.episodes), "what is at rest has no open episode"
        open_ones = sum(len(track.episodes) for track in world.ledger.tracks.values())
        told = len(world.names)
        world.ledger.end(world.now)
        assert told + open_ones == len(world.names), "each open episode is ended once"
        assert [] == world.ledger.unfinished()
        records = world.told.records
        well_formed(records)
        if not self.faulty:
            spawns = Counter(record.name for record in records)["service.spawn"]
            assert len(world.launches) == spawns, "each launch is one span"
        jobs = {name for config in self.configs for name, one in config.items() if one.kind is Kind.ONESHOT}
        services = {name for config in self.configs for name, one in config.items() if one.kind is Kind.SERVICE}
        for record in records:
            if record.name == "job.run":
                assert record.attributes["respawnd.service"] in jobs
            if record.name in ("service.start", "service.respawn"):
                assert record.attributes["respawnd.service"] in services


@pytest.mark.slow
def test_spans_are_well_formed_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """No order of commands, deaths, changes and time makes a span that has no parent, no end, or too long a child."""
    monkeypatch.setattr(adversary, "World", Traced)
    run_state_machine_as_test(TracedMachine, settings=settings(max_examples=100, stateful_step_count=12))
