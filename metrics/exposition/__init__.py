"""The page at /metrics: all families in the catalogue's order, from the loop's last picture and the recorder's counts.

Rules: rendering happens in the thread that asks, in pieces, and steps aside between them, for the loop must stay
responsive while somebody scrapes without pause. Nothing is locked against the loop. One render runs at a time, and
requests that arrive while it runs share its page. Compression takes each piece as it comes, outside the interpreter's
lock, so that a page is never in memory uncompressed as a whole.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator

from attrs import frozen

from metrics.catalog import FAMILIES, Family, Kind
from metrics.exposition.batch import Batch, batches
from metrics.exposition.custom import registry, users
from metrics.exposition.flight import Flights
from metrics.exposition.hot import HOT, render
from metrics.exposition.negotiate import OPENMETRICS, TEXT, Format, gzip_accepted, negotiate
from metrics.exposition.own import identify, install
from metrics.exposition.text import headers, histogram, plain
from metrics.recorder import Recorder
from metrics.recorder.tally import Labels
from supervisor.core.view import FleetView

log = logging.getLogger("respawnd.metrics")

#: Seconds of rendering between two pauses, and the length of a pause. A pause of 0 would not do: the interpreter's lock
#: would be taken back before the loop, woken by its release, had a chance at it.
SLICE, PAUSE = 0.0001, 0.00005
#: While the loop has turned within this many seconds, it is probably still at work, and the render waits, up to
#: PATIENCE.
BUSY, PATIENCE = 0.001, 0.01
#: Who scrapes without pause waits so many times as long as the last page took, at most so many seconds. Scrapes that
#: are further apart than that, as Prometheus has them, wait for nothing.
REST, LONGEST_REST = 7.0, 0.25
_ERRORS = "respawnd_metrics_collector_errors_total"


@frozen
class Page:
    """What is sent: header names in lower case."""

    body: bytes
    headers: tuple[tuple[str, str], ...]


class Exposition:
    """Renders pages of what `recorder` counted and `view` gives.

    `clock` gives monotonic and `wall` Unix seconds; `pause` sleeps for some.
    """

    def __init__(
        self,
        recorder: Recorder,
        view: Callable[[], FleetView],
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._recorder, self._view = recorder, view
        self._clock, self._wall, self._pause = clock, wall, pause
        self._headers: dict[bool, dict[str, str]] = {}
        self._flights = Flights()
        self._rendering = threading.Lock()
        self._failed: set[str] = set()
        self._series = 0.0
        self._ended = self._took = 0.0
        recorder.put("respawnd_metrics_render_duration_seconds", 0.0)
        recorder.put("respawnd_metrics_series", 0.0)

    def page(self, accept: str = "", accept_encoding: str = "", names: Iterable[str] = ()) -> Page:
        """Answer a scrape, by its Accept and Accept-Encoding headers; from any thread.

        `names` are those of `name[]`: each chooses the family that bears it, or has a sample of that name, whole. None
        chooses all.
        """
        chosen, packed, wanted = negotiate(accept), gzip_accepted(accept_encoding), frozenset(names)
        body = self._flights.join((chosen, packed, wanted), lambda: self._render(chosen, wanted, packed=packed))
        lines = [("content-type", chosen.content_type), ("vary", "accept, accept-encoding")]
        if packed:
            lines.append(("content-encoding", "gzip"))
        return Page(body, tuple(lines))

    def render(self, chosen: Format = TEXT, names: Iterable[str] = ()) -> bytes:
        """Render one page, uncompressed; for tools and tests."""
        return self._render(chosen, frozenset(names), packed=False)

    def _render(self, chosen: Format, names: frozenset[str], *, packed: bool) -> bytes:
        with self._rendering:
            self._rest()
            started = last = self._clock()
            self._series = 0
            # 31: a gzip header, and the largest window.
            packer = zlib.compressobj(1, zlib.DEFLATED, 31) if packed else None
            pieces: list[bytes] = []
            for piece in self._pieces(chosen, names, started):
                pieces.append(packer.compress(piece) if packer is not None else piece)
                last = self._step_aside(last)
            if packer is not None:
                pieces.append(packer.flush())
            self._ended = self._clock()
            self._took = self._ended - started
            self._recorder.put("respawnd_metrics_render_duration_seconds", self._took)
            self._recorder.put("respawnd_metrics_series", self._series)
            return b"".join(pieces)

    def _rest(self) -> None:
        """Keep renders that follow at once on one another to an eighth of the time: a respawn needs a processor too."""
        left = self._ended + REST * self._took - self._clock()
        if left > 0:
            self._pause(min(left, LONGEST_REST))

    def _step_aside(self, last: float) -> float:
        """Let the loop go first, if this thread has run for a slice since `last`; when the next slice began."""
        now = self._clock()
        if now - last < SLICE:
            return last
        self._pause(PAUSE)
        until = now + PATIENCE
        while True:
            now, ticked = self._clock(), self._recorder.ticked
            if ticked is None or now - ticked > BUSY or now > until:
                return now
            self._pause(PAUSE)

    # --- pieces of the page -----------------------------------------------------------------------------------------

    def _pieces(self, chosen: Format, names: frozenset[str], now: float) -> Iterator[bytes]:
        """Yield the page in pieces of about a tenth of a millisecond."""
        parts: list[Batch] = []
        for part in batches(self._view(), self._recorder, now, self._wall() - now):
            if part is not None:
                parts.append(part)
            yield b""
        above = self._above(chosen)
        small: list[str] = []
        for family in FAMILIES:
            if names and family.name not in names and names.isdisjoint((family.base, *family.samples)):
                continue
            small.append(above[family.name])
            if family.name not in HOT:
                text = self._cold(family, openmetrics=chosen.openmetrics)
                self._series += text.count("\n")
                small.append(text)
                continue
            for batch in parts:
                for text, lines in render(family, batch, openmetrics=chosen.openmetrics):
                    self._series += lines
                    yield _encoded([*small, text])
                    small.clear()
        yield _encoded(small)
        yield self._users(chosen, names)
        if chosen.openmetrics:
            yield b"# EOF\n"

    def _above(self, chosen: Format) -> dict[str, str]:
        made = self._headers.get(chosen.openmetrics)
        if made is None:
            made = {family.name: headers(family, openmetrics=chosen.openmetrics) for family in FAMILIES}
            self._headers[chosen.openmetrics] = made
        return made

    def _cold(self, family: Family, *, openmetrics: bool) -> str:
        """Lines of a family of the daemon, or of one whose values come from a probe."""
        recorder = self._recorder
        if family.kind is Kind.HISTOGRAM:
            state = recorder.histograms.get(family.name)
            marks = recorder.exemplars.get(family.name) if openmetrics else None
            return histogram(family, state, marks) if state is not None else ""
        if family.name == "respawnd_events_total":
            return plain(family, [((word,), count) for word, count in recorder.events.items()])
        if family.name == "respawnd_loop_last_tick_time_seconds":
            ticked = recorder.ticked
            return plain(family, [((), round(ticked + self._wall() - self._clock(), 3))] if ticked is not None else [])
        return plain(
            family, self._probed(family) if family.name in recorder.probes else recorder.tally.read(family.name)
        )

    def _probed(self, family: Family) -> list[tuple[Labels, float]]:
        """What a probe says now; one that fails is counted, logged once, and costs its own family alone."""
        try:
            reading = self._recorder.probes[family.name]()
            if isinstance(reading, (int, float)):
                return [((), reading)]
            return [(labels, value) for labels, value in reading if len(labels) == len(family.labels)]
        except Exception as error:  # noqa: BLE001 - one unreadable figure must not cost the page
            self._note(family.name, error)
            return []

    def _users(self, chosen: Format, names: frozenset[str]) -> bytes:
        try:
            text = users(names, openmetrics=chosen.openmetrics)
        except Exception as error:  # noqa: BLE001 - a user's collector must not cost the page
            self._note("registry", error)
            return b""
        self._series += text.count(b"\n") - text.count(b"\n#") - text.startswith(b"#")
        return text

    def _note(self, collector: str, error: Exception) -> None:
        self._recorder.count(_ERRORS, collector)
        if collector not in self._failed:
            self._failed.add(collector)
            log.warning("Cannot read %s for /metrics", collector, exc_info=error)


def _encoded(texts: Iterable[str]) -> bytes:
    # A lone surrogate (a byte that was no UTF-8 where it came from) must not cost the page.
    return "".join(texts).encode("utf-8", "replace")


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
