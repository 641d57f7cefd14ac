"""The census behind the leak guard: threads, children and descriptors of this process, before and after a test.

Nothing here sleeps: a thread is waited for by joining it, a child by its pidfd. A child that has ended but was not
reaped is a leak too. Where a test runs a daemon as a process of its own, the process that runs the tests is a
subreaper: what the daemon leaves behind comes to it and is seen; of those orphans, the dead are reaped without a word.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Iterable

from attrs import frozen


def descriptors() -> frozenset[tuple[int, str]]:
    """Return each open descriptor with what it leads to; the one that reads the list is not among them."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            found.add((int(name), os.readlink(f"/proc/self/fd/{name}")))
        except FileNotFoundError:
            continue
    return frozenset(found)


def children() -> frozenset[int]:
    """Return the pids of this process's own children, zombies included."""
    pids: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/children", encoding="ascii") as listing:
                pids.update(map(int, listing.read().split()))
        except FileNotFoundError:
            continue
    return frozenset(pids)


def described(pid: int) -> str:
    """Return a child's command line for the message, or its name when it is a zombie."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline, open(f"/proc/{pid}/stat", "rb") as stat:
            words = cmdline.read().replace(b"\0", b" ").decode(errors="replace").strip()
            name, _, rest = stat.read().partition(b"(")[2].decode(errors="replace").rpartition(")")
            return f"child {pid} ({words or name}{', a zombie' if rest.split()[0] == 'Z' else ''})"
    except FileNotFoundError:
        return f"child {pid}"


def adopt_orphans(yes: bool) -> None:
    """Make this process a child subreaper, or no longer (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    ctypes.CDLL(None).prctl(36, int(yes), 0, 0, 0)


def reap(pids: Iterable[int]) -> None:
    """Reap those of these children that have ended."""
    for pid in pids:
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            continue


@frozen
class Census:
    """All that a test could leave behind, at one moment."""

    threads: frozenset[threading.Thread]
    children: frozenset[int]
    descriptors: frozenset[tuple[int, str]]

    @classmethod
    def take(cls) -> Census:
        """Count now."""
        return cls(frozenset(threading.enumerate()), children(), descriptors())

    def leftover(self, grace: float = 0.0, *, orphans: bool = False) -> list[str]:
        """Name what is here now and was not then, giving it up to `grace` seconds to go.

        With `orphans` dead children are reaped: the daemon that had them was killed, and could not.
        """
        end = time.monotonic() + grace
        for thread in frozenset(threading.enumerate()) - self.threads:
            thread.join(max(0.0, end - time.monotonic()))
        for pid in children() - self.children:
            wait_for_exit(pid, max(0.0, end - time.monotonic()))
        if orphans:
            reap(children() - self.children)
        now = Census.take()
        return [
            *(f"thread {thread.name}" for thread in now.threads - self.threads),
            *map(described, sorted(now.children - self.children)),
            *(f"descriptor {fd} ({target})" for fd, target in sorted(now.descriptors - self.descriptors)),
        ]


def wait_for_exit(pid: int, seconds: float) -> None:
    """Wait at most `seconds` for the end of a child; it stays for others to reap."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(seconds * 1000)
    finally:
        os.close(pidfd)


def clear(before: Census) -> None:
    """Kill, reap and close what a failed test left, so that the next one starts clean."""
    for pid in children() - before.children:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            continue
    for fd, _ in descriptors() - before.descriptors:
        try:
            os.close(fd)
        except OSError:
            continue
