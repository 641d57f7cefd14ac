"""Whose process is whose: each belongs to one life at most. Pure.

A process belongs to the life that its parent belongs to; else to the one whose main process leads its session or its
group; else, if it was orphaned, to the one whose tag it carries. The main process of another life, and what descends
from it, never belongs to the first: it is looked at as itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import NamedTuple, TypeVar

#: States of a process that has ended: a zombie, or past that.
DEAD = b"ZX"
Key = TypeVar("Key", bound=Hashable)


class Entry(NamedTuple):
    """One process as /proc/PID/stat tells of it (proc(5)). Times are in clock ticks, `started` since boot."""

    pid: int
    state: bytes
    parent: int
    group: int
    session: int
    user: int
    system: int
    waited_user: int
    waited_system: int
    threads: int
    started: int
    pages: int

    @property
    def dead(self) -> bool:
        """Whether it is a zombie, or past that."""
        return self.state in DEAD


def owners(
    everyone: Mapping[int, Entry],
    claimed: Mapping[int, Key | None],
    leaders: Mapping[int, Key],
    tagged: Callable[[Entry], Key | None],
) -> dict[int, Key | None]:
    """The life of each process, None for those of nobody.

    `claimed` are those whose owner is known: main processes, the daemon itself. `leaders` are pids whose session and
    group are a life's; `tagged` is asked of a process that nothing else tells of.
    """
    found: dict[int, Key | None] = dict(claimed)
    for pid in everyone:
        if pid in found:
            continue
        path: list[int] = []
        while pid not in found and pid in everyone and len(path) <= len(everyone):
            path.append(pid)
            pid = everyone[pid].parent  # noqa: PLW2901 - climbs
        owner = found.get(pid)
        for below in reversed(path):
            entry = everyone[below]
            if owner is None:
                owner = leaders.get(entry.session) or leaders.get(entry.group) or tagged(entry)
            found[below] = owner
    return found
