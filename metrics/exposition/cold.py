"""The families of the daemon itself, and those whose values come from a probe: few lines, read anew for each page."""

from __future__ import annotations

import logging
from collections.abc import Callable

from metrics.catalog import Family, Kind
from metrics.exposition.text import histogram, plain
from metrics.recorder import Recorder
from metrics.recorder.tally import Labels

log = logging.getLogger("respawnd.metrics")
_ERRORS = "respawnd_metrics_collector_errors_total"


class Cold:
    """Reads what `recorder` and its probes give now. `clock` gives monotonic and `wall` Unix seconds."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._recorder, self._clock, self._wall = recorder, clock, wall
        self._failed: set[str] = set()

    def text(self, family: Family, *, openmetrics: bool) -> str:
        """Lines of one family."""
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
            self.note(family.name, error)
            return []

    def note(self, collector: str, error: BaseException) -> None:
        """Count a reading that failed, and log the first of each."""
        self._recorder.count(_ERRORS, collector)
        if collector not in self._failed:
            self._failed.add(collector)
            log.warning("Cannot read %s for /metrics", collector, exc_info=error)
