"""The log files in use: one per path, few of them open, rotated before they are written past their size.

Owned by one thread. A file is opened at its first output, so that a thousand silent services cost neither descriptors
nor empty files; past the limit the one that was longest without output is closed.
"""

from __future__ import annotations

import logging
import os
from collections import OrderedDict
from typing import TYPE_CHECKING

from supervisor.host.logfile import LogFile

if TYPE_CHECKING:
    from supervisor.core.model import LogPolicy
    from supervisor.host.compress import Compressor

log = logging.getLogger("respawnd.output")


class LogCache:
    """Log files by path, at most limit of them open."""

    def __init__(self, limit: int, compressor: Compressor) -> None:
        self._limit = limit
        self._compressor = compressor
        self._files: dict[str, LogFile] = {}
        self._open: OrderedDict[str, LogFile] = OrderedDict()

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    def claim(self, path: str, policy: LogPolicy) -> LogFile:
        """The file at path, kept by policy (the last claim's, where several streams share it)."""
        file = self._files.get(path)
        if file is None:
            file = self._files[path] = LogFile(path, policy)
            self._catch_up(file)
        file.policy = policy
        file.users += 1
        return file

    def release(self, file: LogFile) -> None:
        """Take a claim back; the last one closes the file."""
        file.users -= 1
        if not file.users:
            self.shut(file)
            del self._files[file.path]

    def ready(self, file: LogFile, now: float) -> None:
        """Make the file ready to be written: open, in its place, not past its size. OSError if it cannot be opened."""
        if file.fd >= 0:
            self._open.move_to_end(file.path)
        elif len(self._open) >= self._limit:
            self._open.popitem(last=False)[1].close()
        file.ready(now)
        if file.rotation_due(now):
            self._rotate(file, now)
        self._open[file.path] = file

    def shut(self, file: LogFile) -> None:
        """Close the file; it may be made ready again."""
        file.close()
        self._open.pop(file.path, None)

    def close(self) -> None:
        """Close all."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def _rotate(self, file: LogFile, now: float) -> None:
        try:
            file.rotate(self._compressor.lock, now)
        except OSError as error:
            log.warning("Cannot rotate %s: %s", file.path, error.strerror, extra={"path": file.path})
            return
        file.ready(now)
        self._compress(file)

    def _compress(self, file: LogFile) -> None:
        if file.policy.compress and file.policy.keep:
            self._compressor.request(file.path)

    def _catch_up(self, file: LogFile) -> None:
        """Compress what a former daemon rotated and did not get to."""
        if os.path.exists(f"{file.path}.1"):
            self._compress(file)
