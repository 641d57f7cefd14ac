"""Real processes under a sampler, as the daemon has them: sessions of their own, tagged, reaped by their pidfds."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from types import MappingProxyType
from typing import Any, Self

import psutil

from metrics.recorder import Recorder
from metrics.recorder.store import Usage
from metrics.sampler import Sampler, SamplerSettings
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import Consumed, State, Unit, Want
from supervisor.core.view import FleetView
from supervisor.host import kernel
from tests import leaks

ACTOR = os.path.join(os.path.dirname(__file__), "sampling_actor.py")
ERRORS = "respawnd_resource_sample_errors_total"
WEB = UnitKey("web")


def tag(key: UnitKey, life: int) -> str:
    """What names a life to its processes."""
    return f"sampling-{os.getpid()}-{key}-{life}"


class Actor:
    """One life: a process that does what it is told."""

    def __init__(self, key: UnitKey, life: int, argv: list[str]) -> None:
        self.key, self.life = key, life
        (orders, tell), (hear, answers) = os.pipe(), os.pipe()
        moves = [(os.POSIX_SPAWN_DUP2, orders, 0), (os.POSIX_SPAWN_DUP2, answers, 1)]
        environment = {**os.environ, "RESPAWND_LIFE": tag(key, life)}
        self.pid = os.posix_spawnp(argv[0], argv, environment, file_actions=moves, setsid=True)
        self.started_at = time.monotonic()
        self.pidfd = os.pidfd_open(self.pid)
        os.close(orders)
        os.close(answers)
        self._tell, self._hear = os.fdopen(tell, "w"), os.fdopen(hear)

    def do(self, text: str) -> Any:
        """Let it do something; its answer."""
        print(text, file=self._tell, flush=True)
        return json.loads(self._hear.readline())

    def unit(self) -> Unit:
        """It as the picture of the fleet shows it."""
        spec = UnitSpec(self.key.service, ("actor",))
        return Unit(
            self.key, spec, Want.UP, State.RUNNING, life=self.life, pid=self.pid, started_at=self.started_at,
            started_wall=time.time(),
        )  # fmt: skip

    def close(self) -> None:
        """Close the pipes, which is the order to end."""
        for one in (self._tell, self._hear):
            one.close()
        os.close(self.pidfd)


class Host:
    """A daemon's worth of lives with a sampler that looks when it is told. To be used with `with`."""

    def __init__(self, settings: SamplerSettings | None = None, **more: Any) -> None:
        self.recorder = Recorder()
        self.units: dict[UnitKey, Unit] = {}
        self.actors: dict[UnitKey, Actor] = {}
        self.lives: dict[UnitKey, int] = {}
        self.before = leaks.children()
        self.sampler = Sampler(self.view, self.recorder, settings or SamplerSettings(), tag=tag, **more)

    def __enter__(self) -> Self:
        """Be the reaper of orphans, as the daemon is."""
        leaks.adopt_orphans(True)
        return self

    def __exit__(self, *_: object) -> None:
        """End all that is left."""
        self.sampler.stop(5.0)
        for actor in list(self.actors.values()):
            if self.units[actor.key].pid is not None:
                os.kill(actor.pid, signal.SIGKILL)
                self.reap(actor.key)
        while left := leaks.children() - self.before:  # each that ends may leave us others
            for pid in left:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
        leaks.adopt_orphans(False)

    def view(self) -> FleetView:
        """The picture of the fleet."""
        return FleetView(MappingProxyType(dict(self.units)), 1, time.monotonic(), booted=True)

    def launch(self, key: UnitKey = WEB, argv: list[str] | None = None) -> Actor:
        """Start the next life of a unit."""
        life = self.lives[key] = self.lives.get(key, 0) + 1
        actor = Actor(key, life, argv or [sys.executable, "-SE", ACTOR])
        self.actors[key] = actor
        self.units[key] = actor.unit()
        self.recorder.sync(self.view())
        if argv is None:
            actor.do("'ready'")
        return actor

    def bury(self, pid: int) -> None:
        """Kill an orphan of ours and reap it, as the daemon does: without a word to the sampler."""
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    def reap(self, key: UnitKey = WEB) -> Consumed:
        """Wait for the end of a life, reap it as the loop does, and tell the sampler; what it used."""
        actor = self.actors[key]
        select.select([actor.pidfd], [], [], 30.0)
        ended = kernel.reap(actor.pidfd)
        assert ended is not None
        consumed = ended[3]
        assert consumed is not None
        self.sampler.exited(key, actor.life, consumed)
        self.units[key] = self.units[key]._replace(pid=None, main_gone=True, state=State.STOPPED)
        actor.close()
        return consumed

    def look(self, key: UnitKey = WEB) -> Usage:
        """Sample; what a unit uses."""
        self.sampler.sample()
        usage = self.recorder.replicas[key].usage
        assert usage is not None
        return usage

    def errors(self) -> dict[str, float]:
        """Readings that failed, by reason."""
        return {labels[0]: value for labels, value in self.recorder.tally.read(ERRORS)}


def referee(*pids: int) -> list[psutil.Process]:
    """What psutil says of these processes."""
    return [psutil.Process(pid) for pid in pids]
