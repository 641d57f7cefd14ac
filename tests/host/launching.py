"""A launcher with all that belongs to it, for the tests of both roads: one pipe for output, a queue for answers."""

from __future__ import annotations

import os
import queue
import select
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from supervisor.core.effects import Launch
from supervisor.core.events import Launched, LaunchFailed
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import LaunchError
from supervisor.host.launch import Launcher

Answer = Launched | LaunchFailed
ENVIRON = {"PATH": "/usr/bin:/bin", "LANG": "C"}
#: Asked for, it changes nothing, but only the staged road can do it.
STAGED: dict[str, Any] = {"umask": 0o022}


def spec(*command: str, name: str = "web", **fields: Any) -> UnitSpec:
    """A service with that command."""
    return UnitSpec(name, command, **fields)


class Rig:
    """A launcher, and what its children write. Children that were launched are killed and reaped at the end."""

    def __init__(self, environ: Mapping[str, str] = ENVIRON, raised: tuple[int, int] | None = None) -> None:
        self.read, self.write = os.pipe2(os.O_CLOEXEC)
        self.answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
        self.children: set[int] = set()
        self.life = 0
        self.launcher = Launcher("i", environ, self.outputs, self.answers.put, time.monotonic, raised)

    def outputs(self, key: UnitKey, spec: UnitSpec) -> tuple[int, int]:
        """What the children get as stdout and stderr."""
        return self.write, self.write

    def start(self, what: UnitSpec, *, inline_ok: bool = False) -> Answer | None:
        """Launch one more life, and do not wait for the answer."""
        self.life += 1
        answer = self.launcher.launch(Launch(UnitKey(what.name), self.life, what), inline_ok=inline_ok)
        if isinstance(answer, Launched):
            self.children.add(answer.pid)
        return answer

    def answer(self, timeout: float = 20.0) -> Answer:
        """The next answer that is posted, taken as the loop takes it."""
        answer = self.answers.get(timeout=timeout)
        self.launcher.taken(answer)
        if isinstance(answer, Launched):
            self.children.add(answer.pid)
        return answer

    def launch(self, what: UnitSpec, *, inline_ok: bool = False) -> Answer:
        """Launch one more life; its answer."""
        return self.start(what, inline_ok=inline_ok) or self.answer()

    def pid(self, what: UnitSpec, *, inline_ok: bool = False) -> int:
        """Launch a life that must come; its pid."""
        answer = self.launch(what, inline_ok=inline_ok)
        assert isinstance(answer, Launched), answer
        return answer.pid

    def refused(self, what: UnitSpec) -> LaunchError:
        """Launch what cannot be launched; why."""
        answer = self.launch(what)
        assert isinstance(answer, LaunchFailed), answer
        assert 0 <= answer.draw < 1
        return answer.error

    def output(self, what: UnitSpec) -> str:
        """Launch what ends by itself, and wait for that; what it has written."""
        assert 0 == self.wait(self.pid(what))
        return self.written()

    def written(self) -> str:
        """What is in the pipe now."""
        text = b""
        while select.select([self.read], [], [], 0)[0]:
            text += os.read(self.read, 1 << 16)
        return text.decode()

    def wait(self, pid: int) -> int:
        """Wait for the end of a child; its exit status, or minus the signal."""
        self.children.discard(pid)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def close(self) -> None:
        """End all."""
        self.launcher.stop(10.0)
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        os.close(self.read)
        os.close(self.write)


@contextmanager
def rig(environ: Mapping[str, str] = ENVIRON, raised: tuple[int, int] | None = None) -> Iterator[Rig]:
    """A rig for the length of a test."""
    one = Rig(environ, raised)
    try:
        yield one
    finally:
        one.close()


def status(pid: int) -> dict[str, str]:
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def gone(*pids: int) -> bool:
    """Wait until these processes, which may be anybody's children, are dead; False after 10 s."""
    for pid in pids:
        try:
            pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        with os.fdopen(pidfd):
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(10_000):
                return False
    return True


def helpers(host: Rig) -> frozenset[int]:
    """The server and both spares, once all three are there."""
    sock = host.launcher._server._socket
    assert sock is not None
    while len(found := host.launcher.helper_pids()) < 3:
        assert select.select([sock], [], [], 10)[0], "no spare came"
    return found
