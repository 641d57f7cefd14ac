"""``python -m bench.sampled SERVICES EACH ROUNDS``: samples real processes in turn with psutil; prints times in JSON.

EACH is 1 for one `sleep` a service, more for a shell with so many less one beneath it. psutil is asked for the same:
one pass over the processes of the machine that reads parent, processor time, memory, threads, descriptors and storage
of each, and adds them up by service. Both are held against each other first: what they say of processes, threads,
memory and descriptors must agree.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import psutil

from bench import program
from metrics.recorder import Recorder
from metrics.sampler import Sampler, SamplerSettings
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import State, Unit, Want
from supervisor.core.view import FleetView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PATIENCE = 30.0  # seconds for all to be there
_ATTRIBUTES = ["pid", "ppid", "cpu_times", "memory_info", "num_threads", "num_fds", "io_counters"]
_READY = b"+"
#: Bytes by which a process's memory in stat may be off: what three counters hold back on each processor, 32 pages each.
_INEXACT = 3 * 32 * os.sysconf("SC_PAGE_SIZE") * (os.cpu_count() or 1)


class Unfair(Exception):
    """The two sides do not say the same."""


class Fleet:
    """Real processes under the names of services."""

    def __init__(self, services: int, each: int) -> None:
        self.leaders: list[int] = []
        told, tell = os.pipe()
        try:
            for number in range(services):
                self.leaders.append(_started(number, each, tell))
            for _ in range(services):  # a shell tells when all beneath it are there, a sleep when it is begun
                if each > 1:
                    os.read(told, 1)
            self.view = FleetView({unit.key: unit for unit in map(_unit, range(services), self.leaders)}, 1)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(told)
            os.close(tell)

    def close(self) -> None:
        """End them all."""
        for leader in self.leaders:
            os.killpg(leader, signal.SIGKILL)
            os.waitpid(leader, 0)


def _key(number: int) -> UnitKey:
    return UnitKey(f"worker-{number:04d}")


def _tag(key: UnitKey, life: int) -> str:
    return f"bench.{os.getpid()}.{key}.{life}"


def _started(number: int, each: int, tell: int) -> int:
    """Start one service in a session of its own and with its tag, as the daemon does."""
    environ = {"PATH": os.defpath, "RESPAWND_LIFE": _tag(_key(number), 1)}
    if each == 1:
        return os.posix_spawn("/bin/sleep", ["sleep", "86400"], environ, setsid=True)
    beneath = "sleep 86400 & " * (each - 1)
    script = f"{beneath} printf {_READY.decode()} >&3; exec 3>&-; wait"
    actions = [(os.POSIX_SPAWN_DUP2, tell, 3)]
    return os.posix_spawn("/bin/sh", ["sh", "-c", script], environ, file_actions=actions, setsid=True)


def _unit(number: int, pid: int) -> Unit:
    now = time.monotonic()
    key = _key(number)
    spec = UnitSpec(key.service, ("sleep",))
    return Unit(
        key, spec, Want.UP, State.RUNNING, life=1, pid=pid, since=now, started_at=now, started_wall=time.time(),
        ready_at=now,
    )  # fmt: skip


def by_psutil(leaders: Mapping[int, UnitKey]) -> dict[UnitKey, list[float]]:
    """Read every process of the machine and add up by service.

    Processes, threads, bytes resident, descriptors, seconds of user and of system time, bytes read and written.
    """
    found: dict[int, dict[str, Any]] = {each.pid: each.info for each in psutil.process_iter(_ATTRIBUTES)}
    totals: dict[UnitKey, list[float]] = defaultdict(lambda: [0.0] * 8)
    for pid, info in found.items():
        at: int | None = pid
        while at is not None and at not in leaders:
            at = found[at]["ppid"] if at in found else None
        if at is None:
            continue
        cpu, memory, io = info["cpu_times"], info["memory_info"], info["io_counters"]
        add = (1, info["num_threads"], memory.rss, info["num_fds"], cpu.user, cpu.system, io.read_bytes, io.write_bytes)
        total = totals[leaders[at]]
        for index, value in enumerate(add):
            total[index] += value
    return totals


def _compare(recorder: Recorder, leaders: Mapping[int, UnitKey]) -> None:
    """Raise Unfair where both sides differ in processes, threads or descriptors, or are far apart in memory.

    The kernel gives memory twice: exactly in statm, and in stat less what each processor has not yet added up (proc(5)
    calls it inaccurate).
    """
    theirs = by_psutil(leaders)
    for key in leaders.values():
        usage = recorder.replicas[key].usage
        if usage is None:
            raise Unfair(f"{key}: not sampled")
        ours = [usage.processes, usage.threads, usage.open_fds]
        processes, threads, resident, open_fds = theirs[key][:4]
        far = abs(usage.resident - resident) > _INEXACT * processes
        if ours != [processes, threads, open_fds] or far:
            said = f"processes, threads, descriptors, memory are {[*ours, usage.resident]}"
            raise Unfair(f"{key}: {said}; by psutil {[processes, threads, open_fds, resident]}")


def _timed(take: Callable[[], object]) -> tuple[float, float]:
    """Give the seconds by the clock and of processor time of one pass."""
    begin, spent = time.perf_counter(), time.thread_time()
    take()
    return time.perf_counter() - begin, time.thread_time() - spent


def _race(view: FleetView, rounds: int) -> dict[str, object]:
    recorder = Recorder()
    recorder.sync(view)
    sampler = Sampler(lambda: view, recorder, SamplerSettings(), tag=_tag)
    leaders = {unit.pid: key for key, unit in view.units.items() if unit.pid is not None}
    sides: list[tuple[str, Callable[[], object]]] = [
        ("respawnd", sampler.sample),
        ("psutil", lambda: by_psutil(leaders)),
    ]
    for _, take in sides:
        take()  # both keep what does not change
    _compare(recorder, leaders)
    times: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(rounds):
        for name, take in sides if number % 2 else reversed(sides):
            times[name].append(_timed(take))
    return {name: {"wall": [wall for wall, _ in each], "cpu": [cpu for _, cpu in each]} for name, each in times.items()}


def main(services: int, each: int, rounds: int) -> None:
    """Start, race, end."""
    fleet = Fleet(services, each)
    try:
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until and not all(map(_settled, fleet.leaders)):
            time.sleep(0.05)  # between fork and exec a process looks like this one
        time.sleep(1.0)  # nor is it told when the last has loaded its libraries
        there = sum(name.isdigit() for name in os.listdir("/proc"))
        program.answer({"processes": there, "sides": _race(fleet.view, rounds)})
    finally:
        fleet.close()


def _settled(leader: int) -> bool:
    """Tell whether the leader has become what it is to be."""
    with open(f"/proc/{leader}/comm", encoding="utf-8") as file:
        return file.read().strip() in {"sleep", "sh", "dash", "bash"}


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]))
