"""How many series a page may have, and what is left out of one that would have more (docs/decisions/0015).

Rules: a page that fits is whole. Of one that does not, families are left out in a fixed order until it does, each with
all its series; what an alert or an answer needs (up, state, starts, restarts, jobs, the daemon itself) never is. The
same fleet gives the same page. Nothing is rendered to be thrown away: the lines are counted first, and only where the
page could be too large at all.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence

from metrics.catalog import BY_NAME, Family
from metrics.exposition.batch import Batch
from metrics.exposition.hot import HOT, count
from metrics.exposition.jobs import OF_JOBS
from metrics.exposition.patterns import JOB_RUNS, LATENCY, LINES, latency
from metrics.recorder.store import Exemplar

log = logging.getLogger("respawnd.metrics")

#: What is left out, first to last. Of respawn latency one histogram stays, the sum of all services.
ORDER: tuple[tuple[str, ...], ...] = (
    ("respawnd_service_cpu_throttled_seconds_total", "respawnd_service_pressure_seconds_total"),
    ("respawnd_service_io_read_bytes_total", "respawnd_service_io_write_bytes_total"),
    ("respawnd_service_ready_latency_seconds", "respawnd_service_health_check_duration_seconds"),
    (LATENCY,),
    ("respawnd_service_threads", "respawnd_service_processes"),
)
_FOLDED = 'service="_folded"'


def _most(family: Family) -> int:
    """Most lines that one replica or service can have."""
    closed = dict(family.values)
    extra = len(closed.get(family.labels[-1], ())) if family.labels[-1] != "state" else 1
    return LINES.get(family.name, extra or 1)


_MOST_OF_REPLICA = sum(_most(BY_NAME[name]) for name in HOT if "replica" in BY_NAME[name].labels)
_JOBS = frozenset((*OF_JOBS, JOB_RUNS))
_MOST_OF_JOB = sum(_most(BY_NAME[name]) for name in _JOBS)
_MOST_OF_SERVICE = sum(_most(BY_NAME[name]) for name in HOT - _JOBS if "replica" not in BY_NAME[name].labels)


class Budget:
    """Decides for one page at a time. `limit` is the most series of a page, 0 for any number."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._said: tuple[tuple[str, ...], bool] = ((), False)

    def plan(self, parts: Sequence[Batch], others: int) -> Generator[bytes, None, Mapping[str, int]]:
        """Return which families to leave out of a page with `others` more series, and how many series those are.

        Yields nothing (b"") now and then, to step aside.
        """
        if not self.limit or others + sum(map(_bound, parts)) <= self.limit:
            return self._say({}, 0)
        counts = dict.fromkeys(HOT, 0)
        for name in counts:
            for part in parts:
                counts[name] += count(BY_NAME[name], part)
                yield b""
        total = others + sum(counts.values())
        left_out: dict[str, int] = {}
        for step in ORDER:
            for name in step if total > self.limit else ():
                spared = counts.get(name, 0) - (LINES[LATENCY] if name == LATENCY else 0)
                if spared > 0:
                    left_out[name] = spared
            total = others + sum(counts.values()) - sum(left_out.values())
        return self._say(left_out, total)

    def _say(self, left_out: Mapping[str, int], total: int) -> Mapping[str, int]:
        """Log what is left out, where that is not what it was."""
        now = tuple(left_out), 0 < self.limit < total
        if now != self._said:
            self._said = now
            if now[1]:
                log.warning(
                    "Cannot keep /metrics within max_series = %d: %d series may not be left out", self.limit, total
                )
            if left_out:
                log.warning(
                    "Cannot show all of /metrics in max_series = %d: left out %s", self.limit, ", ".join(left_out)
                )
            else:
                log.info("All series of /metrics are shown again")
        return left_out


def _bound(part: Batch) -> int:
    replicas, services, jobs = len(part.units), len(part.services), len(part.jobs)
    return replicas * _MOST_OF_REPLICA + services * _MOST_OF_SERVICE + jobs * _MOST_OF_JOB


def folded(parts: Sequence[Batch], *, openmetrics: bool) -> Generator[bytes, None, str]:
    """Return one histogram that is the sum of those of all services, with the newest exemplars of each bucket."""
    counts, total = [0] * (LINES[LATENCY] - 2), 0.0
    marks: list[Exemplar | None] = [None] * len(counts)
    for part in parts:
        for service in part.services:
            state = service.latency
            counts = list(map(sum, zip(counts, state[0], strict=True)))
            total += state[1]
            for index, one in enumerate(service.exemplars or ()):
                before = marks[index]
                if one is not None and (before is None or one.wall > before.wall):
                    marks[index] = one
        yield b""
    return latency(_FOLDED, (tuple(counts), total), tuple(marks) if openmetrics else None)
