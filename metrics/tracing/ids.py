"""Identifiers of traces: worked out from what they name, so that two threads come to the same ones without a word.

A life's episode (its start, respawn or run) has a trace identifier that is a keyed hash of service, replica and the
life's number; the key is drawn anew by each daemon. So a launcher thread can put TRACEPARENT into a child's environment
before the episode is built elsewhere, and no second daemon, nor this one restarted, gives an identifier twice.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import count
from typing import NamedTuple

from supervisor.core.model import UnitKey
from supervisor.core.traceparent import identifiers

_SPAWN = "service.spawn"


class Context(NamedTuple):
    """Where a span stands: its trace and itself."""

    trace_id: int
    span_id: int


class Ids:
    """Identifiers of one daemon run. `seed` is secret enough if nobody can guess it: 16 random bytes."""

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._serial = count(1)

    def life(self, key: UnitKey, number: int) -> Context:
        """The root span of the episode that brings up life `number`."""
        return self._root(f"life\0{key.service}\0{key.replica}\0{number}")

    def named(self, name: str) -> Context:
        """The root span of an episode that is there once: boot, shutdown."""
        return self._root(f"once\0{name}")

    def fresh(self) -> Context:
        """The root span of any other episode. For one thread."""
        return self._root(f"serial\0{next(self._serial)}")

    def child(self, trace_id: int, name: str, number: int = 0) -> int:
        """A span within a trace: the `number`-th of that name."""
        text = f"{trace_id:032x}\0{name}\0{number}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8, key=self._seed).digest(), "big") or 1

    def spawn(self, key: UnitKey, number: int) -> Context:
        """The span of the launch of a life."""
        trace_id = self.life(key, number).trace_id
        return Context(trace_id, self.child(trace_id, _SPAWN))

    def _root(self, text: str) -> Context:
        digest = blake2b(text.encode(), digest_size=24, key=self._seed).digest()
        # Nought is no identifier; that a hash gives it is as unlikely as that two are the same.
        return Context(int.from_bytes(digest[:16], "big") or 1, int.from_bytes(digest[16:], "big") or 1)


def traceparent(context: Context, sampled: bool) -> str:
    """The header value, or variable, that hands a context on."""
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{sampled:02x}"


def parsed(header: str) -> Context | None:
    """The context that a traceparent names, None for what is none."""
    found = identifiers(header)
    return None if found is None else Context(*found)
