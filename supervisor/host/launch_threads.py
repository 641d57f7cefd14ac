"""The launcher threads: where a launch may take its time.

Rules:
- A few threads take what comes, two for each processor. More are started only when they are needed, 64 at most: at
  once for a program that is known to be slow, and by a watcher while jobs wait behind launches that take longer than
  `STUCK`.
- Slow programs never have all of them: what is not known to be slow always finds one.
- A thread never ends before `stop`. The kernel takes the death of the thread that launched a process for the death of
  its parent (PR_SET_PDEATHSIG, prctl(2)); an idle one costs 20 KiB and no wake-up.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

from supervisor.host.pulse import Pulse, Pulses
from supervisor.host.thread import attend

log = logging.getLogger("respawnd.launch")

NAME = "respawnd-launch"
_LISTED = "launch"
MOST = 64
#: Seconds after which a launch is taken for stuck, and no longer counts on its thread.
STUCK = 0.010
Job = Callable[[], None]


class LaunchThreads:
    """Runs jobs, each in one of its threads. A job that raises costs itself alone, is logged and counted."""

    def __init__(self, most: int = MOST, pulses: Pulses | None = None) -> None:
        self._most = most
        self._pulses = pulses or Pulses()
        self._base = min(most, 2 * (os.cpu_count() or 1))
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[tuple[Job, bool] | None] = SimpleQueue()
        self._held: deque[Job] = deque()
        self._threads: set[threading.Thread] = set()
        self._since: dict[threading.Thread, float] = {}  # when the job that a thread runs was begun
        self._number = 0
        self._load = 0  # jobs queued or running
        self._slow = 0  # slow ones among them
        self._alarm: SimpleQueue[bool] = SimpleQueue()
        self._watcher: threading.Thread | None = None
        self._watching = False
        self._stopping = False

    @property
    def waiting(self) -> int:
        """Jobs that no thread has taken yet."""
        return self._jobs.qsize() + len(self._held)

    def submit(self, job: Job, *, slow: bool) -> None:
        """Run `job` soon. Raises RuntimeError if there is no thread and none can be started."""
        with self._lock:
            if self._stopping:
                raise RuntimeError("the launcher threads are stopped")
            if slow and self._slow >= self._most - 1:
                self._held.append(job)
                return
            self._load += 1
            self._slow += slow
            if len(self._threads) < min(self._load, self._base + self._slow, self._most):
                self._grow()
            elif self._load > len(self._threads):
                self._watch()
        self._jobs.put((job, slow))

    def _grow(self) -> None:
        """One more thread, with the lock held. Without it the others take the job, if there are any."""
        self._number += 1
        thread = self._made(f"{NAME}-{self._number}", self._work)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError as error:
            self._threads.discard(thread)
            if not self._threads:
                self._load -= 1
                raise
            log.warning("Cannot start one more launcher thread: %s", error)

    def _made(self, name: str, body: Callable[[Pulse], None]) -> threading.Thread:
        how = {"listed": _LISTED}
        return threading.Thread(target=attend, args=(name, body, self._pulses), kwargs=how, name=name, daemon=True)

    def _watch(self) -> None:
        """Wake the watcher, with the lock held; it sleeps while no job waits."""
        if self._watching or len(self._threads) >= self._most:
            return
        if self._watcher is None:
            watcher = self._made(f"{NAME}-0", self._relieve)
            try:
                watcher.start()
            except RuntimeError as error:
                log.warning("Cannot start %s: %s", watcher.name, error)
                return
            self._watcher = watcher
        self._watching = True
        self._alarm.put(True)

    def _relieve(self, pulse: Pulse) -> None:
        """See to it that `base` threads are not stuck, as long as jobs wait."""
        while True:
            pulse.idle()
            # After a failure it is still watching, and nobody would wake it.
            if not self._watching and not self._alarm.get():
                return
            while self._watching:
                pulse.busy()
                time.sleep(STUCK)
                with self._lock:
                    self._relieve_once(time.monotonic() - STUCK)

    def _relieve_once(self, before: float) -> None:
        stuck = sum(since < before for since in self._since.values())
        while not self._stopping and self._base > len(self._threads) - stuck and len(self._threads) < self._most:
            self._grow()
        self._watching = not (self._stopping or self._jobs.empty() or len(self._threads) >= self._most)

    def _work(self, pulse: Pulse) -> None:
        thread = threading.current_thread()
        pulse.idle()
        while (item := self._jobs.get()) is not None:
            pulse.busy()
            job, slow = item
            self._since[thread] = time.monotonic()
            try:
                job()
            except BaseException:  # SystemExit too: this thread must not end, see above
                log.exception("%s: a job failed", thread.name)
                self._pulses.restarted(_LISTED)
            self._done(slow, thread)
            del item, job  # it may hold descriptors, or the answer
            pulse.idle()

    def _done(self, slow: bool, thread: threading.Thread) -> None:
        with self._lock:
            self._since.pop(thread, None)
            self._load -= 1
            self._slow -= slow
            if slow and self._held:
                self._load += 1
                self._slow += 1
                self._jobs.put((self._held.popleft(), True))

    def stop(self, timeout: float) -> bool:
        """End the threads once their jobs are done; False if some are not within `timeout` seconds."""
        with self._lock:
            self._stopping = True
            threads = list(self._threads)
            threads += [self._watcher] if self._watcher is not None else []
        for _ in threads:
            self._jobs.put(None)
        self._alarm.put(False)
        deadline = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)
