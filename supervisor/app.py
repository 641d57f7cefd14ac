"""The whole daemon, wired: who is made first, who is told what, who ends last. The only module that knows everyone.

Order of start: configuration (by the caller), directories, lock, log, descriptors, signals, sockets; everything that
can be refused is refused before the first service is started. Order of end: services, HTTP, output, log, lock.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import frozen

from metrics.recorder.store import Usage
from supervisor.config import Config, ConfigError, Problem, load
from supervisor.control.api import routes
from supervisor.control.daemon import About
from supervisor.control.guard import Guard
from supervisor.control.listen import Listener, bind_tcp, bind_unix
from supervisor.control.server import Server
from supervisor.core.events import Event, Origin, Reconfigured
from supervisor.core.fleet import Fleet, Limits
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.ports import Ask
from supervisor.core.view import FleetView
from supervisor.host import descriptors, diary, kernel, pipes
from supervisor.host.board import Board
from supervisor.host.edge import HostEdge
from supervisor.host.environ import life_tag
from supervisor.host.launch import Launcher
from supervisor.host.lock import Held, Lock
from supervisor.host.mailbox import Mailbox
from supervisor.host.output import OutputThread
from supervisor.host.pulse import Pulses
from supervisor.host.strays import name_strays
from supervisor.host.streams import Streams
from supervisor.host.thread import settle, tell_of_deaths
from supervisor.loop import Loop
from supervisor.narrate import narrate
from supervisor.telemetry import Parts, Telemetry
from supervisor.version import VERSION

log = logging.getLogger("respawnd")

#: Seconds without a turn after which /-/healthy says no.
STALLED = 10.0
#: Seconds between switches of threads at most: 5 ms by default, for which a computing thread would hold up a respawn.
SWITCH_INTERVAL = 0.0001
_UMASK = 0o022  # what a service has that does not ask for another
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


class CannotRun(Exception):
    """The daemon cannot start here, for a reason that is not its configuration; the text is for people."""


@frozen
class Invocation:
    """How the daemon was called, so that the configuration can be read again the same way."""

    path: str
    overrides: tuple[str, ...]
    environ: Mapping[str, str]


class App:
    """One daemon. Also what the control surfaces see of it (control.daemon.Daemon)."""

    def __init__(self, config: Config, invocation: Invocation) -> None:
        self._config, self._invocation = config, invocation
        self._started = time.time()
        self._pulses = Pulses()
        self._signalled = False
        self._reloading = threading.Lock()
        self._board = Board()
        self._mailbox: Mailbox[Event | Ask] = Mailbox()
        self._closing = contextlib.ExitStack()

    # --- life --------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Start, supervise, end; the exit status. Raises CannotRun before anything was started."""
        with self._closing:
            self._prepare()
            self._build()
            self._serve()
            log.info("respawnd %s: %d services from %s", VERSION, len(self._config.services), self._config.path)
            return _in_a_thread(self._loop.run)

    def _prepare(self) -> None:
        """Directories, lock, log and limits."""
        settings = self._config.daemon
        for directory in (settings.state_dir, settings.runtime_dir):
            _make_directory(directory)
        try:
            self._lock = Lock(settings.state_dir)
        except (Held, OSError) as error:
            raise CannotRun(f"cannot run: {error}") from error
        self._closing.callback(self._lock.release)
        replicas = sum(spec.replicas for spec in self._config.services.values())
        try:
            self._raised = descriptors.raise_limit(replicas)
        except descriptors.TooFew as error:
            raise CannotRun(f"cannot run: {error}") from error
        # Before the first thread: with others running, each growth of the descriptor table waits for the kernel.
        pipes.reserve(4 * replicas)
        self._diary = diary.configure(settings.log_level, settings.log_format, settings.log_target, pulses=self._pulses)
        self._closing.callback(self._diary.close, 2.0)
        tell_of_deaths()
        os.umask(_UMASK)
        sys.setswitchinterval(SWITCH_INTERVAL)
        kernel.return_memory()

    def _build(self) -> None:
        """The threads and the loop, nothing of which acts yet."""
        settings = self._config.daemon
        signals = kernel.open_signals(_SIGNALS)
        kernel.become_subreaper()
        self._instance = _instance(settings.state_dir)
        self._output = OutputThread(pulses=self._pulses)
        self._output.start()
        self._closing.callback(self._output.stop, 5.0)
        self._streams = Streams(self._output, os.path.join(settings.state_dir, "log"), _uid_of)
        self._telemetry = Telemetry(
            self._config, self._invocation.environ, self.view, self._tag, (self._lock.look,), self._pulses
        )
        launcher = self._launcher = Launcher(
            self._instance,
            self._invocation.environ,
            self._streams,
            self._mailbox.post,
            time.monotonic,
            self._raised,
            self._pulses,
        )
        self._closing.callback(name_strays)  # after the fork server has ended, which is a child too
        self._closing.callback(launcher.stop, 2.0)
        self._edge = HostEdge(launcher, self._streams, self._mailbox, signals, self._on_signal, self._tag)
        self._edge.pulse = self._pulses.expect("loop")
        limits = Limits(
            settings.respawn_rate, settings.respawn_burst, settings.start_parallelism, settings.shutdown_timeout
        )
        self._fleet = Fleet(self._config.services, limits, time.monotonic())
        observers = (*self._telemetry.observers, narrate)
        self._loop = Loop(
            self._fleet, self._edge, time.monotonic, observers, self._hang_up, self._on_turn, self._telemetry.event
        )

    def _serve(self) -> None:
        """Bind both sockets, then answer on them: bound before either answers."""
        settings, http = self._config.daemon, self._config.http
        self._socket = os.path.join(settings.runtime_dir, "respawnd.sock")
        try:
            listeners = [bind_unix(self._socket)]
            self._closing.callback(listeners[0].close)
            if http.host is not None:
                listeners.append(bind_tcp(http.host, http.port))
                self._closing.callback(listeners[1].close)
        except OSError as error:
            raise CannotRun(f"cannot run: {error}") from error
        address = _address(listeners)
        self.about = About(os.getpid(), VERSION, self._started, 1, self._config.path, self._socket, address)
        self._lock.tell({"pid": os.getpid(), "socket": self._socket, "http": address, "config": self._config.path})
        server = Server(routes(self), listeners, admit=Guard(http), pulses=self._pulses)
        parts = Parts(self._edge, self._mailbox, self._launcher, self._output, server, self._diary)
        self._telemetry.connect(parts)
        try:
            server.start()
            self._closing.callback(server.stop, 2.0)
            self._telemetry.start(self._config)
            self._closing.callback(self._telemetry.stop, 2.0)
        except RuntimeError as error:
            raise CannotRun(f"cannot run: {error}") from error

    # --- in the loop's turn ------------------------------------------------------------------------------------------

    def _on_turn(self, now: float, late: float | None) -> None:
        self._telemetry.turned(now, late)
        self._output.tend()

    def _hang_up(self, view: FleetView) -> None:
        self._board.publish(view)
        self._telemetry.picture(view)

    def _tag(self, key: UnitKey, life: int) -> str:
        return life_tag(self._instance, key, life)

    def _on_signal(self, number: int) -> None:
        name = signal.Signals(number).name
        if number == signal.SIGHUP:
            log.info("%s: reading %s again", name, self._config.path)
            try:
                who = (Origin(name),)
                threading.Thread(target=self.reload, args=who, name="respawnd-reload", daemon=True).start()
            except RuntimeError as error:  # a limit of processes; the loop must not end for it
                log.error("Cannot reload: %s", error)  # noqa: TRY400 - an expected refusal
            return
        log.info("%s: %s", name, "killing what is left" if self._signalled else "stopping all services")
        self._loop.shutdown(hurry=self._signalled, origin=Origin(name))
        self._signalled = True

    # --- what control surfaces may ask (control.daemon.Daemon) -------------------------------------------------------

    def view(self) -> FleetView:
        """The present picture of the fleet."""
        return self._board.view

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The configured groups, with the services of each."""
        return self._config.groups

    def wait(self, until: Callable[[FleetView], bool], timeout: float) -> FleetView | None:
        """Block until a picture satisfies `until`; None when `timeout` seconds passed first."""
        return self._board.wait(until, timeout)

    def ask(self, call: Callable[[], Event | None], timeout: float = 10.0) -> FleetView:
        """Run `call` in the loop's turn and give what it returns to the fleet; the picture after it."""
        answered = threading.Event()
        problems: list[BaseException] = []

        def done(problem: BaseException | None) -> None:
            problems.extend([problem] if problem is not None else [])
            answered.set()

        self._mailbox.post(Ask(call, done))
        if not answered.wait(timeout):
            raise TimeoutError(f"the loop has not answered within {timeout:.0f} s")
        if problems:
            raise problems[0]
        return self._board.view

    def signal(self, keys: tuple[UnitKey, ...], signum: int) -> Mapping[UnitKey, str]:
        """Signal the main process of each; what could not be done, in words, by unit."""
        problems: dict[UnitKey, str] = {}

        def send() -> None:
            for key in keys:
                problem = self._edge.send(key, signum)
                if problem is not None:
                    problems[key] = problem

        self.ask(send)
        return problems

    def reload(self, origin: Origin | None = None) -> tuple[str, ...]:
        """Read the configuration again and take it whole; the problems in words, empty when it was taken.

        A broken include refuses the whole of it: left out, its services would be stopped because a file was wrong.
        """
        with self._reloading:
            return self._reload(origin)

    def _reload(self, origin: Origin | None) -> tuple[str, ...]:
        how, before, began = self._invocation, self._config, time.monotonic()
        problems: Sequence[Problem]
        try:
            config = load(how.path, overrides=how.overrides, environ=how.environ)
            problems = config.broken
        except ConfigError as error:
            config, problems = before, error.problems
        if problems:
            for problem in problems:
                log.error("Cannot reload: %s", problem)
            self._telemetry.refused(before, len(problems), began, origin)
            return tuple(map(str, problems))
        self.ask(lambda: Reconfigured(config.services))
        self._telemetry.loaded(before, config, began, origin)
        for line in _not_live(before, config):
            log.warning("%s", line)
        self._config = config
        log.info("Reloaded %s: %d services", config.path, len(config.services))
        return ()

    def log_path(self, key: UnitKey, stream: str) -> str | None:
        """The file that captures a stream of a unit."""
        unit = self.view().units.get(key)
        return self._streams.path(key, unit.spec, stream) if unit is not None else None

    def usage(self, keys: Iterable[UnitKey]) -> Mapping[UnitKey, Usage]:
        """What the processes of each use, at most half a second ago; one that was never looked at is missing."""
        return self._telemetry.usage(keys)

    def exposition(
        self, accept: str, encoding: str, names: tuple[str, ...], budget: float | None
    ) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        """The metrics page for an Accept and an Accept-Encoding header, with the headers that describe it."""
        page = self._telemetry.page(accept, encoding, names, budget)
        return page.body, page.headers

    def alive(self) -> bool:
        """Whether the loop turned within the last 10 s."""
        return time.monotonic() - self._telemetry.last_turn < STALLED


def _in_a_thread(run: Callable[[], int]) -> int:
    """Run the loop in a thread of its own and wait for it; what it raises is raised here.

    The kernel hands orphans to the main thread: with the loop elsewhere, they are the main thread's only children, and
    telling them from lives costs nothing (host.lives).
    """
    results: list[int] = []
    problems: list[BaseException] = []

    def body() -> None:
        settle("respawnd-loop")
        try:
            results.append(run())
        except BaseException as problem:  # noqa: BLE001 - raised again where it can end the program
            problems.append(problem)

    thread = threading.Thread(target=body, name="respawnd-loop")
    thread.start()
    thread.join()
    if problems:
        raise problems[0]
    return results[0]


def _make_directory(path: str) -> None:
    try:
        os.makedirs(path, mode=0o755, exist_ok=True)
    except OSError as error:
        raise CannotRun(f"cannot run: {path}: {error.strerror}") from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise CannotRun(f"cannot run: {path}: not writable for uid {os.geteuid()}")


def _instance(state_dir: str) -> str:
    """A name for this state directory that no other one bears, short enough for an environment variable."""
    facts = os.stat(state_dir)
    return f"{facts.st_dev:x}.{facts.st_ino:x}"


def _uid_of(spec: UnitSpec) -> int | None:
    """The owner of a service's pipes; None for the daemon's own, or where the name is unknown (the launch says so)."""
    if spec.user is None:
        return None
    import pwd  # noqa: PLC0415 - NSS is not touched by a daemon whose services all run as itself

    with contextlib.suppress(KeyError):
        return int(spec.user) if spec.user.isdigit() else pwd.getpwnam(spec.user).pw_uid
    return None


def _address(listeners: list[Listener]) -> str | None:
    for listener in listeners:
        if listener.kind == "tcp":
            host, port = listener.sock.getsockname()[:2]
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return None


def _not_live(old: Config, new: Config) -> list[str]:
    """What a reload cannot change in a running daemon, in words."""
    changed = [name for name in ("daemon", "http", "tracing") if getattr(old, name) != getattr(new, name)]
    return [f"{new.path}: {name}: changed; takes effect when respawnd is started again" for name in changed]
