"""The output thread: takes what all children write and puts it into their log files.

Rules:
- Callers (the loop) never touch a disk: they make the pipe and register it; files are opened, rotated and removed here.
- A thousand silent streams cost no wake-up: pipes are in one level-triggered epoll, added by the caller, and there is
  no timer. Whoever wants to know whether the thread is well asks `stalled`, which tells a long turn from idleness.
- A stream moves at most 1 MiB a turn, then the others have theirs.
- A trouble of one stream (its disk, its file, a bug it uncovers) costs that stream's output, counted, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

from supervisor.host import pipes
from supervisor.host.capture import Capture, StreamStats
from supervisor.host.compress import Compressor
from supervisor.host.logcache import LogCache
from supervisor.host.mailbox import Mailbox
from supervisor.host.pulse import Pulse, Pulses
from supervisor.host.relief import Relief
from supervisor.host.thread import attend

if TYPE_CHECKING:
    from collections.abc import Callable

    from supervisor.core.model import LogPolicy, UnitKey

log = logging.getLogger("respawnd.output")

STREAMS = ("stdout", "stderr")
_NAME = "respawnd-output"
_MAX_FILES = 256
_HANGING = 5.0  # seconds at one stream after which the others are relieved
_SETTLED = 1.0  # seconds without a new stream: start-up is over
_COMPRESSOR_GRACE = 0.5  # seconds it has at least to give up what it is at


def _nothing() -> None:
    """Nobody waits for it."""


class OutputThread:
    """Captures output; `start` it, `open` streams, `stop` it. clock is monotonic, in seconds."""

    def __init__(
        self,
        max_files: int = _MAX_FILES,
        clock: Callable[[], float] = time.monotonic,
        pulses: Pulses | None = None,
    ) -> None:
        self._clock = clock
        pulses = pulses or Pulses()
        self._scratch = pipes.Scratch()
        self._compressor = Compressor(pulses)
        self._cache = LogCache(max_files, self._compressor)
        self._captures: dict[tuple[UnitKey, str], Capture] = {}
        self._by_fd: dict[int, Capture] = {}
        self._mailbox: Mailbox[Callable[[], None]] = Mailbox()
        self._epoll = select.epoll()
        self._epoll.register(self._mailbox.fd, select.EPOLLIN)
        self._busy_since: float | None = None
        self._small: dict[Capture, None] = {}
        self._opened_at = 0.0
        self._current: Capture | None = None
        self._relief: Relief | None = None
        self._deadline: float | None = None
        life = (_NAME, self._run, pulses)
        self._thread = threading.Thread(target=attend, args=life, name=_NAME, daemon=True)

    def start(self) -> None:
        """Start the thread; streams may be opened before."""
        self._thread.start()

    def open(self, key: UnitKey, stream: str, path: str, policy: LogPolicy, uid: int | None = None) -> int:
        """Return the descriptor to give the next life of key as its stdout or stderr; call it before each launch.

        The first call makes the pipe, owned by uid if given; later ones give the same descriptor, blocking again if a
        former life had changed that, and let path, policy and uid take effect. path must be absolute; it is opened at
        the first output. About 17 us at first (see pipes.reserve), 2 us after that; never the disk. Raises OSError:
        EMFILE or ENFILE, EPERM for uid.
        """
        capture = self._captures.get((key, stream))
        if capture is None:
            return self._add(key, stream, path, policy, uid)
        if capture.path != path or capture.policy != policy:
            self._mailbox.post(partial(capture.aim, path, policy))
        if uid is not None and uid != capture.uid:
            capture.own(uid)
        return pipes.lend(capture.fd)

    def close(self, key: UnitKey, stream: str) -> None:
        """Capture what is in the pipe and close it, soon. For a unit that is no more; an unknown one is passed over.

        A straggler that still holds the pipe blocks once it has filled it.
        """
        capture = self._captures.pop((key, stream), None)
        if capture is not None:
            self._small.pop(capture, None)  # or a reload a second would keep all that it closed
            self._mailbox.post(partial(self._finish, capture))

    def drain(self, key: UnitKey, done: Callable[[], None] = _nothing) -> None:
        """Soon, capture what both pipes of key hold then, and call done in the output thread; it must not block.

        Output is taken as it comes: this is only for those who must know when all that a dead life wrote is in the
        file.
        """
        self._mailbox.post(partial(self._drain, key, done))

    def stats(self) -> dict[tuple[UnitKey, str], StreamStats]:
        """Counters of each open stream, since it was opened. From any thread, without waiting."""
        return {name: capture.stats() for name, capture in self._captures.copy().items()}

    @property
    def waiting(self) -> int:
        """Commands that the thread has not taken yet: streams to close, to drain, to aim elsewhere."""
        return len(self._mailbox)

    @property
    def uncompressed(self) -> int:
        """Logs whose rotated files wait to be compressed."""
        return self._compressor.waiting

    def stalled(self) -> float:
        """Seconds the turn under way has been going on: 0 when idle, large when a disk hangs."""
        since = self._busy_since
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def tend(self) -> None:
        """To be called at every turn of the loop; mostly it costs two comparisons.

        Pipes are given their capacity a second after the last was made, or at the first output: not while a thousand
        services start. If the thread has hung for 5 s, other children's pipes are emptied: the one case in which they
        could block on us for ever.
        """
        if self._small and self._clock() - self._opened_at >= _SETTLED:
            self._mailbox.post(partial(self._enlarge, list(self._small)))
            self._small = {}
        if self.stalled() < _HANGING or (self._relief is not None and self._relief.running()):
            return
        with contextlib.suppress(OSError, RuntimeError):  # no descriptor or thread left: the next turn tries again
            self._relief = Relief(self.stalled, self._others)
            self._relief.start()

    def stop(self, timeout: float) -> bool:
        """Take what all pipes hold, close everything and join, within timeout seconds.

        False if a disk hangs: then the thread, the pipes and the files are left as they are, for exit to close.
        """
        self._deadline = self._clock() + timeout
        self._mailbox.post(_nothing)
        if self._thread.ident is None:
            self._end()
        else:
            self._thread.join(timeout)
        left = self._deadline - self._clock()
        if self._relief is not None:
            self._relief.stop(_COMPRESSOR_GRACE)
        return self._compressor.stop(max(left, _COMPRESSOR_GRACE)) and not self._thread.is_alive()

    def _add(self, key: UnitKey, stream: str, path: str, policy: LogPolicy, uid: int | None) -> int:
        fd = pipes.create(uid)
        capture = Capture(key, stream, fd, self._cache, self._scratch)
        capture.aim(path, policy)
        capture.uid = uid
        self._captures[key, stream] = self._by_fd[fd] = capture
        self._small[capture] = None
        self._opened_at = self._clock()
        self._epoll.register(fd, select.EPOLLIN)
        return fd

    def _others(self) -> list[Capture]:
        """All streams but the one that is being served."""
        return [capture for capture in self._captures.copy().values() if capture is not self._current]

    def _run(self, pulse: Pulse) -> None:
        while self._deadline is None:
            self._busy_since = self._current = None
            pulse.idle()
            events = self._epoll.poll()
            for fd, _ in events:
                pulse.busy()
                self._busy_since = self._clock()
                capture = self._by_fd.get(fd)
                if capture is not None:
                    self._attempt(partial(capture.turn, self._busy_since), capture)
            # After the streams of the same moment: what a caller asks for finds their output taken.
            if any(fd == self._mailbox.fd for fd, _ in events):
                self._obey()
        self._end()

    def _obey(self) -> None:
        for command in self._mailbox.take():
            self._attempt(command)

    def _attempt(self, call: Callable[[], object], capture: Capture | None = None) -> None:
        """A bug met with one stream must not end the capture of all."""
        self._current = capture
        try:
            call()
        except Exception:
            log.exception("Cannot capture %s", "output" if capture is None else f"{capture.stream} of {capture.key}")
            if capture is not None:
                capture.condemn()

    def _enlarge(self, captures: list[Capture]) -> None:
        for capture in captures:
            if self._by_fd.get(capture.fd) is capture:
                capture.enlarge()

    def _drain(self, key: UnitKey, done: Callable[[], None]) -> None:
        for stream in STREAMS:
            capture = self._captures.get((key, stream))
            if capture is not None:
                self._attempt(partial(capture.empty, self._clock()), capture)
        done()

    def _finish(self, capture: Capture) -> None:
        self._attempt(partial(capture.empty, self._clock()), capture)
        # In this order: once the descriptor is closed its number may be another stream's.
        del self._by_fd[capture.fd]
        self._epoll.unregister(capture.fd)
        capture.close()

    def _end(self) -> None:
        for capture in list(self._by_fd.values()):
            if self._deadline is None or self._clock() < self._deadline:
                self._attempt(partial(capture.empty, self._clock()), capture)
            capture.close()
        self._by_fd.clear()
        self._cache.close()
        self._scratch.close()
        self._epoll.close()
        self._mailbox.close()
