"""A few long-lived threads for handlers that block.

Rules: nothing is started before it is needed, and a thread that found no work for a while ends, so an idle daemon has
none. The queue is bounded: a full one is refused at once, never waited for. A job that raises costs itself alone.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]

log = logging.getLogger("respawnd.http")


class Pool:
    """At most `size` threads named `name`-1 and up, and at most `queue` jobs that wait for one of them."""

    def __init__(self, name: str, *, size: int, queue: int, idle_s: float) -> None:
        self._name = name
        self._size = size
        self._queue = queue
        self._idle_s = idle_s
        self._changed = threading.Condition()
        self._jobs: deque[Job] = deque()
        self._threads: dict[int, threading.Thread] = {}
        self._waiting = 0
        self._closing = False

    def submit(self, job: Job) -> bool:
        """Have `job` done by some thread; False if the queue is full or the pool is closing."""
        with self._changed:
            if self._closing or len(self._jobs) >= self._queue + self._waiting:
                return False
            self._jobs.append(job)
            if len(self._jobs) <= self._waiting or len(self._threads) >= self._size or not self._start_one():
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
        thread = threading.Thread(target=self._work, args=(number,), name=f"{self._name}-{number}", daemon=True)
        self._threads[number] = thread
        try:
            thread.start()
        except RuntimeError as error:  # "can't start new thread": a limit of processes or memory
            del self._threads[number]
            log.warning("Cannot start %s-%d: %s", self._name, number, error)
            return False
        return True

    def _work(self, number: int) -> None:
        while (job := self._next(number)) is not None:
            try:
                job()
            except Exception:
                log.exception("%s-%d: a job failed", self._name, number)
            del job  # or the last request would stay in memory for as long as the thread waits

    def _next(self, number: int) -> Job | None:
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: self._jobs or self._closing, self._idle_s)
            self._waiting -= 1
            if self._jobs:
                return self._jobs.popleft()
            del self._threads[number]
            return None
