"""What is still our child when the daemon ends: a process that no service owns, and that nobody ended.

A child that drops its environment and begins a session of its own (`env -i setsid …`) cannot be attributed to the
service that started it, so it is not signalled (host.lives); but whoever ended the daemon must hear of it.
"""

from __future__ import annotations

import contextlib
import logging
import os

from supervisor.host import procfs

log = logging.getLogger("respawnd.lives")

_MOST = 20  # that are named; what is beyond them is counted


def children() -> list[int]:
    """The pids of our living children, of whichever thread (proc(5), /proc/PID/task/TID/children)."""
    pids: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        # A thread that has just ended; its children are another's, whose list may have been read before.
        with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/children", "rb") as file:
            pids.update(map(int, file.read().split()))
    return sorted(pid for pid in pids if (one := procfs.entry(pid)) is not None and not one.dead)


def name_strays() -> None:
    """Log, as a warning, each child that the daemon leaves behind. When services and helpers have been ended."""
    left = children()
    for pid in left[:_MOST]:
        command = _command(pid)
        log.warning("Leaving pid %d (%s) behind: it belongs to no service that is known", pid, command,
                    extra={"pid": pid, "command": command})  # fmt: skip
    if len(left) > _MOST:
        log.warning("Leaving %d more processes behind", len(left) - _MOST)


def _command(pid: int) -> str:
    """Its name as the kernel has it, 15 bytes (proc(5), comm)."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read().rstrip(b"\n").decode(errors="replace")
    except OSError:
        return "ended"
