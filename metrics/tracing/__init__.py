"""Tracing: what happens to a service is a trace (docs/tracing.md). An observer of the loop, off unless configured.

Two threads. The loop hands facts over by appending to a queue, no more; "respawnd-spans" makes episodes of them, and
exemplars; "respawnd-span-export" imports OpenTelemetry and sends. So neither the import nor a collector that hangs is
in the way of the loop, of launches, or of the exemplars. Every queue has a bound, and what does not fit is counted
(respawnd_trace_spans_total).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from metrics.pulse import Attend, Pulse, unattended
from metrics.tracing.daemon import Daemon
from metrics.tracing.episodes import observe
from metrics.tracing.ids import Context, Ids, traceparent
from metrics.tracing.ledger import Ledger, Sink
from metrics.tracing.pipeline import Exporter, Pipeline, bounds
from metrics.tracing.sampling import Sampling, head
from metrics.tracing.sinks import Identity, Settings, disabled, maker
from supervisor.core.events import Event, Origin, Shutdown
from supervisor.core.model import Kind, UnitKey
from supervisor.core.ports import Fact
from supervisor.core.view import FleetView

log = logging.getLogger("respawnd.tracing")

THREAD = "respawnd-spans"
#: Facts that may wait: a thousand services that start, die and start again while the thread does not come to run.
MOST_FACTS = 16_384
#: Seconds between two looks at the queue while facts come, and how many looks without one end that.
_STEP, _PATIENCE = 0.1, 20
#: Seconds between two looks while none come: for the export that has to be cut off.
_LONGEST = 5.0
_SPANS = "respawnd_trace_spans_total"


class Counts(Protocol):
    """What tracing asks of the recorder."""

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Raise a counter of the daemon."""

    def exemplify(
        self, family: str, service: str | None, value: float, trace_id: str, span_id: str, wall: float
    ) -> None:
        """Lead from a value that was observed to its trace."""


def enabled(settings: Settings, environ: Mapping[str, str]) -> bool:
    """Whether there is anything to do: an exporter is configured, and OTEL_SDK_DISABLED does not forbid it."""
    if settings.exporter == "off":
        return False
    if disabled(environ):
        log.info("Tracing is off: OTEL_SDK_DISABLED")
        return False
    return True


class Tracing:
    """Makes traces of the facts of the loop.

    `seed` is new in each run of the daemon; `make` gives the exporter, in the export thread, if it is not to be the one
    that the settings ask for. `attend` is the life of each of the two threads around its body.
    """

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        counts: Counts,
        environ: Mapping[str, str],
        *,
        seed: bytes | None = None,
        make: Callable[[], Exporter] | None = None,
        attend: Attend = unattended,
    ) -> None:
        self._counts = counts
        self._children = settings.child_context
        self._ids = Ids(os.urandom(16) if seed is None else seed)
        self._sampling = Sampling(self._ids, head(environ), time.monotonic)
        make = make or maker(settings, identity, environ)
        self._pipeline = Pipeline(make, bounds(environ), self._became, attend)
        sink = Sink(self._pipeline.put, partial(self._became, "sampled_out"), self._exemplify)
        self._ledger = Ledger(self._ids, self._sampling, sink, _offset)
        self._daemon = Daemon(self._ledger)
        self._facts: deque[Fact | partial[None]] = deque()
        self._lost = self._seen_lost = 0
        self._booted = self._closing = False
        self._asleep = True
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=attend, args=(THREAD, self._run), name=THREAD, daemon=True)

    # --- for the loop's thread --------------------------------------------------------------------------------------

    def observe(self, fact: Fact | partial[None]) -> None:
        """Take one fact of the loop (an Observer of supervisor.core.ports)."""
        facts = self._facts
        if len(facts) >= MOST_FACTS:
            self._lost += 1
            return
        facts.append(fact)
        if self._asleep:
            self._wake.set()

    def event(self, event: Event) -> None:
        """Take one event: of interest is only that the end was asked for, the rest comes with the facts."""
        if isinstance(event, Shutdown):
            self.observe(partial(self._shutting, event, time.monotonic()))

    def picture(self, view: FleetView) -> None:
        """Take a picture of the fleet: of interest is only when the boot is over, and when the end begins."""
        if view.booted is not self._booted:
            self._booted = view.booted
            self.observe(partial(self._daemon.booted, view.at))
        if view.closing is not self._closing:
            self._closing = view.closing
            self.observe(partial(self._shutting, None, view.at))

    # --- for any thread ---------------------------------------------------------------------------------------------

    def traceparent(self, key: UnitKey, life: int, kind: Kind) -> str | None:
        """What the child of this launch gets as TRACEPARENT, None where it gets none."""
        if self._children == "off" or (self._children == "jobs" and kind is Kind.SERVICE):
            return None
        context = self._ids.spawn(key, life) if kind is Kind.SERVICE else self._ids.life(key, life)
        return traceparent(context, self._sampling.life(key, life) > 0)

    def reloaded(
        self, began: float, before: str, after: str | None, changed: int, problems: int, origin: Origin | None = None
    ) -> None:
        """A reload is over, now: hashes of the configuration before and after, None where it was refused."""
        self.observe(partial(self._daemon.reloaded, began, time.monotonic(), before, after, changed, problems, origin))

    def render_slow(self, series: int, size: int, duration: float) -> None:
        """A page of metrics took long (over 250 ms), until now; `size` is in bytes."""
        self.observe(partial(self._daemon.render_slow, time.monotonic(), series, size, duration))

    def queues(self) -> Mapping[str, tuple[int, int, int]]:
        """Depth, capacity and what was refused, of each queue."""
        return {
            "facts": (len(self._facts), MOST_FACTS, self._lost),
            "spans": (len(self._pipeline), self._pipeline.capacity, 0),
        }

    # --- life -------------------------------------------------------------------------------------------------------

    def boot(self, began: float, services: int, digest: str, reason: str = "start") -> None:
        """The daemon boots since `began` (monotonic). Before `start`."""
        self._daemon.boot(began, services, digest, reason)

    def start(self) -> None:
        """Start the threads."""
        self._thread.start()
        self._pipeline.start()

    def stop(self, timeout: float = 2.0) -> bool:
        """Tell of all that is open, send what can be sent, end; within `timeout` seconds, as far as they can be ended.

        False if a thread is left to the end of the process.
        """
        until = time.monotonic() + timeout
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        sent = self._pipeline.stop(max(0.0, until - time.monotonic()))
        return sent and not self._thread.is_alive()

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self, pulse: Pulse) -> None:
        self._wake.set()  # after a failure nobody wakes who is taken to be awake
        while not self._stopping.is_set():
            pulse.idle()
            self._wake.wait(_LONGEST)
            self._wake.clear()
            self._listen(pulse)
            self._pipeline.tend()
        pulse.busy()
        self._digest()
        self._safely(partial(self._daemon.end, time.monotonic()))

    def _listen(self, pulse: Pulse) -> None:
        """Take facts as long as they come, without being woken for each."""
        self._asleep = False
        quiet = 0
        while quiet < _PATIENCE and not self._stopping.wait(_STEP):
            pulse.busy()
            quiet = 0 if self._digest() else quiet + 1
            self._pipeline.tend()
        self._asleep = True
        if self._facts:  # one that came in between did not wake us
            self._wake.set()

    def _digest(self) -> bool:
        """Take what is in the queue; whether there was anything."""
        facts, lost = self._facts, self._lost
        found = bool(facts)
        for _ in range(len(facts)):
            fact = facts.popleft()
            self._safely(fact if isinstance(fact, partial) else partial(observe, self._ledger, fact))
        if lost != self._seen_lost:
            log.warning("Lost %d facts of the loop: traces of what was under way are dropped", lost - self._seen_lost)
            self._seen_lost = lost
            self._became("dropped", self._ledger.reset())
        return found

    def _safely(self, call: Callable[[], None]) -> None:
        """Do one thing. A fault of ours costs what was open, not the thread."""
        try:
            call()
        except Exception:
            log.exception("Cannot trace")
            self._became("dropped", self._ledger.reset())

    def _shutting(self, event: Shutdown | None, at: float) -> None:
        """The end begins: what is known so far goes out at once, while the services end."""
        self._daemon.shutting(event, at)
        self._pipeline.flush()

    def _became(self, result: str, spans: int) -> None:
        if spans:
            self._counts.count(_SPANS, result, by=spans)

    def _exemplify(self, family: str, service: str | None, value: float, context: Context, wall: float) -> None:
        self._counts.exemplify(family, service, value, f"{context.trace_id:032x}", f"{context.span_id:016x}", wall)


def _offset() -> int:
    return time.time_ns() - time.monotonic_ns()


__all__ = ["Identity", "Settings", "Tracing", "enabled"]
