"""A few long-lived threads for handlers that block.

Rules: nothing is started before it is needed but the first, which `begin` starts and which stays: where no more threads
can be had (a limit of processes) there is one. A thread that found no work for a while ends. The queue is bounded: a
full one is refused at once, never waited for. A job that raises costs itself alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

from supervisor.host.pulse import PREFIX, Pulse, Pulses
from supervisor.host.thread import attend

Job = Callable[[], None]

log = logging.getLogger("respawnd.http")


class Pool:
    """At most `size` threads named `name`-1 and up, and at most `queue` jobs that wait for one of them.

    `refused` counts the jobs that found the queue full.
    """

    def __init__(self, name: str, *, size: int, queue: int, idle_s: float, pulses: Pulses | None = None) -> None:
        self.refused = 0
        self._name = name
        self._listed = f"{name.removeprefix(PREFIX)}-worker"
        self._pulses = pulses or Pulses()
        self._kept = 0  # the number of the thread that does not end, 0 for none
        self._coming = 0  # 1 until that thread waits for the first time
        self._size = size
        self._queue = queue
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._threads: dict[int, threading.Thread] = {}
        self._waiting = 0
        self._closing = False

    def begin(self) -> None:
        """Start the thread that stays. RuntimeError if it cannot be had."""
        with self._changed:
            self._kept = self._coming = 1
            if not self._start_one():
                raise RuntimeError(f"cannot start {self._name}-1: no more threads can be had")

    def submit(self, job: Job) -> bool:
        """Have `job` done by some thread; False if the queue is full or the pool is closing."""
        with self._changed:
            if self._closing or len(self._jobs) >= self._queue + self._waiting:
                self.refused += not self._closing
                return False
            self._jobs.append(job)
            enough = len(self._jobs) <= self._waiting + self._coming or len(self._threads) >= self._size
            if enough or not self._start_one():
                self._changed.notify()
            if not self._threads:
                self._jobs.pop()
                return False
        return True

    def close(self, timeout: float) -> list[str]:
        """Drop what waits, let what runs finish, and end; names of the threads that outlast `timeout` seconds."""
        with self._changed:
            self._closing = True
            self._jobs.clear()
            threads = list(self._threads.values())
            self._changed.notify_all()
        until = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return [thread.name for thread in threads if thread.is_alive()]

    @property
    def depth(self) -> int:
        """Jobs that wait for a thread."""
        return len(self._jobs)

    @property
    def threads(self) -> int:
        """Threads alive, working or idle."""
        return len(self._threads)

    def _start_one(self) -> bool:
        number = next(n for n in range(1, self._size + 1) if n not in self._threads)
        name, how = f"{self._name}-{number}", {"listed": self._listed}
        life = (name, partial(self._work, number), self._pulses)
        thread = threading.Thread(target=attend, args=life, kwargs=how, name=name, daemon=True)
        self._threads[number] = thread
        try:
            thread.start()
        except RuntimeError as error:  # "can't start new thread": a limit of processes or memory
            del self._threads[number]
            log.warning("Cannot start %s-%d: %s", self._name, number, error)
            return False
        return True

    def _work(self, number: int, pulse: Pulse) -> None:
        pulse.idle()
        while (job := self._next(number)) is not None:
            pulse.busy()
            try:
                job()
            except BaseException:  # SystemExit too: a thread lost in silence would keep its place for ever
                log.exception("%s-%d: a job failed", self._name, number)
                self._pulses.restarted(self._listed)
            del job  # or the last request would stay in memory for as long as the thread waits
            pulse.idle()

    def _next(self, number: int) -> Job | None:
        with self._changed:
            self._waiting += 1
            if number == self._kept:
                self._coming = 0
            try:
                patience = None if number == self._kept else self._idle_s
                self._changed.wait_for(lambda: self._jobs or self._closing, patience)
            finally:
                self._waiting -= 1
            if self._jobs:
                return self._jobs.popleft()
            del self._threads[number]
            return None
