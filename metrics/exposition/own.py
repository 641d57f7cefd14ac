"""What the daemon's own process tells of itself: /proc, the garbage collector, the interpreter, and who it is.

The families are those of prometheus-client's collectors, with its names and texts; read here because importing the
client for them would cost 100 ms and several MB at boot.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from math import inf
from pathlib import Path

from metrics.recorder import Recorder
from metrics.recorder.tally import Labels

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = resource.getpagesize()
_NOBODY = "localhost"


class OwnProcess:
    """Readings of /proc/self, one pass for all families of a render. Linux proc(5)."""

    def __init__(self) -> None:
        self._stat: list[str] = []
        self._started: float | None = None

    def virtual(self) -> float:
        """Bytes of address space. The first of the readings: it takes the pass that the others use."""
        self._stat = Path("/proc/self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
        return float(self._stat[20])

    def resident(self) -> float:
        """Bytes of memory."""
        return float(self._field(21)) * _PAGE

    def cpu(self) -> float:
        """Seconds of processor time, user and system."""
        return (int(self._field(11)) + int(self._field(12))) / _TICKS

    def started(self) -> float:
        """Unix time of its start, which does not change."""
        if self._started is None:
            boot = next(
                line for line in Path("/proc/stat").read_text("ascii").splitlines() if line.startswith("btime ")
            )
            self._started = float(boot.split()[1]) + float(self._field(19)) / _TICKS
        return self._started

    def _field(self, index: int) -> str:
        if not self._stat:
            self.virtual()
        return self._stat[index]


def open_fds() -> float:
    """Descriptors that are open, the one for the listing included, as in prometheus-client."""
    return float(len(os.listdir("/proc/self/fd")))


def max_fds() -> float:
    """Soft limit of descriptors."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return inf if soft == resource.RLIM_INFINITY else float(soft)


def collected(what: str) -> list[tuple[Labels, float]]:
    """One figure of the garbage collector, by generation."""
    return [((str(generation),), float(stats[what])) for generation, stats in enumerate(gc.get_stats())]


def python_info() -> list[tuple[Labels, float]]:
    """The interpreter, in the catalogue's order of labels."""
    major, minor, patch = sys.version_info[:3]
    name = {"cpython": "CPython", "pypy": "PyPy"}.get(sys.implementation.name, sys.implementation.name)
    return [((sys.version.split()[0], name, str(major), str(minor), str(patch)), 1.0)]


def instance_id(state_dir: str) -> str:
    """Name this daemon for ever: a UUID (version 5) of the machine and the state directory."""
    from uuid import UUID, uuid5  # noqa: PLC0415 - 6 ms, paid by the first scrape and not by the boot

    try:
        machine = Path("/etc/machine-id").read_text("ascii").strip()
    except (OSError, ValueError):
        machine = os.uname().nodename
    return str(uuid5(UUID("7b1c2c9e-0b0f-5d5e-9d5c-2f6a5d1f6c11"), f"{machine}:{state_dir}"))


def revision(beside: Path) -> str:
    """The commit that was installed, if pip installed it from a repository (PEP 610); `beside` is site-packages."""
    for told in beside.glob("respawnd-*.dist-info/direct_url.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            return str(json.loads(told.read_bytes())["vcs_info"]["commit_id"])
    return ""


def identify(
    recorder: Recorder, version: str, commit: str | Callable[[], str], state_dir: str, features: Mapping[str, bool]
) -> None:
    """Let the page say who this daemon is, and which kernel facilities it has. The first page asks for the commit."""
    known: list[tuple[Labels, float]] = []
    built: list[tuple[Labels, float]] = []

    def target() -> list[tuple[Labels, float]]:
        if not known:
            known.append((("respawnd", version, instance_id(state_dir), os.uname().nodename or _NOBODY), 1.0))
        return known

    def build() -> list[tuple[Labels, float]]:
        if not built:
            labels = version, commit if isinstance(commit, str) else commit(), sys.version.split()[0]
            built.append((labels, 1.0))
        return built

    recorder.probe("target_info", target)
    recorder.probe("respawnd_build_info", build)
    for name, there in features.items():
        recorder.put("respawnd_feature", float(there), name)


def install(recorder: Recorder) -> None:
    """Let the page tell of the daemon's own process."""
    process = OwnProcess()
    recorder.probe("process_virtual_memory_bytes", process.virtual)
    recorder.probe("process_resident_memory_bytes", process.resident)
    recorder.probe("process_start_time_seconds", process.started)
    recorder.probe("process_cpu_seconds_total", process.cpu)
    recorder.probe("process_open_fds", open_fds)
    recorder.probe("process_max_fds", max_fds)
    recorder.probe("python_gc_objects_collected_total", lambda: collected("collected"))
    recorder.probe("python_gc_objects_uncollectable_total", lambda: collected("uncollectable"))
    recorder.probe("python_gc_collections_total", lambda: collected("collections"))
    recorder.probe("python_info", python_info)
