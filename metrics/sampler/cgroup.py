"""Control groups (cgroup v2): which is a replica's own, what is in it, what its counters say.

Rules
- A group is a replica's own if its main process is in it, the daemon is neither in it nor below it, and no other
  replica's main process is. Any other is read over /proc.
- Each figure is read where its file is: a group without a controller lacks that controller's files.
- A group is told from a later one of its name by its inode, which the kernel never gives again.

The kernel's documentation has the files: Documentation/admin-guide/cgroup-v2.rst.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

from metrics.sampler.snapshot import Group, three

Key = TypeVar("Key", bound=Hashable)
_GONE = (FileNotFoundError, ProcessLookupError)
# A group that was removed while its file was open, and pressure where the kernel does not account for it.
_ABSENT = (errno.ENODEV, errno.EOPNOTSUPP)
_PRESSURES = ("cpu", "memory", "io")
_SKIPPED_FIELDS = 6  # of /proc/self/mountinfo, before the optional ones


class Memory(NamedTuple):
    """`used` bytes less what could be given back at once (inactive file pages), and the limit, if there is one."""

    used: int
    limit: int | None


def own(paths: Mapping[Key, str], daemon: str) -> set[Key]:
    """Those whose group, of `paths`, is theirs alone; `daemon` is the group of the daemon itself."""
    ordered = sorted((f"{path.rstrip('/')}/", key) for key, path in paths.items())
    mine = f"{daemon.rstrip('/')}/"
    alone = set()
    for at, (path, key) in enumerate(ordered):
        shared = at + 1 < len(ordered) and ordered[at + 1][0].startswith(path)
        same = at > 0 and ordered[at - 1][0] == path
        if not shared and not same and not mine.startswith(path):
            alone.add(key)
    return alone


class Groups:
    """Reads groups. `failed` counts an error by its reason; `mount` is where the hierarchy is, "" for nowhere."""

    def __init__(self, failed: Callable[[str], None], mount: str | None = None, proc: str = "/proc") -> None:
        self._failed, self._proc = failed, proc
        self.mount = _mount(proc) if mount is None else mount
        self.daemon = self.path("self") or "/"

    def path(self, pid: int | str) -> str | None:
        """The group of a process, from the top of the hierarchy; None where there is none to be read."""
        text = self._text(f"{self._proc}/{pid}/cgroup") if self.mount else None
        for line in (text or "").splitlines():
            if line.startswith("0::/") and not line.startswith("0::/..") and not line.endswith(" (deleted)"):
                return line[3:]
        return None

    def processes(self, path: str) -> list[int]:
        """The pids in a group and below it."""
        found: list[int] = []
        waiting = [f"{self.mount}{path}"]
        while waiting:
            folder = waiting.pop()
            text = self._text(f"{folder}/cgroup.procs") or ""
            found.extend(int(word) for word in text.split() if word.isdigit())
            waiting.extend(self._below(folder))
        return found

    def _below(self, folder: str) -> list[str]:
        try:
            with os.scandir(folder) as entries:
                return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        except _GONE:
            return []
        except OSError:
            self._failed("io")
            return []

    def counters(self, path: str, *, pressure: bool) -> Group | None:
        """What the group counted since it was made; None if it is gone or counts no processor time.

        Throttling and stalls are read only with `pressure`.
        """
        folder = f"{self.mount}{path}"
        try:
            identity = os.stat(folder).st_ino
        except OSError:
            return None
        try:
            return self._counters(folder, identity, pressure=pressure)
        except (ValueError, IndexError):
            self._failed("format")
            return None

    def _counters(self, folder: str, identity: int, *, pressure: bool) -> Group | None:
        cpu = _pairs(self._text(f"{folder}/cpu.stat"))
        if "user_usec" not in cpu or "system_usec" not in cpu:
            return None
        read, written = _devices(self._text(f"{folder}/io.stat"))
        throttled = cpu.get("throttled_usec") if pressure else None
        stalled = self._stalled(folder) if pressure else None
        return Group(identity, cpu["user_usec"], cpu["system_usec"], read, written, throttled, stalled)

    def _stalled(self, folder: str) -> tuple[int, int, int] | None:
        """Microseconds in which some task waited for processor, memory, storage."""
        totals = [_some(self._text(f"{folder}/{name}.pressure")) for name in _PRESSURES]
        return three([total for total in totals if total is not None]) if None not in totals else None

    def memory(self, path: str) -> Memory | None:
        """The memory of a group; None without the controller. The top of the hierarchy has no such files."""
        folder = f"{self.mount}{path}"
        used, limit = self._text(f"{folder}/memory.current"), self._text(f"{folder}/memory.max")
        if used is None or not used.strip().isdigit():
            return None
        idle = _pairs(self._text(f"{folder}/memory.stat")).get("inactive_file", 0)
        top = (limit or "").strip()
        return Memory(max(0, int(used) - idle), int(top) if top.isdigit() else None)

    def _text(self, path: str) -> str | None:
        """The text of a small file; None where it is not there. What else is in the way is counted."""
        try:
            with open(path, "rb", buffering=0) as file:
                return file.read().decode("utf-8", "surrogateescape")
        except _GONE:
            return None
        except PermissionError:
            self._failed("permission")
        except OSError as error:
            if error.errno not in _ABSENT:
                self._failed("io")
        return None


def _mount(proc: str) -> str:
    """Where the unified hierarchy is mounted, "" if it is nowhere (proc(5), mountinfo)."""
    try:
        with open(f"{proc}/self/mountinfo", "rb") as file:
            lines = file.read().decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if after.startswith("cgroup2 ") and len(fields) >= _SKIPPED_FIELDS and fields[3] == "/":
            return fields[4]
    return ""


def _pairs(text: str | None) -> dict[str, int]:
    """A file of lines with a word and a number."""
    lines = (line.split() for line in (text or "").splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def _devices(text: str | None) -> tuple[int | None, int | None]:
    """Bytes read and written, of all devices; None without the controller."""
    if text is None:
        return None, None
    words = [word.partition("=") for word in text.split()]
    sums = {name: sum(int(value) for key, _, value in words if key == name) for name in ("rbytes", "wbytes")}
    return sums["rbytes"], sums["wbytes"]


def _some(text: str | None) -> int | None:
    """The total of the line that begins with `some`."""
    for line in (text or "").splitlines():
        if line.startswith("some "):
            return int(line.rpartition("total=")[2])
    return None
