"""The host's limits on launches: how many at once, how many respawns a second, and who is next when they hold back.

Rules: first come, first served. A launch that finds others waiting waits behind them, even where the limit would just
let it through: a new crash must not take the token that an older one waits for. A unit stands in one queue at a time,
the one that its `waiting_for` names. Launches that were asked for need no token, so they never stand behind respawns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from supervisor.core.backoff import TokenBucket
from supervisor.core.state import State
from supervisor.core.steps import FREE, OPEN, Gate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from supervisor.core.model import UnitKey
    from supervisor.core.state import Unit

_SLOTS = Gate(slots=("parallelism",))
_TOKENS = Gate(tokens=("rate",))


@frozen
class Limits:
    """The host's limits.

    Respawns a second (None for no limit) with the burst, launches at once (0 for no limit), and the seconds that a
    shutdown may take.
    """

    rate: float | None = 100.0
    burst: float = 500.0
    parallelism: int = 0
    shutdown_timeout: float = 30.0


class Turnstile:
    """Holds launches and respawns to `limits`. Owned by the fleet, which tells it of every change."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._parallelism = limits.parallelism
        burst = max(1.0, limits.burst)  # a bucket that never holds a whole token would hold every respawn back for ever
        self._bucket = TokenBucket(limits.rate, burst, burst, now) if limits.rate else None
        self._in_flight = 0
        self._queues: dict[tuple[str, ...], dict[UnitKey, None]] = {_TOKENS.tokens: {}, _SLOTS.slots: {}}
        self._tokens, self._slots = self._queues.values()

    @property
    def deadline(self) -> float | None:
        """When the next token is there for somebody who waits for one."""
        return self._bucket.next_at() if self._bucket is not None and self._tokens else None

    def gate(self, key: UnitKey, now: float) -> Gate:
        """What of the limits is in the way of a launch of `key` now."""
        if self._parallelism and (self._in_flight >= self._parallelism or _behind(self._slots, key)):
            return _SLOTS
        if self._bucket is not None and (now < self._bucket.next_at() or _behind(self._tokens, key)):
            return _TOKENS
        return OPEN

    def note(self, was: Unit, unit: Unit, now: float) -> None:
        """Keep count of launches, tokens and queues when a unit changes."""
        if unit.waiting_for != was.waiting_for:
            self._requeue(was, unit)
        if unit.state is was.state:
            return
        if unit.state is State.LAUNCHING:
            self._in_flight += 1
            if self._bucket is not None and unit.life != was.life and unit.trigger not in FREE:
                self._bucket = self._bucket.filled(now).take()
        elif was.state is State.LAUNCHING:
            self._in_flight -= 1

    def heads(self) -> Iterator[UnitKey]:
        """Who is next, in each queue that is not empty; a queue goes on to the next one when its head has left it."""
        for queue in (self._tokens, self._slots):
            last = None
            while queue and (head := next(iter(queue))) != last:
                yield (last := head)

    def _requeue(self, was: Unit, unit: Unit) -> None:
        if was.waiting_for in self._queues:
            self._queues[was.waiting_for].pop(unit.key, None)
        if unit.waiting_for in self._queues:
            self._queues[unit.waiting_for][unit.key] = None


def _behind(queue: dict[UnitKey, None], key: UnitKey) -> bool:
    """Whether others stand before `key`."""
    return bool(queue) and next(iter(queue)) != key
