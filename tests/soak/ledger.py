"""What really happened, counted by the script: the other side of every comparison.

Rules: a number that can be known exactly is one number; what the script can only bound (moments, durations, seconds of
processor time) is a `Span`, the least and the most it can have been.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any, NamedTuple

from attrs import define, field

from tests.soak.stage import Key, Life


class Span(NamedTuple):
    """The least and the most that something can have been."""

    least: float
    most: float

    def __add__(self, other: object) -> Span:
        """Both, one after the other."""
        assert isinstance(other, tuple)
        return Span(self.least + other[0], self.most + other[1])


NOTHING = Span(0.0, 0.0)


def total(spans: list[Span]) -> Span:
    """All of them, one after the other."""
    return Span(sum(span.least for span in spans), sum(span.most for span in spans))


class Exit(NamedTuple):
    """The last exit of a replica: its code, minus the signal's number, and when (monotonic)."""

    code: int
    at: Span


class Slow(NamedTuple):
    """A respawn that took long, and why: what its trace has to tell. `phase` is where at least `least` seconds went."""

    life: Life
    phase: str
    least: float
    latency: Span
    trigger: str
    reason: str
    code: int


@define
class Wish:
    """One stretch of time in which a replica was desired; `off` is None while it is."""

    on: Span
    off: Span | None = None

    def lasted(self, now: Span) -> Span:
        """For how long, as of `now`."""
        return between(self.on, self.off or now)


def between(start: Span, end: Span) -> Span:
    """The time from one moment to another."""
    return Span(max(0.0, end.least - start.most), max(0.0, end.most - start.least))


@define
class Ledger:
    """Everything countable, by service, replica or for the daemon; the labels are those of the metric."""

    restarts: Counter[tuple[str, int, str]] = field(factory=Counter)
    exits: Counter[tuple[str, str]] = field(factory=Counter)
    spawned: Counter[str] = field(factory=Counter)
    unspawned: defaultdict[str, Span] = field(factory=lambda: defaultdict(lambda: NOTHING))
    escalations: Counter[str] = field(factory=Counter)
    output: Counter[tuple[str, str]] = field(factory=Counter)
    latencies: defaultdict[str, list[Span]] = field(factory=lambda: defaultdict(list))
    phases: defaultdict[tuple[str, str], Span] = field(factory=lambda: defaultdict(lambda: NOTHING))
    last_exit: dict[Key, Exit] = field(factory=dict)
    resting: dict[Key, str] = field(factory=dict)
    wishes: defaultdict[Key, list[Wish]] = field(factory=lambda: defaultdict(list))
    slow: list[Slow] = field(factory=list)
    requests: Counter[tuple[str, str, str]] = field(factory=Counter)
    events: Counter[str] = field(factory=Counter)
    reloads: Counter[str] = field(factory=Counter)
    respawns: int = 0
    orphans: int = 0
    strays: int = 0

    def born(self, life: Life) -> None:
        """A process came to life: a spawn that succeeded."""
        self.spawned[life.key[0]] += 1
        self.events["launched"] += 1

    def died(self, life: Life, reason: str, code: int, at: Span) -> None:
        """A process ended: for `reason`, with `code` (minus the signal's number)."""
        self.exits[life.key[0], reason] += 1
        self.last_exit[life.key] = Exit(code, at)
        self.events["exited"] += 1

    def respawned(self, life: Life, trigger: str, latency: Span | None) -> None:
        """`life` was started in the place of another; `latency` where there was an exit to count it from."""
        self.restarts[*life.key, trigger] += 1
        if latency is not None:
            self.latencies[life.key[0]].append(latency)
            self.respawns += 1

    def not_launched(self, service: str, times: Span) -> None:
        """Launches of a service failed."""
        self.unspawned[service] += times

    def wished(self, key: Key, at: Span) -> None:
        """From now on the replica should run."""
        self.resting.pop(key, None)
        if not self.wishes[key] or self.wishes[key][-1].off is not None:
            self.wishes[key].append(Wish(at))

    def unwished(self, key: Key, at: Span, state: str | None) -> None:
        """It should no longer run; it comes to rest in `state`, or is no more."""
        if state is not None:
            self.resting[key] = state
        if self.wishes[key] and self.wishes[key][-1].off is None:
            self.wishes[key][-1].off = at

    def retire(self, key: Key) -> None:
        """A replica is no more; what it did for its service still counts."""
        for restart in [restart for restart in self.restarts if restart[:2] == key]:
            del self.restarts[restart]
        self.last_exit.pop(key, None)
        self.resting.pop(key, None)

    def forget(self, service: str) -> None:
        """The service has left the configuration: should it come again, it begins at nothing."""
        tables: tuple[dict[Any, Any], ...] = (
            self.restarts, self.exits, self.spawned, self.escalations, self.output, self.latencies, self.phases,
            self.last_exit, self.resting, self.wishes, self.unspawned,
        )  # fmt: skip
        for table in tables:
            for key in [key for key in table if (key if isinstance(key, str) else key[0]) == service]:
                del table[key]
