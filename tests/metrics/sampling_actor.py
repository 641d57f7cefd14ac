"""A process that does what its standard input says, an expression a line, and answers each with its value as JSON.

Started by tests as a program. What it forks obeys too: `at(pid, text)` hands an expression on to a child.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import threading
import time
from typing import Any

BLOCK = 1 << 20
kept: list[Any] = []
below: dict[int, tuple[int, Any, Any]] = {}


def burn(seconds: float) -> float:
    """Use that much processor time; how much this process has used with its children."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(1000))
    return sum(os.times()[:4])


def used() -> dict[str, float]:
    """What the kernel says of this process and the children it waited for, to the microsecond."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return {"user": sum(one.ru_utime for one in both), "system": sum(one.ru_stime for one in both)}


def eat(mebibytes: int) -> int:
    """Hold that much memory, touched."""
    kept.append(b"x" * (mebibytes * BLOCK))
    return os.getpid()


def open_files(number: int, limit: int) -> int:
    """Have `number` descriptors open, of `limit`."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    while len(os.listdir("/proc/self/fd")) - 1 < number:
        kept.append(os.open("/dev/null", os.O_RDONLY))
    return len(os.listdir("/proc/self/fd")) - 1


def threads(number: int) -> int:
    """Have `number` threads more."""
    for _ in range(number):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    return threading.active_count()


def write(path: str, mebibytes: int) -> int:
    """Write that much to a disk, for good."""
    with open(path, "wb", buffering=0) as file:
        file.writelines(os.urandom(BLOCK) for _ in range(mebibytes))
        os.fsync(file.fileno())
    return mebibytes * BLOCK


def named(name: str) -> str:
    """Bear another name in /proc."""
    with open("/proc/self/comm", "w", encoding="ascii") as file:
        file.write(name)
    return name


def fork(*, session: bool = False) -> int:
    """Start a child that obeys too; its pid. With `session` it leads one of its own, and outlives its parent."""
    (read, tell), (hear, answer) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        if session:
            os.setsid()
        below.clear()
        # Whoever waits for the end of a pipe must see it when its owner ends.
        for fd in map(int, os.listdir("/proc/self/fd")):
            if fd not in {0, 1, 2, read, answer}:
                with contextlib.suppress(OSError):
                    os.close(fd)
        obey(os.fdopen(read), os.fdopen(answer, "w"))
        if session:
            signal.pause()
        os._exit(0)
    os.close(read)
    os.close(answer)
    below[pid] = (tell, os.fdopen(tell, "w"), os.fdopen(hear))
    return pid


def leave() -> int:
    """Start a daemon in the old manner: a child's child, in a session of its own, whose parent is dead; its pid."""
    middle = fork()
    found: int = at(middle, "fork(session=True)")
    at(middle, "orphan()")
    os.waitpid(middle, 0)
    return found


def orphan() -> None:
    """End at once, and leave the children to themselves."""
    os._exit(0)


def at(pid: int, text: str) -> Any:
    """Let a child do something; its answer. None where it ended instead."""
    _, tell, hear = below[pid]
    with contextlib.suppress(BrokenPipeError):
        print(text, file=tell, flush=True)
    line = hear.readline()
    return json.loads(line) if line else None


def end(pid: int, how: int = signal.SIGKILL) -> int:
    """Kill a child and wait for it; its status."""
    os.kill(pid, how)
    return os.waitpid(pid, 0)[1]


def deaf() -> str:
    """Wait for no child from now on: the kernel reaps them, and adds what they used to nobody."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    return "deaf"


def obey(orders: Any, answers: Any) -> None:
    """Do what is said until the other end is closed."""
    for line in orders:
        print(json.dumps(eval(line)), file=answers, flush=True)


if __name__ == "__main__":
    obey(sys.stdin, sys.stdout)
