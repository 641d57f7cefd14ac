"""A fleet with a past, for rendering: services that started, died and came back on a clock of its own.

A real Fleet decides and a real Recorder hears of it, as the daemon's loop would tell it; nothing is executed. The same
seed gives the same past. What the sampler and the tracer would add is drawn: every figure differs from service to
service, so that no page is cheap because all its lines are alike.
"""

from __future__ import annotations

import random
import time

from metrics.catalog import EVENTS
from metrics.recorder import Recorder
from metrics.recorder.store import Usage
from supervisor.core import events as ev
from supervisor.core.effects import Forget, Launch
from supervisor.core.fleet import Fleet, Limits, Turn
from supervisor.core.model import Backoff, GiveUp, UnitKey, UnitSpec
from supervisor.core.view import FleetView

_EXITS = ((0, None), (1, None), (1, None), (3, None), (None, 11), (None, 9))
_LONGEST_LIFE = 900.0  # seconds
_MOST_DEATHS = 6
_CRITICALITIES = ("low", "medium", "high")
_LATENCY = "respawnd_service_respawn_latency_seconds"
_OVERHEAD = "respawnd_respawn_overhead_seconds"
_SPAWN = "respawnd_spawn_duration_seconds"
_MIB = 1 << 20


class History:
    """Services by the number, their fleet and the record of it.

    ``now`` is the end of the past on its own clock, whose moment 0 was at ``epoch`` in Unix seconds.
    """

    def __init__(self, services: int, *, exemplars: bool = False, seed: int = 3) -> None:
        self.dice = random.Random(seed)
        self.now = 100.0
        specs = {spec.name: spec for spec in map(self._spec, range(services))}
        self._fleet = Fleet(specs, Limits(rate=None), self.now, strict=True)
        self.recorder = Recorder()
        self.epoch = 1_700_000_000.25
        self._take(self._fleet.boot(self.now))
        for key in list(self._fleet.units):
            self._live(key)
        self._daemon()
        self.sample()
        if exemplars:
            self._exemplify()
        self.view = FleetView(dict(self._fleet.units), 1, self.now, booted=True, closing=False, specs=self._fleet.specs)
        self.recorder.sync(self.view)

    def sample(self) -> None:
        """Have another sample of every replica's resources taken."""
        self.recorder.sampled({key: self._usage() for key in self._fleet.units})

    def _spec(self, number: int) -> UnitSpec:
        return UnitSpec(
            f"worker-{number:04d}",
            ("true",),
            backoff=Backoff(initial=0.25),
            give_up=GiveUp(10),
            criticality=self.dice.choice(_CRITICALITIES),
        )

    def _live(self, key: UnitKey) -> None:
        """Have a service die some times, each time for another reason and after another time."""
        for _ in range(self.dice.randint(0, _MOST_DEATHS)):
            self.now += self.dice.uniform(0.001, 1.0)
            self._until_up(key)
            code, number = self.dice.choice(_EXITS)
            woke = self.now - self.dice.uniform(1e-5, 1e-3)
            self._say(ev.Exited(key, self._life(key), code, number, self.now, self.now + self.epoch, woke=woke))
        self.now += self.dice.uniform(0.1, _LONGEST_LIFE)
        self._until_up(key)

    def _until_up(self, key: UnitKey) -> None:
        """Let deadlines come until the service runs again."""
        while not self._fleet.units[key].up:
            deadline = self._fleet.deadline
            assert deadline is not None
            self.now = max(self.now, deadline)
            self._take(self._fleet.tick(self.now))

    def _life(self, key: UnitKey) -> int:
        return self._fleet.units[key].life

    def _say(self, event: ev.Event) -> None:
        self.recorder.count_event(type(event).__name__)
        self._take(self._fleet.step(event, self.now))

    def _take(self, turn: Turn) -> None:
        """Tell the recorder, and answer each launch with success."""
        for fact in turn.transitions:
            self.recorder.observe(fact)
        for effect in turn.effects:
            if isinstance(effect, Forget):
                self.recorder.observe(effect)
            elif isinstance(effect, Launch):
                spent = self.dice.uniform(2e-4, 4e-3)
                self.now += spent
                pid = self.dice.randrange(1000, 1 << 22)
                launched = ev.Launched(effect.key, effect.life, pid, self.now, self.now + self.epoch, spent)
                self.recorder.count_spawn_duration(spent)
                self._say(launched)

    def _usage(self) -> Usage:
        dice = self.dice
        return Usage(
            at=self.now,
            user=dice.uniform(0, 1e5),
            system=dice.uniform(0, 1e4),
            resident=dice.randrange(_MIB, 4096 * _MIB, 4096),
            threads=dice.randint(1, 64),
            processes=dice.randint(1, 8),
            open_fds=dice.randint(4, 900),
            max_fds=1024,
            worst_fd_ratio=dice.random(),
            read=dice.randrange(1 << 40),
            written=dice.randrange(1 << 40),
            cpu_share=dice.uniform(0, 100),
        )

    def _daemon(self) -> None:
        """Give the daemon's own families and the captured output something to show."""
        for _ in range(1000):
            self.recorder.observe_lag(self.dice.expovariate(2000))
        self.recorder.turned(self.now, None)
        for name in EVENTS:
            self.recorder.count_event(name)
        for unit in self._fleet.units:
            for stream in ("stdout", "stderr"):
                self.recorder.count_output(unit.service, stream, self.dice.randrange(1 << 36))

    def _exemplify(self) -> None:
        """Let every service's latest respawns have left a trace, in two buckets each."""
        wall = time.time()
        for unit in self._fleet.units:
            for value in (0.0007, self.dice.uniform(0.03, 0.9)):
                self._exemplar(_LATENCY, unit.service, value, wall)
        for family in (_OVERHEAD, _SPAWN):
            self._exemplar(family, None, 0.0015, wall)

    def _exemplar(self, family: str, service: str | None, value: float, wall: float) -> None:
        trace, span = f"{self.dice.getrandbits(128):032x}", f"{self.dice.getrandbits(64):016x}"
        self.recorder.exemplify(family, service, value, trace, span, wall)
