"""Reads what the kernel says about a process: its processor time, wake-ups, memory and descendants (proc(5))."""

from __future__ import annotations

import os

_TICK = 1.0 / os.sysconf("SC_CLK_TCK")


def _text(path: str) -> str:
    """Give a file of /proc, or nothing when the process has gone."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _stat(pid: int) -> list[str]:
    """Give the fields of /proc/PID/stat after the name, which may hold blanks: state is [0], ppid [1]."""
    return _text(f"/proc/{pid}/stat").rpartition(")")[2].split()


def pids() -> list[int]:
    """Give every process of this pid namespace."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def alive(pid: int) -> bool:
    """Tell whether the process runs; a zombie does not."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in {"Z", "X"}


def running(program: str) -> set[int]:
    """Give the living processes whose executable is ``program``; exe of a zombie cannot be read."""
    found = set()
    for pid in pids():
        try:
            if os.readlink(f"/proc/{pid}/exe") == program:
                found.add(pid)
        except OSError:  # gone, a zombie, or a kernel thread
            continue
    return found


def household(pid: int, services: set[int]) -> list[int]:
    """Give the process and those of its descendants that are no service: the helpers whose cost is the supervisor's."""
    parents = {each: int(fields[1]) for each in pids() if (fields := _stat(each)) and fields[0] != "Z"}
    members = [pid]
    for member in members:
        members += [child for child, parent in parents.items() if parent == member and child not in services]
    return members


def cpu_seconds(pid: int, *, with_children: bool = False) -> float:
    """Give user and system time of all threads, dead ones included, in steps of a tick (10 ms as a rule)."""
    fields = _stat(pid)
    if not fields:
        return 0.0
    last = 15 if with_children else 13  # utime, stime, then cutime, cstime of children that were reaped
    return sum(int(ticks) for ticks in fields[11:last]) * _TICK


def wakeups(pid: int) -> int:
    """Give how often the threads of a process have gone to sleep by themselves: each time, something woke them."""
    return sum(
        int(line.split()[1])
        for task in os.listdir(f"/proc/{pid}/task")
        for line in _text(f"/proc/{pid}/task/{task}/status").splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def memory_kib(pid: int) -> dict[str, int]:
    """Give Pss, Rss and Anonymous in KiB: memory shared with others by its share, and in full; what is no file's."""
    wanted = {"Pss:", "Rss:", "Anonymous:"}
    lines = [line.split() for line in _text(f"/proc/{pid}/smaps_rollup").splitlines()]
    return {words[0].rstrip(":"): int(words[1]) for words in lines if words[0] in wanted}
