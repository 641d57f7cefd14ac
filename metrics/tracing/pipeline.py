"""From finished spans to an exporter: a bounded queue, batches, one thread, and a count of what became of each span.

The SDK's BatchSpanProcessor is not used: it does not count what it drops, its flush and shutdown have no bound, and its
hook starts a thread in every forked child (docs/decisions/0014-tracing.md). Rules:
- `put` never waits. What does not fit is counted as dropped, whole episodes at a time.
- Whoever is at the other end may hang: that is the thread's matter alone. One export is cut off after `cut_after`.
- An outage is logged once when it begins and once when it is over.
- The end has a bound, and a known outage is not waited for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from metrics.pulse import Attend, Pulse, unattended
from metrics.tracing.spans import Record

log = logging.getLogger("respawnd.tracing")

THREAD = "respawnd-span-export"
#: Seconds without an answer after which an export under way is taken for one that will have none.
_SUSPECT = 1.0
#: Seconds that the last try has when there is little hope.
_LITTLE = 0.2
#: Seconds that each of the last batches has: less than an exporter waits before it tries again.
_LAST = 0.75
#: The largest number that is taken of OTEL_BSP_*, 25 days: what a thread can wait for has an end.
_MOST = 2**31 - 1


class Failed(Exception):
    """An export that failed; the text says why, in words for people."""


class Exporter(Protocol):
    """Where spans go."""

    name: str

    def send(self, records: Sequence[Record]) -> int:
        """Export one batch; how many spans of it the SDK's sampler left out. Raises Failed."""

    def hurry(self, seconds: float) -> None:
        """The next batches are the last ones, and have this long. Called by the thread that sends."""

    def cut(self, *, last: bool) -> None:
        """End what `send` waits for, from another thread; after the `last` cut it waits for nothing any more."""

    def close(self) -> None:
        """Close all that is open."""


class Bounds(NamedTuple):
    """Spans that may wait, spans in one batch, seconds after which fewer are sent too, and seconds for one export."""

    capacity: int = 2048
    batch: int = 512
    delay: float = 5.0
    cut_after: float = 30.0


def bounds(environ: Mapping[str, str]) -> Bounds:
    """What OTEL_BSP_* say; milliseconds there. What is no such number is warned of and left at its default."""
    own = Bounds()
    capacity = int(_positive(environ, "OTEL_BSP_MAX_QUEUE_SIZE", own.capacity))
    batch = int(_positive(environ, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", own.batch))
    delay = _positive(environ, "OTEL_BSP_SCHEDULE_DELAY", own.delay * 1000) / 1000
    cut_after = _positive(environ, "OTEL_BSP_EXPORT_TIMEOUT", own.cut_after * 1000) / 1000
    return Bounds(capacity, min(batch, capacity), delay, cut_after)


def _positive(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "").strip()
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        number = 0
    if 0 < number <= _MOST:
        return number
    log.warning("%s: %.40r is no whole number from 1 to %d; taking %d", name, text, _MOST, default)
    return default


class Pipeline:
    """The queue and its thread. `make` gives the exporter, in the thread: what it imports delays nobody.

    `count` takes a result (exported, failed, dropped, sampled_out) and a number of spans; `attend` is the thread's life
    around its body, which falls behind while it waits for an answer.
    """

    def __init__(
        self,
        make: Callable[[], Exporter],
        limits: Bounds,
        count: Callable[[str, int], None],
        attend: Attend = unattended,
    ) -> None:
        self._make, self._limits, self._count = make, limits, count
        self._queue: deque[Sequence[Record]] = deque()
        self._waiting = 0
        self._changed = threading.Condition()
        self._flush = self._stopping = False
        self._until = 0.0
        self._since: float | None = None  # the export under way
        self._away = False
        self._exporter: Exporter | None = None
        self._thread = threading.Thread(target=attend, args=(THREAD, self._run), name=THREAD, daemon=True)

    def __len__(self) -> int:
        """Spans that wait."""
        return self._waiting

    @property
    def capacity(self) -> int:
        """Spans that may wait."""
        return self._limits.capacity

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def put(self, records: Sequence[Record]) -> None:
        """Hand over an episode; it is dropped if there is no room for all of it."""
        with self._changed:
            if self._waiting + len(records) > self._limits.capacity or self._stopping:
                dropped = len(records)
            else:
                dropped = 0
                self._queue.append(records)
                self._waiting += len(records)
                if self._waiting == len(records) or self._waiting >= self._limits.batch:
                    self._changed.notify()
        if dropped:
            self._count("dropped", dropped)

    def flush(self) -> None:
        """Send what waits now, not when the delay is over; returns at once."""
        with self._changed:
            self._flush = self._waiting > 0
            self._changed.notify()

    def tend(self) -> None:
        """Cut off an export that takes longer than any may. To be called every few seconds."""
        since, exporter = self._since, self._exporter
        if since is not None and exporter is not None and time.monotonic() - since > self._limits.cut_after:
            exporter.cut(last=False)

    def stop(self, timeout: float) -> bool:
        """Send what waits and end, within `timeout` seconds; less where no answer is to be expected.

        False if the thread hangs where it cannot be cut off (in a name look-up): it is left to the end of the process.
        """
        until = time.monotonic() + (min(timeout, _LITTLE) if self._away else timeout)
        with self._changed:
            self._stopping, self._until = True, until
            self._changed.notify()
        while self._thread.is_alive() and time.monotonic() < until and not self._hangs():
            self._thread.join(min(_LITTLE, max(0.0, until - time.monotonic())))
        if self._thread.is_alive() and self._exporter is not None:
            self._exporter.cut(last=True)
            self._thread.join(_LITTLE)
        self._drain()
        return not self._thread.is_alive()

    def _hangs(self) -> bool:
        """Whether an answer is overdue that a collector in good health would have given."""
        since = self._since
        return since is not None and time.monotonic() - since > _SUSPECT

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self, pulse: Pulse) -> None:
        exporter = self._exporter or self._made()
        while exporter is not None and (batch := self._next(pulse)):
            self._send(exporter, batch)
        self._drain()
        if exporter is not None:
            self._close(exporter)

    def _made(self) -> Exporter | None:
        """The exporter, None where there can be none: what it needs is not installed, or OTEL_* make no sense to it."""
        try:
            self._exporter = self._make()
        except Exception:
            log.exception("Cannot export spans")
        return self._exporter

    def _close(self, exporter: Exporter) -> None:
        try:
            exporter.close()
        except Exception as problem:  # of a library, at the very end: to begin again would not mend it
            log.warning("Cannot close %s", exporter.name, exc_info=problem)

    def _next(self, pulse: Pulse) -> list[Record]:
        """The next batch, when it is due; empty at the end."""
        pulse.idle()
        with self._changed:
            self._changed.wait_for(lambda: self._stopping or self._waiting > 0)
            self._changed.wait_for(self._due, self._limits.delay)
            pulse.busy()
            if self._stopping and time.monotonic() >= self._until:
                return []
            return self._take()

    def _due(self) -> bool:
        return self._stopping or self._flush or self._waiting >= self._limits.batch

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        while self._queue and (not batch or len(batch) + len(self._queue[0]) <= self._limits.batch):
            batch.extend(self._queue.popleft())
        self._waiting -= len(batch)
        self._flush = self._flush and bool(self._queue)
        return batch

    def _send(self, exporter: Exporter, batch: Sequence[Record]) -> None:
        if self._stopping:
            exporter.hurry(min(_LAST, max(0.05, self._until - time.monotonic())))
        self._since = time.monotonic()
        try:
            left_out = exporter.send(batch)
        except Failed as problem:
            self._count("failed", len(batch))
            self._tell_of(exporter, str(problem))
        except Exception as problem:  # a fault of ours, or of a library: this batch's end, not the thread's
            self._count("failed", len(batch))
            log.debug("Cannot export spans", exc_info=True)
            self._tell_of(exporter, repr(problem))
        except BaseException:  # the thread begins again, without this batch
            self._count("failed", len(batch))
            raise
        else:
            self._count("exported", len(batch) - left_out)
            if left_out:
                self._count("sampled_out", left_out)
            self._tell_of(exporter, "")
        finally:
            self._since = None

    def _tell_of(self, exporter: Exporter, problem: str) -> None:
        """Say that an outage has begun, or is over; nothing in between."""
        if problem and not self._away:
            log.warning("Cannot export spans to %s: %s; spans are lost until it answers", exporter.name, problem)
        elif self._away and not problem:
            log.info("Spans are exported to %s again", exporter.name)
        self._away = bool(problem)
        if problem and self._stopping:
            self._until = 0.0  # the last words were not heard

    def _drain(self) -> None:
        """What is left will not be sent."""
        with self._changed:
            self._stopping = True
            left, self._waiting = self._waiting, 0
            self._queue.clear()
        if left:
            self._count("dropped", left)
