"""What the daemon's parts tell of themselves on the metrics page, read when one is made: wiring, no state of the loop.

Rules: nothing here is called by the loop; a reading is quick, and one that fails costs its own family
(metrics.exposition).
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from metrics.exposition.own import identify, install, revision
from metrics.recorder import Recorder
from supervisor.config import Config
from supervisor.control.server import Server
from supervisor.core.model import UnitKey
from supervisor.core.state import State
from supervisor.core.view import FleetView
from supervisor.host.diary import Diary
from supervisor.host.launch import Launcher
from supervisor.host.mailbox import Mailbox
from supervisor.host.output import OutputThread
from supervisor.host.pulse import Beat, Pulses
from supervisor.version import VERSION

if TYPE_CHECKING:
    from metrics.tracing import Tracing

Samples = list[tuple[tuple[str, ...], float]]
_ENDLESS = float("inf")
_T = TypeVar("_T")
_SAME_PAGE = 1.0  # seconds


class Queue(NamedTuple):
    """What waits in a queue, how much may, and how much was dropped since the start; None where nothing ever is."""

    depth: int
    capacity: float = _ENDLESS
    dropped: int | None = None


def features() -> dict[str, bool]:
    """The kernel facilities this daemon can use, by kernel release; each is also tried where it is first used."""
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
    return {
        "pidfd": release >= (5, 3),
        "pidfd_exit_info": release >= (6, 15),
        "cgroup_kill": release >= (5, 14) and os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
        "psi": os.path.exists("/proc/pressure/cpu"),
    }


def describe(recorder: Recorder, config: Config) -> None:
    """What does not change while the daemon runs."""
    identify(
        recorder, VERSION, lambda: revision(Path(__file__).resolve().parents[1]), config.daemon.state_dir, features()
    )
    recorder.put("respawnd_start_parallelism_limit", float(config.daemon.start_parallelism or _ENDLESS))
    install(recorder)


def loaded(recorder: Recorder, config: Config | None) -> None:
    """Note that a configuration was taken, or (None) that it was refused."""
    recorder.count("respawnd_config_reloads_total", "error" if config is None else "ok")
    recorder.put("respawnd_config_last_reload_successful", 0.0 if config is None else 1.0)
    if config is not None:
        recorder.put("respawnd_config_last_reload_success_timestamp_seconds", time.time())
        recorder.put("respawnd_config_hash", float(int(digest(config), 16)))


def digest(config: Config) -> str:
    """Name the effective configuration by 48 bits, which a float holds exactly: what differs in any setting differs."""
    settings = (config.daemon, config.http, config.metrics, config.tracing)
    text = repr((*settings, sorted(config.services.items()), sorted(config.groups.items())))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def changed_services(before: Config, after: Config) -> int:
    """How many services came, went, or have another specification."""
    names = before.services.keys() | after.services.keys()
    return sum(before.services.get(name) != after.services.get(name) for name in names)


def wire(
    recorder: Recorder,
    view: Callable[[], FleetView],
    server: Server,
    diary: Diary,
    orphans: Callable[[], int],
) -> None:
    """Let the page read the parts."""
    recorder.probe("respawnd_starts_inflight", lambda: _launching(view()))
    recorder.probe("respawnd_orphans_reaped_total", lambda: float(orphans()))
    recorder.probe("respawnd_log_messages_total", lambda: [((level,), float(n)) for level, n in diary.messages.items()])
    recorder.probe("respawnd_api_requests_total", lambda: _requests(server))


def _launching(view: FleetView) -> float:
    return float(sum(unit.state is State.LAUNCHING for unit in view.units.values()))


def _requests(server: Server) -> Samples:
    return [((handler, method, str(code)), float(n)) for (handler, method, code), n in server.stats().requests.items()]


class Shared(Generic[_T]):
    """One reading for several families of a page, which asks for them in turn.

    A family that asks again gets a new one, so no page has figures of another; one that asks alone (`name[]`) gets none
    that is older than a second. Any thread may ask: at worst one reads in vain.
    """

    def __init__(self, read: Callable[[], _T], clock: Callable[[], float] = time.monotonic) -> None:
        self._read, self._clock = read, clock
        self._last: tuple[float, _T, set[str]] | None = None

    def of(self, family: str) -> _T:
        """Return the reading for that family."""
        last, now = self._last, self._clock()
        if last is None or family in last[2] or now - last[0] > _SAME_PAGE:
            last = self._last = (now, self._read(), set())
        last[2].add(family)
        return last[1]


def threads(recorder: Recorder, pulses: Pulses) -> None:
    """Let the page tell of every thread: whether it lives, its last sign of life, its failures."""
    beats = Shared(pulses.beats)

    def probe(name: str, value: Callable[[Beat], float]) -> None:
        recorder.probe(name, lambda: [((beat.name,), value(beat)) for beat in beats.of(name)])

    probe("respawnd_thread_up", lambda beat: float(beat.up))
    probe("respawnd_thread_last_heartbeat_time_seconds", lambda beat: beat.at)
    probe("respawnd_thread_restarts_total", lambda beat: float(beat.restarts))


def queues(recorder: Recorder, those: Mapping[str, Callable[[], Queue]]) -> None:
    """Let the page tell of every queue, by name."""
    looks = Shared(lambda: [(name, look()) for name, look in those.items()])

    def probe(name: str, value: Callable[[Queue], float | None]) -> None:
        def read() -> Samples:
            found = [(queue, value(one)) for queue, one in looks.of(name)]
            return [((queue,), float(known)) for queue, known in found if known is not None]

        recorder.probe(name, read)

    probe("respawnd_queue_depth", lambda one: one.depth)
    probe("respawnd_queue_capacity", lambda one: one.capacity)
    probe("respawnd_queue_dropped_total", lambda one: one.dropped)


def queues_of(
    view: Callable[[], FleetView],
    mailbox: Mailbox[Any],
    launcher: Launcher,
    output: OutputThread,
    server: Server,
    diary: Diary,
) -> dict[str, Callable[[], Queue]]:
    """The queues that every daemon has, by name.

    Events, respawns that wait for their rate, launches, commands about output, rotated files, requests that wait for a
    worker, connections (of the kind, TCP or Unix, that has most), lines of the log.
    """
    return {
        "mailbox": lambda: Queue(len(mailbox)),
        "respawn": lambda: Queue(sum("rate" in unit.waiting_for for unit in view().units.values())),
        "launch": lambda: Queue(launcher.waiting),
        "output": lambda: Queue(output.waiting),
        "compress": lambda: Queue(output.uncompressed),
        "http": lambda: _requests_queue(server),
        "http_connections": lambda: _connections(server),
        "diary": lambda: Queue(diary.waiting, diary.capacity, sum(diary.dropped.values())),
    }


def queues_of_tracing(tracing: Tracing) -> dict[str, Callable[[], Queue]]:
    """The queues of a daemon that traces."""

    def read(name: str) -> Queue:
        return Queue(*tracing.queues()[name])

    return {name: partial(read, name) for name in tracing.queues()}


def _requests_queue(server: Server) -> Queue:
    stats = server.stats()
    return Queue(stats.queue_depth, stats.queue_capacity, stats.queue_refused)


def _connections(server: Server) -> Queue:
    stats = server.stats()
    return Queue(
        stats.connections_fullest, stats.connections_capacity, stats.dropped["full"] + stats.dropped["evicted"]
    )


class OutputCounts:
    """Carries the output thread's counters over to the recorder, as differences since the last page."""

    def __init__(self, output: OutputThread, recorder: Recorder) -> None:
        self._output, self._recorder = output, recorder
        self._seen: dict[tuple[UnitKey, str], tuple[int, int]] = {}
        self._lock = threading.Lock()

    def carry(self, units: Iterable[UnitKey]) -> None:
        """Count what came since the last call. From any thread, one at a time."""
        with self._lock:
            known = set(units)
            for name, stats in self._output.stats().items():
                if name[0] not in known:
                    continue
                bytes_before, lines_before = self._seen.get(name, (0, 0))
                self._recorder.count_output(name[0].service, name[1], stats.bytes - bytes_before)
                self._recorder.count_dropped_lines(name[0].service, stats.dropped_lines - lines_before)
                self._seen[name] = (stats.bytes, stats.dropped_lines)
            for name in [name for name in self._seen if name[0] not in known]:
                del self._seen[name]
