"""How much output a stream may write: a token bucket of bytes that holds one second's worth (logs.rate).

Once empty it stays shut until a tenth of a second's worth has come in: a flood is then dropped in large pieces instead
of being let through byte by byte, each with its own write.
"""

from __future__ import annotations

_REOPEN = 0.1  # seconds' worth


class Allowance:
    """A bucket filled at rate bytes a second, full at first. The clock is an argument, in seconds, never going back."""

    __slots__ = ("_at", "_rate", "_shut", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._at = now
        self._shut = False

    def at(self, now: float) -> int:
        """Bytes that may be written now; 0 while the bucket is shut."""
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._shut and self._tokens < self._rate * _REOPEN:
            return 0
        self._shut = self._tokens < 1
        return int(self._tokens)

    def spend(self, count: int) -> None:
        """Take count bytes, as many as `at` allowed at most."""
        self._tokens -= count
