"""Whether each long-lived thread lives, and whether it waits for work or has been at one piece of it since when.

Rules:
- A thread says `busy` when it takes up a piece of work, and again at each step of a long one, and `idle` before it
  waits. That is one attribute, written by its thread alone: no lock, 0.1 us. Nobody wakes up in order to beat.
- A thread that waits is well by definition, so its last sign of life is now; one that is stuck falls behind.
- Threads of a pool are one name: up while one of them is, with the oldest piece of work of any.
- A thread that ends as it was told to is no longer listed; one that is gone for another reason is listed as down.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

#: What the names of our threads begin with; on the metrics page they go without.
PREFIX = "respawnd-"
_now = time.monotonic
_NEVER = float("-inf")


class Pulse:
    """The sign of life of one thread. `since` is when it took up its piece of work (monotonic), None while it waits.

    `down` is true while the thread has failed and does not work yet again; `thread` is None where it is found by name.
    """

    __slots__ = ("down", "name", "since", "thread")

    def __init__(self, name: str, thread: threading.Thread | None) -> None:
        self.name, self.thread, self.down = name, thread, False
        self.since: float | None = _NEVER

    def busy(self) -> None:
        """A piece of work begins, or a long one makes progress."""
        self.since = _now()

    def idle(self) -> None:
        """The thread is about to wait for work."""
        self.since = None


class Beat(NamedTuple):
    """One name on the page: Unix time of the last sign of life, and how many failures were mended."""

    name: str
    up: bool
    at: float
    restarts: int


class Pulses:
    """The pulses of all threads, by name. Any thread may call any method; `clock` and `wall` are in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self._clock, self._wall = clock, wall
        self._lock = threading.Lock()
        self._members: dict[str, list[Pulse]] = {}
        self._restarts: dict[str, int] = {}

    def begin(self, name: str) -> Pulse:
        """The pulse of the calling thread, listed under `name` beside others of that name; it begins busy."""
        pulse = Pulse(name, threading.current_thread())
        pulse.busy()
        with self._lock:
            # Those that are gone without a word have a successor now.
            others = [one for one in self._members.get(name, ()) if one.thread is None or one.thread.is_alive()]
            self._members[name] = [*others, pulse]
        return pulse

    def expect(self, name: str) -> Pulse:
        """A pulse to hand to a thread named PREFIX + `name`, listed from its first beat on."""
        pulse = Pulse(name, None)
        with self._lock:
            self._members[name] = [pulse]
        return pulse

    def end(self, pulse: Pulse) -> None:
        """The thread ends as it should."""
        with self._lock:
            left = [one for one in self._members.get(pulse.name, ()) if one is not pulse]
            if left:
                self._members[pulse.name] = left
            else:
                self._members.pop(pulse.name, None)

    def restarted(self, name: str) -> None:
        """Count a failure that would have ended a thread, after which it works again."""
        with self._lock:
            self._restarts[name] = self._restarts.get(name, 0) + 1

    def beats(self) -> list[Beat]:
        """Every name that is listed, in alphabetical order."""
        with self._lock:
            members = {name: list(pulses) for name, pulses in self._members.items()}
            restarts = dict(self._restarts)
        living = {thread.name for thread in threading.enumerate()}
        now, wall = self._clock(), self._wall()
        found = []
        for name in sorted(members.keys() | restarts.keys()):
            begun = [one for one in members.get(name, ()) if one.since != _NEVER]
            if begun:
                up = [_up(one, living, now) for one in begun]
                oldest = min(now if one.since is None else one.since for one in begun)
                found.append(Beat(name, any(up), wall - max(0.0, now - oldest), restarts.get(name, 0)))
        return found


def _up(pulse: Pulse, living: set[str], now: float) -> bool:
    """Whether the thread works; one that is gone falls behind from the moment at which that is first seen."""
    thread = pulse.thread
    up = not pulse.down and (PREFIX + pulse.name in living if thread is None else thread.is_alive())
    if not up and pulse.since is None:
        pulse.since = now
    return up
