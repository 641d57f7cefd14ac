"""The page at /metrics: all families in the catalogue's order, from the loop's last picture and the recorder's counts.

Rules: rendering happens in the thread that asks, in pieces, and steps aside between them, for the loop must stay
responsive while somebody scrapes without pause. Nothing is locked against the loop. One render runs at a time, and
requests that arrive while it runs share its page. Compression takes each piece as it comes, outside the interpreter's
lock, so that a page is never in memory uncompressed as a whole.

A scraper may say how long it waits. Where the page may take longer (the last one did, or another is being made), it is
made in a thread of its own; what is not ready in time is answered with the last page, if that is not older than a
minute, and is ready for the next scrape (docs/decisions/0015).
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterable

from attrs import frozen

from metrics.aside import Aside
from metrics.exposition.custom import LONGEST, registry
from metrics.exposition.flight import Flights
from metrics.exposition.kept import GZIP, Kept
from metrics.exposition.negotiate import OPENMETRICS, TEXT, Format, gzip_accepted, negotiate
from metrics.exposition.own import identify, install
from metrics.exposition.pace import MANNERS, Pace
from metrics.exposition.render import Ask, Renderer
from metrics.recorder import Recorder
from supervisor.core.view import FleetView

log = logging.getLogger("respawnd.metrics")

#: What is kept of a scraper's time for the way back: this many seconds or this share, but never more than half.
MARGIN, SHARE = 0.05, 0.1
#: Seconds from which on a render is told of as slow.
SLOW = 0.25

#: Told of a slow render: series, bytes, seconds.
Slow = Callable[[int, int, float], None]


@frozen
class Page:
    """What is sent: header names in lower case."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


class Exposition:
    """Renders pages of what `recorder` counted and `view` gives.

    `max_series` is the most series of a page, 0 for any number. `slow` is told of each render that took more than a
    quarter of a second, in the thread that rendered. `clock` gives monotonic and `wall` Unix seconds; `pause` sleeps
    for some.
    """

    def __init__(
        self,
        recorder: Recorder,
        view: Callable[[], FleetView],
        *,
        max_series: int = 0,
        slow: Slow | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._recorder, self._clock, self._pause, self._slow = recorder, clock, pause, slow
        self._renderer = Renderer(recorder, view, clock, wall, max_series)
        self._pace = Pace(clock, pause)
        self._flights = Flights()
        self._rendering = threading.Lock()
        self._kept = Kept()
        self._late = False
        self._took = 0.0
        recorder.put("respawnd_metrics_render_duration_seconds", 0.0)
        recorder.put("respawnd_metrics_series", 0.0)

    def configure(self, max_series: int) -> None:
        """Take another limit of series, from the next page on; from any thread."""
        self._renderer.budget.limit = max_series

    def page(
        self, accept: str = "", accept_encoding: str = "", names: Iterable[str] = (), budget: float | None = None
    ) -> Page:
        """Answer a scrape, by its Accept and Accept-Encoding headers; from any thread.

        `names` are those of `name[]`: each chooses the family that bears it, or has a sample of that name, whole. None
        chooses all. `budget` is how many seconds the scraper waits (X-Prometheus-Scrape-Timeout-Seconds), None if it
        does not say; 0 if that time is over.
        """
        ask = Ask(negotiate(accept), frozenset(names), gzip_accepted(accept_encoding))
        if budget is None or not budget >= 0:
            return _page(ask, self._flights.join(ask, lambda: self._render(ask)))
        due = self._clock() + budget - min(max(MARGIN, SHARE * budget), budget / 2)
        self._kept.asked_for = True
        if ask.names or not self._kept.has(ask.chosen, self._clock()):
            return _page(ask, self._flights.join(ask, lambda: self._render(ask, due)))
        return self._page_by(ask, due, budget)

    def _page_by(self, ask: Ask, due: float, budget: float) -> Page:
        """Answer with a new page if it is ready when due (monotonic), else with the last."""
        left = due - self._clock()
        apart = self._rendering.locked() or self._took > left
        body = self._flights.watch(ask, lambda: self._render(ask, due), left, apart=apart)
        found = None if body is not None else self._kept.find(ask.chosen, self._clock(), packed=ask.packed)
        if found is None:
            self._late = False
            return _page(ask, body if body is not None else self._flights.join(ask, lambda: self._render(ask)))
        if not self._late:
            self._late = True
            log.warning("Cannot render /metrics within the %g s of its scraper: the page before is given", budget)
        return _page(ask, found[0], ("age", f"{found[1]:.0f}"))

    def render(self, chosen: Format = TEXT, names: Iterable[str] = ()) -> bytes:
        """Render one page, uncompressed; for tools and tests."""
        return self._render(Ask(chosen, frozenset(names), packed=False))

    def _render(self, ask: Ask, due: float | None = None) -> bytes:
        with self._rendering:
            self._pace.rest(due)
            began = self._clock()
            patience = LONGEST if due is None else max(0.0, min(LONGEST, (due - began) / 2))
            body = self._made(ask, patience)
            took = self._pace.ended(began)
            series, left_out = self._renderer.series, self._renderer.left_out
            if not ask.names:
                self._took = took
                self._note(series, took)
                for name, number in left_out.items():
                    self._recorder.count("respawnd_metrics_series_dropped_total", name, by=number)
                if ask.packed:
                    self._kept.keep(ask.chosen, body, self._clock())
        if took > SLOW and self._slow is not None:
            self._slow(series, len(body), took)
        return body

    def _made(self, ask: Ask, patience: float) -> bytes:
        """Join the pieces of a page, compressed as they come if it is to be."""
        packer = zlib.compressobj(1, zlib.DEFLATED, GZIP) if ask.packed else None
        made: list[bytes] = []
        aside = Aside(lambda: self._recorder.ticked, MANNERS, self._clock, self._pause)
        for piece in self._renderer.pieces(ask, patience):
            made.append(packer.compress(piece) if packer is not None and piece else piece)
            aside.step()
        if packer is not None:
            made.append(packer.flush())
        return b"".join(made)

    def _note(self, series: int, took: float) -> None:
        """Let the page after this one tell of it."""
        self._recorder.put("respawnd_metrics_render_duration_seconds", took)
        self._recorder.put("respawnd_metrics_series", float(series))


def _page(ask: Ask, body: bytes, *more: tuple[str, str]) -> Page:
    lines = [("content-type", ask.chosen.content_type), ("vary", "accept, accept-encoding")]
    if ask.packed:
        lines.append(("content-encoding", "gzip"))
    return Page(body, (*lines, *more))


__all__ = [
    "OPENMETRICS",
    "TEXT",
    "Exposition",
    "Format",
    "Page",
    "gzip_accepted",
    "identify",
    "install",
    "negotiate",
    "registry",
]
