"""The sampler: what each replica's process tree uses, in a thread of its own that looks every few seconds.

Rules
- It is never in the way of the loop: the loop tells it of an end by one append, and it steps aside between processes.
- It takes the picture of the fleet first, the ends that were told second, and looks at /proc third: the ends of all
  lives before those in the picture are then known.
- One pass runs at a time. Who wants a fresh sample waits for the next pass, with all others who do, and not for ever.
- What a pass means is in `census`, how it is reckoned in `accounts`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from metrics.aside import Aside, Manners
from metrics.pulse import Attend, Pulse, unattended
from metrics.recorder import Recorder
from metrics.sampler.census import Census, SamplerSettings
from metrics.sampler.cgroup import Groups
from supervisor.core.model import UnitKey
from supervisor.core.state import Consumed
from supervisor.core.view import FleetView

log = logging.getLogger("respawnd.sampler")

NAME = "respawnd-sampler"
#: Seconds from the start to the first pass. The next come at twice the distance each, until the interval is reached, so
#: that a page soon after the start has values, and they are not those of programs that are still loading.
FIRST = 0.2
#: Seconds between two calls of what is to be called `also`, at the most.
ALSO = 5.0
#: Seconds that `fresh` waits, at the most.
PATIENCE = 1.0
#: How the passes make room for the loop. While it is awake there is a pause after each slice: a thread that works in
#: short bursts is seldom taken off its processor in the middle of one, with the interpreter's lock in its hand, however
#: busy the machine is. While it sleeps nobody is in the way.
MANNERS = Manners(slice=0.0002, pause=0.00005, patience=0.005, awake=0.1)
#: Ends of lives that are kept for the next pass; some minutes of the worst crash loop.
_MOST_ENDS = 100_000
_DURATION = "respawnd_resource_sample_duration_seconds"
_TIME = "respawnd_resource_sample_time_seconds"
_ERRORS = "respawnd_resource_sample_errors_total"


class Sampler:
    """Samples the replicas of `view()` into `recorder`.

    `tag` gives what RESPAWND_LIFE is of a life. `also` are called in the thread every few seconds. `attend` is the
    thread's life around its body. `groups` is for tests.
    """

    def __init__(
        self,
        view: Callable[[], FleetView],
        recorder: Recorder,
        settings: SamplerSettings,
        *,
        tag: Callable[[UnitKey, int], str],
        also: Sequence[Callable[[], None]] = (),
        attend: Attend = unattended,
        groups: Groups | None = None,
    ) -> None:
        self._view, self._recorder, self._settings = view, recorder, settings
        self._also = tuple(also)
        self._failed: set[Callable[[], None]] = set()
        self._attend = attend
        self._ends: deque[tuple[UnitKey, int, Consumed | None]] = deque(maxlen=_MOST_ENDS)
        aside = Aside(lambda: recorder.ticked, MANNERS)
        self._census = Census(
            tag, lambda reason: recorder.count(_ERRORS, reason), aside.step, recorder.replicas, groups
        )
        self._sampling = threading.Lock()
        self._changed = threading.Condition()
        self._stopping = False
        self._asked = False
        self._sampled = float("-inf")
        self._thread: threading.Thread | None = None

    # --- for the loop -------------------------------------------------------------------------------------------------

    def exited(self, key: UnitKey, life: int, consumed: Consumed | None) -> None:
        """The main process of a life is dead and reaped; `consumed` is what it used, None where it was not our child.

        To be called in the loop's turn, before a picture shows the next life. Takes no lock.
        """
        self._ends.append((key, life, consumed))

    # --- for any thread -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to sample."""
        self._thread = threading.Thread(target=self._attend, args=(NAME, self._run), name=NAME, daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """End, after the pass that is under way; whether it ended within `timeout` seconds."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def configure(self, settings: SamplerSettings) -> None:
        """Go on with other settings, from now on."""
        with self._changed:
            self._settings = settings
            self._changed.notify_all()

    def fresh(self, max_age: float) -> None:
        """See to it that what the recorder has is at most `max_age` seconds old, within PATIENCE. For commands."""
        with self._changed:
            wanted = time.monotonic() - max_age
            if self._sampled < wanted and self._thread is not None and not self._stopping:
                self._asked = True
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._sampled >= wanted or self._stopping, PATIENCE)

    def sample(self) -> None:
        """Take one pass now, in the calling thread."""
        with self._sampling:
            began = time.monotonic()
            # In this order: see the rules.
            view = self._view()
            ends = self._told()
            at, wall = time.monotonic(), time.time()
            self._recorder.sampled(self._census.take(view, ends, at, self._settings))
            self._recorder.put(_DURATION, time.monotonic() - began)
            self._recorder.put(_TIME, wall)
            with self._changed:
                self._sampled = at
                self._changed.notify_all()

    def _told(self) -> Mapping[UnitKey, Sequence[tuple[int, Consumed | None]]]:
        ends: dict[UnitKey, list[tuple[int, Consumed | None]]] = {}
        while self._ends:
            key, life, consumed = self._ends.popleft()
            ends.setdefault(key, []).append((life, consumed))
        return ends

    # --- the thread ---------------------------------------------------------------------------------------------------

    def _run(self, pulse: Pulse) -> None:
        distance, due, also = FIRST, time.monotonic() + FIRST, time.monotonic() + ALSO
        while self._wait(pulse, min(due, also)):
            pulse.busy()
            now = time.monotonic()
            due = min(due, now + self._settings.interval)
            if now >= also:
                also = now + ALSO
                self._call()
            if now >= due or self._asked:
                self._asked = False
                self.sample()
                distance = min(2 * distance, self._settings.interval)
                # Never more than half of the time, whatever the interval.
                due = max(now + distance, 2 * time.monotonic() - now)

    def _wait(self, pulse: Pulse, until: float) -> bool:
        """Wait for the moment, or for somebody who asks; whether to go on."""
        pulse.idle()
        with self._changed:
            settings = self._settings
            while not (self._stopping or self._asked or self._settings is not settings):
                left = until - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(left)
            return not self._stopping

    def _call(self) -> None:
        """Call what is to be called also; what fails is told once, and called again all the same."""
        for call in self._also:
            try:
                call()
            except Exception as error:  # a guest of this thread must not end it
                if call not in self._failed:
                    self._failed.add(call)
                    log.warning("Cannot call %s from the sampler's thread", call, exc_info=error)

    # --- for a successor ----------------------------------------------------------------------------------------------

    def export_state(self) -> list[Any]:
        """The accounts behind the counters, as plain data that JSON can carry; once the thread has ended."""
        return self._census.export()

    def import_state(self, state: Sequence[Any]) -> None:
        """Go on with the accounts of a predecessor whose counters the recorder has; before `start`.

        Without them, a life that the predecessor had sampled is counted from the first pass on.
        """
        self._census.carry(state)


__all__ = ["NAME", "Sampler", "SamplerSettings"]
