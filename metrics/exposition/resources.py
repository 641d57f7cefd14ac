"""What the process trees of replicas use: columns of the sampler's last figures, which change from page to page.

Rules: a figure that is not known has no line, nor has any of a replica that was never sampled. Times are rounded to the
millisecond (the kernel counts hundredths), the ratio to four places.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import itemgetter
from typing import Any

from metrics.exposition.batch import Batch
from metrics.exposition.text import TAILS, opening, tails_of_bytes, tails_of_seconds
from metrics.recorder.store import Usage

CPU = "respawnd_service_cpu_seconds_total"
PRESSURE = "respawnd_service_pressure_seconds_total"
_USER, _SYSTEM = (opening(CPU, [("mode", mode)]) for mode in ("user", "system"))
#: Stands between `replica` and `service`, for labels are sorted.
_STALLED = tuple(f',resource="{word}",' for word in ("cpu", "memory", "io"))


def _small(values: Iterable[int | None]) -> list[str]:
    """Tails of whole numbers that are mostly below a thousand."""
    return ["" if value is None else TAILS[value] for value in values]


def _ratios(values: Iterable[float | None]) -> list[str]:
    return tails_of_seconds(values, 4)


def _figures(batch: Batch, name: str) -> Iterable[Any]:
    """One figure of every replica's usage."""
    return map(_FIGURES[name], batch.usages)


_FIGURES = {name: itemgetter(index) for index, name in enumerate(Usage._fields)}


def _column(tails: Callable[[Iterable[Any]], list[str]], name: str) -> Callable[[Batch], list[str]]:
    return lambda batch: tails(_figures(batch, name))


#: Families of one line for each replica.
OF_USAGE: Mapping[str, Callable[[Batch], list[str]]] = {
    "respawnd_service_memory_resident_bytes": _column(tails_of_bytes, "resident"),
    "respawnd_service_memory_proportional_bytes": _column(tails_of_bytes, "proportional"),
    "respawnd_service_memory_limit_bytes": _column(tails_of_bytes, "memory_limit"),
    "respawnd_service_open_fds": _column(_small, "open_fds"),
    "respawnd_service_max_fds": _column(_small, "max_fds"),
    "respawnd_service_worst_fd_ratio": _column(_ratios, "worst_fd_ratio"),
    "respawnd_service_threads": _column(_small, "threads"),
    "respawnd_service_processes": _column(_small, "processes"),
    "respawnd_service_io_read_bytes_total": _column(tails_of_bytes, "read"),
    "respawnd_service_io_write_bytes_total": _column(tails_of_bytes, "written"),
    "respawnd_service_cpu_throttled_seconds_total": _column(tails_of_seconds, "throttled"),
}


def cpu(batch: Batch) -> list[str]:
    """Two lines for each replica that was sampled."""
    columns = (tails_of_seconds(_figures(batch, name)) for name in ("user", "system"))
    return [
        f"{_USER}{label}{user}{_SYSTEM}{label}{system}"
        for label, user, system in zip(batch.labels, *columns, strict=True)
        if user
    ]


def pressure(batch: Batch) -> Iterator[str]:
    """Three lines for each replica of which it is known."""
    for label, stalled in zip(batch.labels, _figures(batch, "pressure"), strict=True):
        if stalled is not None:
            replica, _, service = label.partition(",")
            for resource, tail in zip(_STALLED, tails_of_seconds(stalled), strict=True):
                yield f"{PRESSURE}{{{replica}{resource}{service}{tail}"
