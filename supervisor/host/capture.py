"""One stream of one replica on its way from the pipe into its log file, and what became of each byte.

Rules: a turn never waits for the child and always makes room for it. What cannot be written (disk full, read-only,
gone, over logs.rate) is dropped and counted, by bytes and by lines; a file that failed is tried again after a second,
when there is output. One warning when a trouble begins, one line when it is over.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from supervisor.host import pipes
from supervisor.host.allowance import Allowance

if TYPE_CHECKING:
    from supervisor.core.model import LogPolicy, UnitKey
    from supervisor.host.logcache import LogCache
    from supervisor.host.logfile import LogFile

log = logging.getLogger("respawnd.output")

TURN = 1 << 20  # bytes a stream may move before others have their turn
_PIECE = 1 << 16  # bytes read and written by hand at once
_RETRY = 1.0  # seconds
_SAY_AGAIN = 60.0  # seconds between two warnings about logs.rate


@frozen
class StreamStats:
    """Counters of one stream since it was opened: bytes in the log file, what was dropped, failures by errno."""

    bytes: int
    dropped_bytes: int
    dropped_lines: int
    errors: Mapping[int, int]


class Capture:
    """The pipe behind descriptor fd (blocking for the child, never for us) and the log file at path."""

    __slots__ = (
        "_allowance", "_bytes", "_cache", "_dropped_bytes", "_dropped_lines", "_errors", "_file",
        "_lost_from", "_relieved_bytes", "_relieved_lines", "_retry_at", "_said_at", "_scratch", "_small",
        "fd", "key", "path", "policy", "stream", "uid",
    )  # fmt: skip

    def __init__(self, key: UnitKey, stream: str, fd: int, cache: LogCache, scratch: pipes.Scratch) -> None:
        self.key, self.stream, self.fd = key, stream, fd
        self.path = ""
        self.policy: LogPolicy | None = None
        self.uid: int | None = None
        self._cache, self._scratch = cache, scratch
        self._file: LogFile | None = None
        self._allowance: Allowance | None = None
        self._bytes = self._dropped_bytes = self._dropped_lines = 0
        self._relieved_bytes = self._relieved_lines = 0
        self._errors: dict[int, int] | None = None
        self._small = True
        self._lost_from: int | None = None
        self._retry_at = self._said_at = float("-inf")

    def aim(self, path: str, policy: LogPolicy) -> None:
        """Write to path, kept by policy, from the next turn on."""
        self._release()
        self.path, self.policy = path, policy
        self._allowance = None
        self._retry_at = float("-inf")

    def turn(self, now: float) -> int:
        """Move or drop at most TURN bytes; return how many left the pipe, 0 if it was empty. now is monotonic."""
        if self._small:
            self.enlarge()
        allowed = self._allowed(now)
        if not allowed:
            return self._drop()
        try:
            moved = self._write(now, allowed)
        except OSError as error:
            self._failed(error, now)
            return self._drop()
        if moved and self._lost_from is not None:
            self._recovered()
        return moved

    def own(self, uid: int) -> None:
        """Give the pipe to another user: the service's was changed. OSError: EPERM."""
        os.fchown(self.fd, uid, -1)
        self.uid = uid

    def enlarge(self) -> None:
        """Let the pipe hold as much as is granted, so that the child can go on for long while no daemon is there."""
        self._small = False
        pipes.enlarge(self.fd)

    def condemn(self) -> None:
        """Only drop from now on: what this stream asked for broke our own code."""
        self._retry_at = float("inf")

    def empty(self, now: float) -> None:
        """Take all that is in the pipe now, however much comes meanwhile."""
        left = pipes.pending(self.fd)
        while left > 0 and (moved := self.turn(now)):
            left -= moved

    def relieve(self, scratch: pipes.Scratch) -> None:
        """Drop what is in the pipe if it is more than half full: for a second thread, while the first one hangs."""
        if self._small:
            self.enlarge()
        if pipes.pending(self.fd) > pipes.capacity(self.fd) // 2:
            size, lines = scratch.discard(self.fd, TURN)
            # Counters of their own: each has one writer.
            self._relieved_bytes += size
            self._relieved_lines += lines

    def stats(self) -> StreamStats:
        """The counters. From any thread."""
        return StreamStats(
            self._bytes,
            self._dropped_bytes + self._relieved_bytes,
            self._dropped_lines + self._relieved_lines,
            dict(self._errors or ()),
        )

    def close(self) -> None:
        """Close the pipe and let the file go. Who still writes to it blocks once it is full: end the unit first."""
        self._release()
        os.close(self.fd)

    def _allowed(self, now: float) -> int:
        if now < self._retry_at:
            return 0
        assert self.policy is not None
        if self.policy.rate is None:
            return TURN
        if self._allowance is None:
            self._allowance = Allowance(self.policy.rate, now)
        allowed = self._allowance.at(now)
        if not allowed:
            self._say_rate(now)
        return min(TURN, allowed)

    def _write(self, now: float, count: int) -> int:
        if self._file is None:
            assert self.policy is not None
            self._file = self._cache.claim(self.path, self.policy)
        file = self._file
        self._cache.ready(file, now)
        moved = self._move(file, min(count, file.room()))
        file.position += moved
        self._bytes += moved
        if self._allowance is not None:
            self._allowance.spend(moved)
        return moved

    def _move(self, file: LogFile, count: int) -> int:
        try:
            if not file.spliceable or not file.regular:
                return self._move_elsewhere(file, count)
            # One call: each byte that has left the pipe is in the file, once, whenever the daemon is killed. Sharing
            # pages by tee(2) first, to write without the pipe's lock, was no faster.
            return os.splice(self.fd, file.fd, count, offset_dst=file.position, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            if file.regular:
                return 0  # the pipe is empty
            raise
        except OSError as error:
            if error.errno != errno.EINVAL or not file.spliceable:
                raise
            file.spliceable = False
            return self._move(file, count)

    def _move_elsewhere(self, file: LogFile, count: int) -> int:
        """To a terminal, a FIFO, a device, or a file system without splice. BlockingIOError: it takes nothing now."""
        if not pipes.pending(self.fd):
            return 0
        if file.spliceable:
            return os.splice(self.fd, file.fd, count, flags=os.SPLICE_F_NONBLOCK)
        return self._by_hand(file, count)

    def _by_hand(self, file: LogFile, count: int) -> int:
        """Read and write; what cannot be written has left the pipe and is dropped here."""
        data = self._scratch.read(self.fd, min(count, _PIECE))
        done = 0
        try:
            while done < len(data):
                rest = data[done:]
                done += os.pwrite(file.fd, rest, file.position + done) if file.regular else os.write(file.fd, rest)
        except OSError:
            self._dropped_bytes += len(data) - done
            self._dropped_lines += data.count(b"\n", done)
            if not done:
                raise
        return done

    def _drop(self) -> int:
        size, lines = self._scratch.discard(self.fd, TURN)
        self._dropped_bytes += size
        self._dropped_lines += lines
        return size

    def _failed(self, error: OSError, now: float) -> None:
        number = error.errno or 0
        self._errors = self._errors or {}
        self._errors[number] = self._errors.get(number, 0) + 1
        self._retry_at = now + _RETRY
        if self._file is not None:
            self._cache.shut(self._file)
        if self._lost_from is None:
            self._lost_from = self._dropped_lines
            why = error.strerror or str(error)
            log.warning("Cannot write %s of %s to %s: %s; dropping it", self.stream, self.key, self.path, why,
                        extra=self._about(errno=number))  # fmt: skip

    def _recovered(self) -> None:
        lost = self._dropped_lines - (self._lost_from or 0)
        self._lost_from = None
        log.warning("Writing %s of %s to %s again: %d lines were dropped", self.stream, self.key, self.path, lost,
                    extra=self._about(dropped_lines=lost))  # fmt: skip

    def _say_rate(self, now: float) -> None:
        if now < self._said_at + _SAY_AGAIN:
            return
        self._said_at = now
        assert self.policy is not None
        log.warning("Dropping %s of %s: more than logs.rate, %d bytes a second", self.stream, self.key,
                    self.policy.rate or 0, extra=self._about(dropped_lines=self._dropped_lines))  # fmt: skip

    def _about(self, **more: int) -> dict[str, object]:
        return {"service": self.key.service, "replica": self.key.replica, "stream": self.stream, **more}

    def _release(self) -> None:
        if self._file is not None:
            self._cache.release(self._file)
            self._file = None
