"""A daemon for the API to talk to: the real fleet and board, and a host that answers when the test says so.

Unless told to hold still (`held`), the host confirms each launch and ends what is asked to end, at once and in the turn
of the caller. Lives began ten seconds ago, unless `fresh` says that they begin now: what has settled is told at once.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from attrs import define, field

from metrics.recorder.store import Usage
from supervisor.config import HttpSettings
from supervisor.control.api import routes
from supervisor.control.daemon import About
from supervisor.control.guard import Guard
from supervisor.control.listen import bind_tcp, bind_unix
from supervisor.control.server import Server
from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.fleet import Fleet, Limits
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import ALIVE, LaunchError, Unit
from supervisor.core.view import FleetView
from supervisor.host.board import Board

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

OLD = 10.0  # seconds that a life has lasted when it is told of
FIRST_PID = 4_000_000  # beyond what Linux gives out (4194304 is its most) on any machine that tests run on


def spec(name: str, **fields: object) -> UnitSpec:
    """A specification that differs from the default by `fields`."""
    return UnitSpec(name, ("/bin/true",), **fields)  # type: ignore[arg-type]  # the point of a helper for tests


def key_of(name: str) -> UnitKey:
    """`web` or `web:1`."""
    service, _, replica = name.partition(":")
    return UnitKey(service, int(replica or 0))


@define
class FakeDaemon:
    """See the module. `paths` are captured files by (unit, stream), `used` by unit, `problems` what a reload finds."""

    fleet: Fleet
    about: About
    group_names: dict[str, tuple[str, ...]] = field(factory=dict)
    paths: dict[tuple[str, str], str] = field(factory=dict)
    problems: tuple[str, ...] = ()
    unsignalled: dict[str, str] = field(factory=dict)
    before_signals: Callable[[], object] = lambda: None
    held: set[str] = field(factory=set)
    fresh: bool = False
    stuck: bool = False
    loop_turns: bool = True
    asked: list[ev.Event | None] = field(factory=list)
    signals: list[tuple[tuple[str, ...], int]] = field(factory=list)
    pages: list[tuple[str, str, tuple[str, ...], float | None]] = field(factory=list)
    used: dict[str, Usage] = field(factory=dict)
    page: bytes = b"up 1\n"
    board: Board = field(factory=Board)
    lock: threading.RLock = field(factory=threading.RLock)
    number: int = 0
    pid: int = FIRST_PID

    # --- what the API asks (control.daemon.Daemon) ------------------------------------------------------------------

    def view(self) -> FleetView:
        """The present picture."""
        return self.board.view

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The groups."""
        return self.group_names

    def wait(self, until: Callable[[FleetView], bool], timeout: float) -> FleetView | None:
        """As the board waits."""
        return self.board.wait(until, timeout)

    def ask(self, call: Callable[[], ev.Event | None], timeout: float = 10.0) -> FleetView:
        """Take the event in the caller's thread, one at a time."""
        if self.stuck:
            raise TimeoutError(f"the loop has not answered within {timeout:.0f} s")
        with self.lock:
            event = call()
            self.asked.append(event)
            if event is not None:
                self.step(event)
            return self.view()

    def signal(self, keys: tuple[UnitKey, ...], signum: int) -> Mapping[UnitKey, str]:
        """Note it; what `unsignalled` names cannot be reached."""
        self.before_signals()
        self.signals.append((tuple(map(str, keys)), signum))
        return {key: self.unsignalled[key.service] for key in keys if key.service in self.unsignalled}

    def reload(self, origin: ev.Origin | None = None) -> tuple[str, ...]:
        """Find `problems`."""
        return self.problems

    def log_path(self, key: UnitKey, stream: str) -> str | None:
        """The file in `paths`."""
        return self.paths.get((str(key), stream))

    def usage(self, keys: Iterable[UnitKey]) -> Mapping[UnitKey, Usage]:
        """What `used` says of each."""
        return {key: self.used[str(key)] for key in keys if str(key) in self.used}

    def exposition(
        self, accept: str, encoding: str, names: tuple[str, ...], budget: float | None
    ) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        """The `page`."""
        self.pages.append((accept, encoding, names, budget))
        return self.page, (("content-type", "text/plain"),)

    def alive(self) -> bool:
        """Whether the loop turns."""
        return self.loop_turns

    # --- what the test does -----------------------------------------------------------------------------------------

    def step(self, event: ev.Event) -> None:
        """Give the fleet an event, have the host do what follows, and hang up the picture."""
        with self.lock:
            effects = list(self.fleet.step(event, time.monotonic()).effects)
            while effects:
                answer = self._done(effects.pop(0))
                if answer is not None:
                    effects += self.fleet.step(answer, time.monotonic()).effects
            self._publish()

    def tick(self, ahead: float = 0.0) -> None:
        """Let every deadline pass that is due within `ahead` seconds."""
        with self.lock:
            effects = list(self.fleet.tick(time.monotonic() + ahead).effects)
            for effect in effects:
                answer = self._done(effect)
                if answer is not None:
                    self.step(answer)
            self._publish()

    def unit(self, name: str) -> Unit:
        """A unit as the fleet has it."""
        return self.fleet.units[key_of(name)]

    def launched(self, name: str) -> None:
        """Exec is confirmed."""
        self.step(self._launched(self.unit(name)))

    def launch_fails(self, name: str, text: str = "exec /no/such: no such file") -> None:
        """Exec has failed."""
        unit = self.unit(name)
        self.step(ev.LaunchFailed(unit.key, unit.life, LaunchError("exec", 2, text)))

    def dies(self, name: str, code: int | None = 1, signal: int | None = None, *, left: bool = False) -> None:
        """The main process ends."""
        unit = self.unit(name)
        self.step(ev.Exited(unit.key, unit.life, code, signal, time.monotonic(), time.time(), left=left))

    def _done(self, effect: fx.Effect) -> ev.Event | None:
        """Carry out an effect; the host's answer, if it does not hold still."""
        if isinstance(effect, fx.Launch | fx.Signal | fx.Sweep) and effect.key.service in self.held:
            return None
        if isinstance(effect, fx.Launch):
            return self._launched(self.fleet.units[effect.key])
        if isinstance(effect, fx.Signal | fx.Sweep) and self.fleet.units[effect.key].state in ALIVE:
            now, wall = time.monotonic(), time.time()
            return ev.Exited(effect.key, effect.life, None, effect.signal, now, wall)
        return None

    def _launched(self, unit: Unit) -> ev.Launched:
        self.pid += 1
        ago = 0.0 if self.fresh else OLD
        return ev.Launched(unit.key, unit.life, self.pid, time.monotonic() - ago, time.time() - ago)

    def _publish(self) -> None:
        self.number += 1
        fleet = self.fleet
        units = dict(fleet.units)
        self.board.publish(FleetView(units, self.number, time.monotonic(), fleet.booted, fleet.closing, fleet.specs))


def daemon(*specs: UnitSpec, boot: bool = True, held: tuple[str, ...] = ()) -> FakeDaemon:
    """A daemon with these services, which all run unless they are held."""
    about = About(os.getpid(), "9.8.7", time.time(), 1, "/etc/respawnd.toml", "/run/respawnd.sock", "127.0.0.1:9747")
    fleet = Fleet({one.name: one for one in specs}, Limits(rate=None), time.monotonic(), strict=True)
    fake = FakeDaemon(fleet, about, held=set(held))
    if boot:
        fake.step(ev.Start(tuple(fleet.units)))
        fake.fleet.boot(time.monotonic())
    fake._publish()
    return fake


@define
class Site:
    """A server of the API that runs, and what leads to it."""

    socket: str
    address: tuple[str, int]
    server: Server


@contextlib.contextmanager
def serving(fake: FakeDaemon, directory: Path, **http: object) -> Iterator[Site]:
    """Serve the API of a daemon on a Unix socket and on loopback until the end of the block."""
    tcp, unix = bind_tcp("127.0.0.1", 0), bind_unix(str(directory / "respawnd.sock"))
    settings = HttpSettings(**http)  # type: ignore[arg-type]  # the point of a helper for tests
    server = Server(routes(fake), [tcp, unix], admit=Guard(settings))
    server.start()
    try:
        yield Site(unix.path, ("127.0.0.1", tcp.sock.getsockname()[1]), server)
    finally:
        stopped = server.stop(1.0)
        tcp.close()
        unix.close()
    assert stopped
