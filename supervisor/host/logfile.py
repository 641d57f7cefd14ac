"""One log file: opened when there is something to write, continued at its end, rotated by size.

Rules:
- Only its owner's thread touches it. It may block on the disk and raises OSError; what to do then is the owner's
  affair.
- The position is ours (splice refuses O_APPEND), so one path has one LogFile, whoever shares it.
- Names: `stdout.log`, then `stdout.log.1[.gz]` (newest), `stdout.log.2[.gz]`, and so on. Only whole names appear and
  disappear, by rename(2): whoever reads, or starts after a crash, meets complete files.
- Someone else may move, remove or truncate the file: noticed within a second of output, nothing needs a signal.
- What is no regular file (a FIFO, a terminal, /dev/null) is written to without waiting, and not rotated.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from threading import Lock

    from supervisor.core.model import LogPolicy

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_FILE_MODE = 0o640
_DIRECTORY_MODE = 0o750  # output may hold secrets; the root of the state directory has its own mode
_ROTATE_AGAIN = 60.0  # seconds after a rotation that failed
_LOOK = 1.0  # seconds between looks at whether the name still leads to our file
_SLACK = (4 << 10, 1 << 20)  # bytes a file may grow past max_size to end on a whole line: a tenth of it, within these


class LogFile:
    """A log file at path, kept by policy.

    `fd` is -1 while closed, `position` is in bytes, `regular` tells a real file,
    `spliceable` is cleared by whoever finds that its file system lacks splice.
    """

    __slots__ = ("_identity", "_looked", "_rotate_after", "fd", "path", "policy", "position", "regular",
                 "spliceable", "users")  # fmt: skip

    def __init__(self, path: str, policy: LogPolicy) -> None:
        self.path = path
        self.policy = policy
        self.fd = -1
        self.position = 0
        self.regular = True
        self.spliceable = True
        self.users = 0
        self._identity = (0, 0)
        self._looked = 0.0
        self._rotate_after = 0.0

    def ready(self, now: float) -> None:
        """Have the file open, and be sure at least once a second (now is monotonic) that it is the one of that name."""
        if self.fd >= 0 and now - self._looked < _LOOK:
            return
        self._looked = now
        if self.fd >= 0 and self.regular and not self._in_place():
            self.close()
        if self.fd < 0:
            self._open()

    def room(self) -> int:
        """Bytes that may still be written before a rotation is due, at least one."""
        limit = self.policy.max_size
        if not self.regular or not limit:
            return 1 << 62
        return max(1, limit + self._slack() - self.position)

    def rotation_due(self, now: float) -> bool:
        """Whether max_size is reached, at the end of a line if one comes soon enough."""
        limit = self.policy.max_size
        if not limit or self.position < limit or not self.regular or now < self._rotate_after:
            return False
        return self.position >= limit + self._slack() or os.pread(self.fd, 1, self.position - 1) == b"\n"

    def rotate(self, lock: Lock, now: float) -> None:
        """Put the file aside as number 1, or drop it if keep is 0; `ready` begins a new one. lock is held meanwhile.

        OSError: the file could not be moved; it stays in use and grows, and nothing is due again for a minute.
        """
        self._rotate_after = now + _ROTATE_AGAIN
        with lock:
            shift(self.path, self.policy.keep)
        self._rotate_after = 0.0
        self.close()

    def close(self) -> None:
        """Close the descriptor; the next `ready` opens it again."""
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            os.close(fd)

    def _slack(self) -> int:
        return min(max(self.policy.max_size // 10, _SLACK[0]), _SLACK[1])

    def _open(self) -> None:
        try:
            fd = os.open(self.path, _FLAGS, _FILE_MODE)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(self.path), _DIRECTORY_MODE, exist_ok=True)
            fd = os.open(self.path, _FLAGS, _FILE_MODE)
        status = os.fstat(fd)
        self.fd = fd
        self.regular = stat.S_ISREG(status.st_mode)
        self.position = status.st_size if self.regular else 0
        self._identity = (status.st_dev, status.st_ino)

    def _in_place(self) -> bool:
        """Whether the name leads to the open file; one that was truncated is continued at its new end."""
        try:
            status = os.stat(self.path)
        except FileNotFoundError:
            return False
        if self._identity != (status.st_dev, status.st_ino):
            return False
        self.position = min(self.position, status.st_size)
        return True


def shift(path: str, keep: int) -> None:
    """Move path to number 1, each number to the next, and drop what is past keep. OSError if path cannot be moved.

    From the top down: a crash in between leaves a gap, never two files for one name.
    """
    _drop_from(path, max(keep, 1))
    for number in range(keep - 1, 0, -1):
        for suffix in ("", ".gz"):
            with contextlib.suppress(FileNotFoundError):
                os.rename(f"{path}.{number}{suffix}", f"{path}.{number + 1}{suffix}")
    with contextlib.suppress(FileNotFoundError):  # someone else removed it just now
        if keep:
            os.rename(path, f"{path}.1")
        else:
            os.unlink(path)  # not truncated: a reader that follows still has the rest


def _drop_from(path: str, number: int) -> None:
    """Remove number and all that follow it without a gap: keep may have been made smaller."""
    while _remove(f"{path}.{number}") | _remove(f"{path}.{number}.gz"):
        number += 1


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    return True
