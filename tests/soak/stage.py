"""Where the processes of the fleet meet the script: their births, their answers and their deaths, as they come.

Rules: nothing is asked of the daemon here. A birth is the hello of a process (`tests.soak.actor`), a death the end of
its connection, which the kernel closes before it tells the parent. Moments are monotonic seconds.
"""

from __future__ import annotations

import json
import selectors
import socket
import time
from typing import Any

from attrs import define, field

Key = tuple[str, int]
#: Seconds that we may wake too late ourselves; beyond that the machine stands still, for all that runs on it.
STALL = 0.3


@define(eq=False)
class Life:
    """One process of a service; `number` is what the daemon calls it.

    Moments: `doomed`, when the script was about to end it; `gone`, when its end was seen; `reaped`, when a picture
    first showed that the daemon knew; `forked`, one before which it was not there. `up` bounds that at which it was up,
    `down` that at which it no longer was. `context` is the traceparent that it was given, `used` its processor time as
    last known, `held` the bytes that it was told to hold, `brood` counts those that it leaves behind, and `retired`
    says that its replica is no more.
    """

    key: Key
    number: int
    pid: int
    said_at: float
    forked: float
    sock: socket.socket
    answers: list[dict[str, Any]] = field(factory=list)
    doomed: float | None = None
    gone: float | None = None
    context: str = ""
    used: float = 0.0
    held: int = 0
    brood: int = 0
    retired: bool = False
    up: tuple[float, float] | None = None
    down: tuple[float, float] | None = None
    reaped: float | None = None
    _rest: bytes = b""

    @property
    def known(self) -> float:
        """A moment at which the daemon knew that it had come to life."""
        if self.up is not None:
            return self.up[1]
        assert self.reaped is not None, f"{self.key} is not known yet"
        return self.reaped

    def order(self, what: str, **words: Any) -> int:
        """Tell it to do something; the number of answers there will be then."""
        self.sock.sendall(json.dumps({"do": what, **words}).encode() + b"\n")
        return len(self.answers) + 1

    def heard(self, data: bytes) -> None:
        """Take what it said."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self.answers.append(json.loads(line))
            self.used = self.answers[-1]["used"]


class Stage:
    """All lives there have been, by replica; the last of each is the present one while it is not gone.

    `stalls` are the stretches of wall time in which the machine stood still.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.lives: dict[Key, list[Life]] = {}
        self.news = False
        self.stalls: list[tuple[float, float]] = []
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(128)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def close(self) -> None:
        """Hang up on all."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
        self._selector.close()

    def living(self, key: Key) -> Life | None:
        """The present life of a replica, if it has one."""
        lives = self.lives.get(key)
        return lives[-1] if lives and lives[-1].gone is None else None

    def pump(self, seconds: float) -> None:
        """Take what comes within so many seconds, at least once; `news` tells that something was born or died."""
        begun = time.time()
        ready = self._selector.select(max(0.0, seconds))
        if time.time() - begun > max(0.0, seconds) + STALL:
            self.stalls.append((begun, time.time()))
        for key, _ in ready:
            if key.fileobj is self._listener:
                self._selector.register(self._listener.accept()[0], selectors.EVENT_READ)
            else:
                assert isinstance(key.fileobj, socket.socket)
                self._hear(key.fileobj, key.data)

    def _hear(self, sock: socket.socket, life: Life | None) -> None:
        try:
            data = sock.recv(65536)
        except ConnectionResetError:  # it died with an order of ours unread
            data = b""
        if life is not None and data:
            life.heard(data)
            return
        self.news = True
        if data:
            self._selector.modify(sock, selectors.EVENT_READ, self._born(sock, data))
            return
        self._selector.unregister(sock)
        sock.close()
        if life is not None:
            life.gone = time.monotonic()

    def _born(self, sock: socket.socket, data: bytes) -> Life:
        hello, _, rest = data.partition(b"\n")
        word = json.loads(hello)
        key = (word["service"], word["replica"])
        before = self.lives.setdefault(key, [])
        # Where a user or a limit is asked for, a process is forked before it is needed.
        least = max(word["forked"], (before[-1].doomed or before[-1].said_at) if before else 0.0)
        life = Life(key, word["number"], word["pid"], word["at"], least, sock, context=word["context"])
        before.append(life)
        if rest:
            life.heard(rest)
        return life
