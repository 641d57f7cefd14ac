"""What is remembered of one replica between two samples, and how its figures become one value."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from metrics.recorder.store import Replica, Usage
from metrics.sampler.accounts import Account, Ends
from metrics.sampler.cgroup import Memory
from metrics.sampler.proc import Reading
from metrics.sampler.snapshot import Group, Member, microseconds
from metrics.sampler.tree import DEAD, Entry
from supervisor.core.state import Unit

_TICK = 1_000_000 // os.sysconf("SC_CLK_TCK")  # microseconds
_PAGE = os.sysconf("SC_PAGE_SIZE")
_new = tuple.__new__  # makes a named tuple without its class's constructor, which runs Python
#: Seconds below which a share of processor time would be noise: it is counted in ticks of 10 ms.
SHORTEST = 0.5


class Tree(NamedTuple):
    """What one pass found of a replica: its processes with their readings, those that nothing can be said of, and more.

    `main` is its main process by the picture of the fleet, 0 for none; `group` and `memory` are those of its own group.
    """

    main: int
    found: Sequence[tuple[Entry, Reading]]
    blind: set[int]
    group: Group | None
    memory: Memory | None


class Series:
    """One replica. `life`, `main`, `started` tell which main process was its last, `path` its control group.

    `before` is the last life of another replica of that name, which was there before and is none of ours.
    """

    __slots__ = (
        "account", "base", "before", "life", "main", "path", "proportional", "proportional_at", "replica", "settled",
        "share", "started",
    )  # fmt: skip

    def __init__(self, replica: Replica | None, unit: Unit, carried: Sequence[Any] | None = None) -> None:
        usage = replica.usage if replica is not None else None
        self.replica = replica
        self.before = 0
        self.account = Account.restored(carried) if carried is not None else _account(usage, unit)
        self.life = self.main = self.started = 0
        self.path: str | None = None
        cpu = sum(self.account.counted[:2])
        #: The moment that the share of processor time is reckoned from, and what was counted then.
        self.base = (usage.at, cpu) if usage is not None else (unit.started_at, cpu)
        self.share: float | None = None
        #: What the account was last brought up to date with, where that was all there was to it.
        self.settled: tuple[int, int, Sequence[tuple[Entry, Reading]]] | None = None
        self.proportional: int | None = None
        self.proportional_at: float | None = None

    def begin(self, life: int, entry: Entry, path: str | None) -> None:
        """A life was seen for the first time."""
        self.life, self.main, self.started, self.path = life, entry.pid, entry.started, path

    def settle(self, unit: Unit, tree: Tree, ends: Ends) -> None:
        """Bring the counters up to date. A replica that did nothing since the last pass costs a comparison."""
        if ends and self.before:
            ends = [end for end in ends if end[0] > self.before]
        if not ends and tree.group is None and not tree.blind and (unit.life, tree.main, tree.found) == self.settled:
            return
        self.settled = None if ends or tree.group is not None or tree.blind else (unit.life, tree.main, tree.found)
        members = {entry.pid: _member(entry, reading) for entry, reading in tree.found}
        before = self.account.members
        for pid in tree.blind:
            if pid in before and pid not in members:
                members[pid] = before[pid]
        main = (tree.main, self.started if self.life == unit.life else 0)
        self.account.step(unit.life, main, members, ends, tree.group)

    def usage(self, tree: Tree, at: float, *, counts_io: bool, pressure: bool) -> Usage:
        """Everything, as of `at`."""
        size, limit = gauges(tree.found, tree.main)
        user, system, read, written = self.account.counted
        io = counts_io and not size.unread
        throttled, stalled = self.account.throttled, self.account.stalled
        return _new(Usage, (
            at,
            user / 1e6,
            system / 1e6,
            size.pages * _PAGE if tree.memory is None else tree.memory.used,
            size.threads,
            size.processes,
            size.fds,
            limit,
            size.worst,
            read if io else None,
            written if io else None,
            self._shared(at, user + system),
            tree.memory.limit if tree.memory is not None else None,
            self.proportional if size.processes else None,
            throttled / 1e6 if pressure and throttled is not None else None,
            (stalled[0] / 1e6, stalled[1] / 1e6, stalled[2] / 1e6) if pressure and stalled is not None else None,
        ))  # fmt: skip

    def _shared(self, at: float, cpu: int) -> float:
        """Percent of one processor since the last sample that was long enough ago."""
        since, before = self.base
        passed = at - since if since is not None else 0.0
        if self.share is None or passed >= SHORTEST:
            self.share = (cpu - before) / 1e4 / max(passed, SHORTEST) if since is not None else 0.0
        if since is None or passed >= SHORTEST:
            self.base = at, cpu
        return self.share


def _account(usage: Usage | None, unit: Unit) -> Account:
    """An account that goes on where the series stands; it has a part of a life that began before its last sample."""
    if usage is None:
        return Account()
    opening = microseconds(usage.user), microseconds(usage.system), usage.read or 0, usage.written or 0
    in_part = unit.started_at is not None and unit.started_at <= usage.at
    account = Account(opening, unit.life if in_part else None)
    account.throttled = None if usage.throttled is None else microseconds(usage.throttled)
    if usage.pressure is not None:
        cpu, memory, io = map(microseconds, usage.pressure)
        account.stalled = cpu, memory, io
    return account


def _member(entry: Entry, reading: Reading) -> Member:
    pid, _, parent, _, _, user, system, waited_user, waited_system, _, started, _ = entry
    waited_user, waited_system = waited_user * _TICK, waited_system * _TICK
    user, system = user * _TICK + waited_user, system * _TICK + waited_system
    return _new(Member, (pid, parent, started, user, system, reading[0], reading[1], waited_user, waited_system))


class Size(NamedTuple):
    """The living of a tree together. `fds` and `worst` are None where a part of them could not be read."""

    processes: int
    threads: int
    pages: int
    unread: bool
    fds: int | None
    worst: float | None


def gauges(found: Sequence[tuple[Entry, Reading]], main: int) -> tuple[Size, int | None]:
    """How large a tree is, and how many descriptors its main process may have."""
    processes = threads = pages = open_now = 0
    worst, unread, blind, blunt, allowed = 0.0, False, False, False, None
    for (pid, state, _, _, _, _, _, _, _, its_threads, _, its_pages), (read, _, fds, limit) in found:
        if state in DEAD:
            continue
        processes += 1
        threads += its_threads
        pages += its_pages
        unread |= read is None
        if pid == main:
            allowed = limit
        if fds is None:
            blind = True
            continue
        open_now += fds
        if limit is None:
            blunt = True
        elif limit:
            worst = max(worst, fds / limit)
    known = processes and not blind and not blunt
    return Size(processes, threads, pages, unread, None if blind else open_now, worst if known else None), allowed
