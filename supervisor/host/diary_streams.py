"""The daemon's own log on stderr and in a file.

Rules: stderr is waited for once, a fifth of a second, and after that only looked at until it takes bytes again: a
stopped terminal or a pipe that nobody reads costs lines, not time. The file is written at our own position, so that a
full disk leaves whole lines only; a disk that hangs holds the diary's thread, and with it the other targets.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import threading
import time
from typing import TYPE_CHECKING

from supervisor.core.model import LogPolicy
from supervisor.host.diary_target import Target
from supervisor.host.logfile import LogFile

if TYPE_CHECKING:
    from supervisor.host.diary_lines import Render

_PIPE_BUF = 4096  # bytes: what a pipe that polls writable takes without blocking, pipe(7)
_PATIENCE = 200  # milliseconds for a reader of stderr that is only slow
_POLICY = LogPolicy(max_size=10 << 20, keep=5, compress=False)


class Stderr(Target):
    """The stream behind a descriptor, which others share: it stays as it is; we write only where we need not wait."""

    retry = 0.0  # a look is cheap

    def __init__(self, name: str, render: Render, fd: int) -> None:
        super().__init__(name, render)
        # Our own number: should someone close theirs, it may become a database's.
        self._fd = -1
        with contextlib.suppress(OSError):
            self._fd = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
        self._torn = False
        self._patience = _PATIENCE

    def send(self, data: bytes) -> None:
        """A piece at a time, as large as a pipe takes whole; a line that was cut short is ended before the next."""
        if self._torn:
            self._put(b"\n")
        rest = memoryview(data)
        while rest:
            rest = rest[self._put(rest[:_PIPE_BUF]) :]
            self._torn = bool(rest)
        self._patience = _PATIENCE

    def close(self) -> None:
        """Close our copy."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _put(self, piece: bytes | memoryview) -> int:
        poll = select.poll()
        if self._fd < 0:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        poll.register(self._fd, select.POLLOUT)
        if not poll.poll(self._patience):
            self._patience = 0
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return os.write(self._fd, piece)


class File(Target):
    """A file of ten megabytes, and five before it. A full disk never leaves half a line."""

    def __init__(self, name: str, render: Render, path: str) -> None:
        super().__init__(name, render)
        self._file = LogFile(os.path.abspath(path), _POLICY)
        self._lock = threading.Lock()

    def send(self, data: bytes) -> None:
        """Append it."""
        file, now = self._file, time.monotonic()
        try:
            file.ready(now)
            if file.rotation_due(now):
                self._rotate(now)
            self._append(data)
        except OSError:
            if file.fd >= 0 and file.regular:
                with contextlib.suppress(OSError):
                    os.ftruncate(file.fd, file.position)
            file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _rotate(self, now: float) -> None:
        with contextlib.suppress(OSError):  # it grows instead; LogFile asks again in a minute
            self._file.rotate(self._lock, now)
        self._file.ready(now)

    def _append(self, data: bytes) -> None:
        file, done = self._file, 0
        while done < len(data):
            rest = data[done:]
            done += os.pwrite(file.fd, rest, file.position + done) if file.regular else os.write(file.fd, rest)
        file.position += done
