"""The process table as /proc tells it: who belongs to whom. Reads only; what vanishes meanwhile is passed over."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple


class Entry(NamedTuple):
    """One process: fields 1, 3, 4, 5, 6 and 22 of /proc/PID/stat (proc(5)); `started` is in clock ticks since boot."""

    pid: int
    state: str
    parent: int
    group: int
    session: int
    started: int

    @property
    def dead(self) -> bool:
        """Whether it is a zombie, or past that."""
        return self.state in "ZX"


def entry(pid: int) -> Entry | None:
    """The process `pid`, or None if there is none."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        text = os.read(fd, 1024)
    except ProcessLookupError:
        return None
    finally:
        os.close(fd)
    # The command's name stands in parentheses and may itself hold both spaces and parentheses.
    fields = text[text.rindex(b")") + 2 :].split()
    parent, group, session, started = (int(fields[at]) for at in (1, 2, 3, 19))
    return Entry(pid, fields[0].decode(), parent, group, session, started)


def table() -> dict[int, Entry]:
    """Every process that can be seen now, by pid."""
    found = (entry(int(name)) for name in os.listdir("/proc") if name.isdigit())
    return {one.pid: one for one in found if one is not None}


def tag(pid: int, variable: bytes) -> bytes | None:
    """The value of an environment variable of a process, as it was at exec; None where it is absent or not readable."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            data = file.read()
    except OSError:
        return None
    start = b"\0" + variable + b"="
    at = (b"\0" + data).find(start)
    return (b"\0" + data)[at + len(start) :].split(b"\0", 1)[0] if at >= 0 else None


def family(everyone: Mapping[int, Entry], roots: Iterable[int], strangers: Container[int]) -> set[int]:
    """`roots` and all their descendants, but never one of `strangers`, nor what descends from those."""
    below: dict[int, list[int]] = {}
    for one in everyone.values():
        below.setdefault(one.parent, []).append(one.pid)
    found: set[int] = set()
    queue = list(roots)
    while queue:
        pid = queue.pop()
        if pid in found or pid in strangers or pid not in everyone:
            continue
        found.add(pid)
        queue.extend(below.get(pid, ()))
    return found
