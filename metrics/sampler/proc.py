"""Readings from /proc, with few system calls and by identity: a pid that was given anew is never read as the old one.

Rules
- A process that vanished is normal and no error. What else fails is counted, by one of REASONS, and reads None.
- What is read of a process that was known before is read first and its start time last: if that is still the same, it
  was this process all along. One that is new is looked at twice.
- A look at a process costs 10 us: /proc/PID/stat opened, read and closed. Descriptors kept open would save half of
  that, and cost two of them a process, which every launch would have to close.
- A process of one thread that has not run since it was read in full, by the nanoseconds in its schedstat, is as it was:
  nothing but the kernel's taking pages from it, and somebody else's changing its limit, can have happened. It is read
  in full at one pass of TURNS all the same.
- A process that is nobody's stays so, and is not looked at again as long as the inode of its directory is the same,
  which the list of /proc tells: the kernel drops it when the process is gone. That is its caching, not its promise, so
  each is looked at again at one pass of TURNS all the same.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Container, Mapping
from typing import NamedTuple

from metrics.sampler.tree import Entry

#: Label `reason` of respawnd_resource_sample_errors_total.
REASONS = ("permission", "format", "descriptors", "io")
_GONE = (errno.ENOENT, errno.ESRCH)
_WORDS = {
    errno.EACCES: "permission",
    errno.EPERM: "permission",
    errno.EMFILE: "descriptors",
    errno.ENFILE: "descriptors",
}
#: Passes at one of which a process that is nobody's is looked at again, and one that has not run is read again.
TURNS = 16
_FLAGS = os.O_RDONLY | os.O_CLOEXEC
_STAT_BYTES, _IO_BYTES = 1024, 512
_open, _read, _close, _stat, _prlimit, _NOFILE = (
    os.open, os.read, os.close, os.stat, resource.prlimit, resource.RLIMIT_NOFILE,
)  # fmt: skip
_new = tuple.__new__
_TAG = b"\0RESPAWND_LIFE="


class Reading(NamedTuple):
    """What else is read of a process: bytes of storage, open descriptors and how many it may have. None: unreadable."""

    read: int | None
    written: int | None
    fds: int | None
    limit: int | None


class _Quiet(NamedTuple):
    """A process of one thread as it was read in full, after its schedstat had said `ran`."""

    inode: int
    ran: bytes
    entry: Entry
    reading: Reading


class Scan(NamedTuple):
    """One look at every process: `blind` are pids of which nothing can be said, `readings` of those that were known.

    The entries of those that are nobody's may be old.
    """

    everyone: dict[int, Entry]
    readings: dict[int, Reading]
    blind: set[int]
    inodes: dict[int, int]


class Proc:
    """Reads below `root`. `failed` counts an error by its reason; `aside` is called between processes."""

    def __init__(self, failed: Callable[[str], None], aside: Callable[[], None], root: str = "/proc") -> None:
        self._failed, self._aside, self._root = failed, aside, root
        self._nobodys: dict[int, tuple[int, Entry]] = {}
        self._turn = 0
        self._texts: dict[bytes | None, Entry] = {}
        self._quiet: dict[int, _Quiet] = {}
        self.counts_io = os.path.exists(f"{root}/self/io")
        # All zeros where the kernel does not keep account (CONFIG_SCHED_INFO).
        self._accounts = not (self._ran("self") or b"0 ").startswith(b"0 ")
        # Linux 6.2 tells the number of descriptors as the size of their directory; 0 where it does not.
        self._sized = os.path.exists(f"{root}/self/fd") and os.stat(f"{root}/self/fd").st_size > 0

    def scan(self, known: Mapping[int, int], wanted: Container[int]) -> Scan:
        """Look at every process. `known` are start times by pid, of processes that are to be read in full.

        Those that are `wanted` are looked at even if they were nobody's.
        """
        scan = Scan({}, {}, set(), {})
        everyone, readings, blind, inodes = scan
        texts, self._texts = self._texts, {}
        quiet, self._quiet = self._quiet, {}
        self._turn = (self._turn + 1) % TURNS
        with os.scandir(self._root) as folders:
            for folder in folders:
                if not folder.name.isdigit():
                    continue
                pid = int(folder.name)
                inode = inodes[pid] = folder.inode()
                old = self._nobodys.get(pid)
                if old is not None and old[0] == inode and pid not in wanted and pid % TURNS != self._turn:
                    everyone[pid] = old[1]
                    continue
                started = known.get(pid)
                # Before all else that is read of it: what runs meanwhile will not have the same words next time.
                ran = self._ran(folder.name) if started is not None and self._accounts else None
                before = quiet.get(pid)
                if before is not None and self._is_as(before, inode, ran, started):
                    everyone[pid], readings[pid], self._quiet[pid] = before.entry, before.reading, before
                    self._aside()
                    continue
                reading = self.reading(pid) if started is not None else None
                text = self._text(pid, blind)
                # Of a process that did nothing the text is the same: most are, and it need not be read again.
                entry = texts[text] if text in texts else self._entry(pid, text, blind)
                if entry is not None and text is not None:
                    everyone[pid] = entry
                    if reading is not None and entry.started == started:
                        readings[pid] = reading
                        self._texts[text] = entry
                        if ran is not None and entry.threads == 1:
                            self._quiet[pid] = _Quiet(inode, ran, entry, reading)
                self._aside()
        return scan

    def nobodys(self, scan: Scan, owner: Mapping[int, object]) -> None:
        """Remember who is nobody's, which are those without an owner."""
        self._nobodys = {
            pid: (scan.inodes[pid], entry) for pid, entry in scan.everyone.items() if owner.get(pid) is None
        }

    def fresh(self, entry: Entry) -> tuple[Entry, Reading] | None:
        """Read a process in full that was not known before; None if it is gone."""
        reading = self.reading(entry.pid)
        again = self.entry(entry.pid)
        return (again, reading) if again is not None and again.started == entry.started else None

    def entry(self, pid: int, blind: set[int] | None = None) -> Entry | None:
        """Look at one process; None if it is gone, or joined to `blind` as one that cannot be looked at."""
        return self._entry(pid, self._text(pid, blind), blind)

    def _is_as(self, before: _Quiet, inode: int, ran: bytes | None, started: int | None) -> bool:
        return (
            (before.inode, before.ran) == (inode, ran)
            and before.entry.started == started
            and before.entry.pid % TURNS != self._turn
        )

    def _ran(self, pid: str) -> bytes | None:
        """For how long the main thread of a process has run and waited, and how often; None if that cannot be known."""
        try:
            fd = _open(f"{self._root}/{pid}/schedstat", _FLAGS)
            try:
                return _read(fd, _IO_BYTES)
            finally:
                _close(fd)
        except OSError:
            return None

    def _text(self, pid: int, blind: set[int] | None) -> bytes | None:
        try:
            fd = _open(f"{self._root}/{pid}/stat", _FLAGS)
            try:
                return _read(fd, _STAT_BYTES)
            finally:
                _close(fd)
        except OSError as error:
            if self._counted(error) and blind is not None:
                blind.add(pid)
            return None

    def _entry(self, pid: int, text: bytes | None, blind: set[int] | None) -> Entry | None:
        if text is None:
            return None
        try:
            # The command's name stands in parentheses and may itself hold spaces, parentheses and line ends.
            f = text[text.rindex(b")") + 2 :].split(b" ", 22)
            # Not by the class, whose constructor runs Python.
            return _new(Entry, (
                pid, f[0], int(f[1]), int(f[2]), int(f[3]), int(f[11]), int(f[12]), int(f[13]), int(f[14]), int(f[17]),
                int(f[19]), int(f[21]),
            ))  # fmt: skip
        except (ValueError, IndexError) as error:
            if self._counted(error) and blind is not None:
                blind.add(pid)
            return None

    def reading(self, pid: int) -> Reading:
        """Everything but the entry."""
        here = f"{self._root}/{pid}/"
        read = written = fds = limit = None
        try:
            if self.counts_io:
                read, written = self._io(here)
        except (OSError, ValueError, IndexError) as error:
            self._counted(error)
        try:
            fds = _stat(here + "fd").st_size if self._sized else len(os.listdir(here + "fd"))
        except OSError as error:
            self._counted(error)
        try:
            limit = _prlimit(pid, _NOFILE)[0]
        except OSError as error:
            self._counted(error)
        return _new(Reading, (read, written, fds, limit))

    def _io(self, here: str) -> tuple[int, int]:
        fd = _open(here + "io", _FLAGS)
        try:
            text = _read(fd, _IO_BYTES)
        finally:
            _close(fd)
        # rchar, wchar, syscr, syscw, read_bytes, write_bytes, cancelled_write_bytes: a line each (proc(5)).
        f = text.split(None, 12)
        return int(f[9]), int(f[11])

    def tag(self, pid: int) -> bytes | None:
        """The life that the environment of a process names, as it was at exec; None for none, or where it is secret."""
        try:
            with open(f"{self._root}/{pid}/environ", "rb", buffering=0) as file:
                data = b"\0" + file.read()
        except OSError:
            return None
        at = data.find(_TAG)
        return data[at + len(_TAG) :].split(b"\0", 1)[0] if at >= 0 else None

    def _counted(self, error: Exception) -> bool:
        """Count what failed, unless the process is simply gone."""
        if isinstance(error, OSError):
            if error.errno in _GONE:
                return False
            self._failed(_WORDS.get(error.errno or 0, "io"))
        else:
            self._failed("format")
        return True
