"""What a target of the daemon's own log is: it takes a record or loses it, and tells what it lost.

Rules: only the diary's thread calls a target. One that cannot take a record counts it and does not hold up the others.
Once it takes records again, the first says how many were lost. Why it takes none is for others to tell (`news`): a log
that ends in the middle must not be the only sign of a full disk.
"""

from __future__ import annotations

import abc
import errno
import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from supervisor.host.diary_lines import Render

_RETRY = 1.0  # seconds
_TELL_AGAIN = 60.0  # seconds: one that comes and goes is told so often at most
_SLOW = frozenset({errno.EAGAIN, errno.EINTR})  # a reader that has a rest: told in its own stream, once it reads on


class Target(abc.ABC):
    """One place to write to, known by name; render makes the bytes of a record."""

    retry = _RETRY

    def __init__(self, name: str, render: Render) -> None:
        self.name = name
        self.dropped = 0
        self._render = render
        self._untold = 0
        self._retry_at = float("-inf")
        self._failing = False
        self._told_at = float("-inf")
        self._news: str | None = None

    def deliver(self, record: logging.LogRecord) -> None:
        """Write the record, after a word about what was lost before it; or lose it."""
        if not self.catch_up() or not self._try(record):
            self.lose(1)

    def lose(self, count: int) -> None:
        """Count records that were not written."""
        self.dropped += count
        self._untold += count

    def catch_up(self) -> bool:
        """Say how many records were lost, if any were; False while that cannot be said either."""
        if time.monotonic() < self._retry_at:
            return False
        if self._untold:
            note = self._note()
            if not self._try(note):
                return False
            self._untold = 0
        return True

    def news(self) -> str | None:
        """Why it has begun to lose records, in words; once for each time that it begins, and once a minute at most."""
        words, self._news = self._news, None
        return words

    @abc.abstractmethod
    def close(self) -> None:
        """Let go of what is open; the next `send` opens it again, if it can."""

    @abc.abstractmethod
    def send(self, data: bytes) -> None:
        """Write it whole; OSError if it was not."""

    def _note(self) -> logging.LogRecord:
        words = "Lost %d log messages: %s did not take them"
        return logging.LogRecord("respawnd.diary", logging.WARNING, __file__, 0, words, (self._untold, self.name), None)

    def _try(self, record: logging.LogRecord) -> bool:
        try:
            self.send(self._render(record))
        except OSError as error:
            self._fail(error, time.monotonic())
            return False
        except Exception:  # noqa: BLE001 -- an extra whose str() raises: that record's own loss, counted by the caller
            return False
        self._failing = False
        return True

    def _fail(self, error: OSError, now: float) -> None:
        self._retry_at = now + self.retry
        if not self._failing and now - self._told_at >= _TELL_AGAIN and error.errno not in _SLOW:
            self._failing, self._told_at = True, now
            self._news = error.strerror or str(error)
