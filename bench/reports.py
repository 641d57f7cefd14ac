"""Reads what the children tell about their own lives.

Every child writes one record of 32 bytes to a FIFO (bench/src/child.c). The harness holds the FIFO open for reading and
writing, so no child ever finds it without a reader, and empties it while it waits. Times are CLOCK_MONOTONIC in
nanoseconds, the clock of ``time.monotonic_ns``.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import time
from enum import IntEnum
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

_RECORD = struct.Struct("=qqiiii")
_LOOK_UP = 0.5  # seconds without a report, after which to ask whether any can come
_ROOM = 1 << 20  # 32,768 reports may wait unread


class Kind(IntEnum):
    """What a child reports."""

    BORN = 0
    FLOOD_START = 1
    FLOOD_END = 2


class Missing(Exception):
    """Not every report that was waited for came."""


@frozen
class Report:
    """One moment in the life of a child."""

    time_ns: int
    bytes: int
    pid: int
    ident: int
    kind: Kind


class Reports:
    """The FIFO of one supervisor under test, and the latest life of each of its children."""

    def __init__(self, path: str) -> None:
        os.mkfifo(path)
        os.chmod(path, 0o666)  # a service may run as another user
        self.path = path
        self.lives: dict[int, Report] = {}
        self.births = 0
        self._marks: dict[Kind, Report] = {}
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, _ROOM)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)

    def take(self, seconds: float) -> list[Report]:
        """Give the reports that are there, or the first to come within ``seconds``; none is an empty list."""
        if not self._poll.poll(max(0.0, seconds) * 1000):
            return []
        data = os.read(self._fd, _RECORD.size * 4096)
        reports = [
            Report(time_ns, size, pid, ident, Kind(kind))
            for time_ns, size, pid, ident, kind, _ in _RECORD.iter_unpack(data)
        ]
        for report in reports:
            self._note(report)
        return reports

    def births_of(self, idents: Collection[int], seconds: float, hopeless: Callable[[], bool]) -> dict[int, Report]:
        """Wait until each of ``idents`` has told of a new life; raise Missing after ``seconds`` or if ``hopeless``."""
        born: dict[int, Report] = {}
        wanted = set(idents)
        until = time.monotonic() + seconds
        while wanted:
            left = until - time.monotonic()
            reports = self.take(min(left, _LOOK_UP))
            if not reports and (left <= 0 or hopeless()):
                raise Missing(f"{len(wanted)} of {len(idents)} children did not come to life")
            for report in reports:
                if report.kind is Kind.BORN and report.ident in wanted:
                    wanted.discard(report.ident)
                    born[report.ident] = report
        return born

    def gather(self, seconds: float) -> list[Report]:
        """Give everything that is reported within the next ``seconds``."""
        until = time.monotonic() + seconds
        found: list[Report] = []
        while (left := until - time.monotonic()) > 0:
            found += self.take(left)
        return found

    def mark(self, kind: Kind, seconds: float) -> Report:
        """Wait until a child has reported this moment of a flood; raise Missing after ``seconds``."""
        until = time.monotonic() + seconds
        while kind not in self._marks:
            left = until - time.monotonic()
            if left <= 0:
                raise Missing(f"no child reported {kind.name} within {seconds:g} s")
            self.take(left)
        return self._marks[kind]

    def marked(self, kind: Kind) -> bool:
        """Tell whether a child has reported this moment of a flood, as far as was read."""
        return kind in self._marks

    def _note(self, report: Report) -> None:
        if report.kind is Kind.BORN:
            self.births += 1
            self.lives[report.ident] = report
        else:
            self._marks[report.kind] = report
