"""The program that every service of the fleet runs: it says that it lives, then does as it is told.

Rules: standard library only, and little of it (started with -I -S, thousands of times). It connects to the socket named
by SOAK_STAGE and says who it is; its death is the end of the connection. An order is a line of JSON, and so is the
answer, which comes when the order is carried out. What it leaves behind does not hold the connection.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

Order = dict[str, Any]
_kept: list[Any] = []


def usage() -> dict[str, Any]:
    """What this process and the children that it waited for have used: seconds, and bytes of storage (proc(5), io)."""
    own, theirs = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    with open("/proc/self/io", encoding="ascii") as file:
        io = dict(line.split(": ") for line in file)
    seconds = own.ru_utime + theirs.ru_utime + own.ru_stime + theirs.ru_stime
    return {"used": seconds, "read": int(io["read_bytes"]), "written": int(io["write_bytes"])}


def burn(order: Order) -> None:
    """Use the processor until so many more seconds of it are used."""
    end = time.process_time() + order["seconds"]
    while time.process_time() < end:
        pass


def eat(order: Order) -> None:
    """Hold so many bytes of memory, each page of it written to."""
    _kept.append(bytearray(b"\1") * order["bytes"])


def open_files(order: Order) -> None:
    """Hold so many more descriptors."""
    _kept.extend(open(os.devnull, "rb") for _ in range(order["number"]))  # noqa: SIM115 - held until the end


def thread(order: Order) -> None:
    """Hold so many more threads."""
    for _ in range(order["number"]):
        threading.Thread(target=threading.Event().wait, daemon=True).start()


def fork(order: Order) -> None:
    """Hold so many children, which end with us."""
    for _ in range(order["number"]):
        ours, theirs = os.pipe()
        if os.fork() == 0:
            os.close(theirs)
            _wait_for_end(ours)
        os.close(ours)
        _kept.append(theirs)


def litter(order: Order) -> None:
    """Leave processes in a session of their own, deaf to TERM if so told, that outlive us."""
    ours, theirs = os.pipe()
    for _ in range(order["number"]):
        if os.fork() == 0:
            os.setsid()
            if order["deaf"]:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _leave_alone(theirs)
    os.close(theirs)
    for _ in range(order["number"]):  # deaf from here on: none is met by TERM before it is
        os.read(ours, 1)
    os.close(ours)


def write(order: Order) -> None:
    """Write bytes to a standard stream, in so many writes."""
    for _ in range(order["times"]):
        text = b"x" * (order["bytes"] - 1) + b"\n"
        while text:
            text = text[os.write(order["stream"], text) :]


def store(order: Order) -> None:
    """Write bytes to a file on disk, and see to it that they arrive."""
    with open(order["path"], "wb") as file:
        file.write(b"s" * order["bytes"])
        file.flush()
        os.fsync(file.fileno())


def stray(order: Order) -> dict[str, int]:
    """Leave a process that nobody can tell to be of us: of another session and an empty environment. It ends soon."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild == 0:
            os.setsid()
            os.execve("/bin/sleep", ["sleep", "0.2"], {})
        os.write(theirs, b"%d" % grandchild)
        os._exit(0)
    os.waitpid(child, 0)
    pid = int(os.read(ours, 20))
    os.close(ours)
    os.close(theirs)
    return {"pid": pid}


ORDERS: dict[str, Callable[[Order], dict[str, int] | None]] = {
    "burn": burn, "eat": eat, "open": open_files, "thread": thread, "fork": fork, "litter": litter, "write": write,
    "store": store, "stray": stray, "tell": lambda _: None,
}  # fmt: skip


def _wait_for_end(pipe: int) -> None:
    """Be a child that sleeps until its parent is gone."""
    stage.close()
    select.select([pipe], [], [])
    os._exit(0)


def _leave_alone(pipe: int) -> None:
    """Be one who stays: nothing of the parent's is held open but the pipe's end, and that only to say so."""
    stage.close()
    for stream in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    os.write(pipe, b".")
    os.close(pipe)
    while True:
        signal.pause()


def forked() -> float:
    """The moment (monotonic, to the clock tick) before which we were not there: proc(5), starttime."""
    with open("/proc/self/stat", "rb") as stat:
        ticks = int(stat.read().rpartition(b")")[2].split()[19])
    return ticks / os.sysconf("SC_CLK_TCK") - (time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic())


def answer(**words: Any) -> None:
    """Say one line to the script."""
    stage.sendall(json.dumps(words).encode() + b"\n")


def leave(code: int) -> None:
    """End, after saying what was used."""
    answer(done="exit", **usage())
    os._exit(code)


def doomed(path: str) -> bool:
    """Whether this life is one of those that shall fail at once, as the number in the file says; counts it down."""
    try:
        with open(path, "r+", encoding="ascii") as file:
            left = int(file.read() or 0)
            file.seek(0)
            file.truncate()
            file.write(str(max(0, left - 1)))
    except FileNotFoundError:
        return False
    return left > 0


def on_term(how: str) -> None:
    """Take TERM as told: deaf, or slow (ends half a second later with 0), or as everybody does."""
    if how == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif how == "slow":
        late = threading.Timer(0.5, os._exit, [0])
        late.daemon = True
        signal.signal(signal.SIGTERM, lambda *_: late.start())


def main(how: str = "", ends: str = "", *_: str) -> None:
    """Live: `how` TERM is taken, and for a job `ends`, the status to end with at once."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    on_term(how)
    answer(service=os.environ["RESPAWND_SERVICE"], replica=int(os.environ["RESPAWND_REPLICA"]), pid=os.getpid(),
           at=time.monotonic(), forked=forked(), context=os.environ.get("TRACEPARENT", ""),
           number=int(os.environ["RESPAWND_LIFE"].rpartition("-")[2]))  # fmt: skip
    if doomed(os.environ["SOAK_DOOM"] + os.environ["RESPAWND_SERVICE"]):
        leave(7)
    if ends:
        leave(int(ends))
    for line in stage.makefile("rb"):
        order = json.loads(line)
        if order["do"] == "exit":
            leave(order["code"])
        more = ORDERS[order["do"]](order) or {}
        answer(done=order["do"], **more, **usage())
    os._exit(0)  # the script is gone


if __name__ == "__main__":
    stage = socket.socket(socket.AF_UNIX)
    stage.connect(os.environ["SOAK_STAGE"])
    main(*sys.argv[1:])
