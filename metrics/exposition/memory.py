"""Lines that seldom change, kept from page to page: of what only a death or a start changes.

Rules: what is kept belongs to one batch and was made from values that are still the very same; it is made anew as soon
as one of them is another. The values are tuples that are replaced whole, so that comparing them costs a look at their
identity. The five families here cost half of a page to render and stand still between one scrape and the next, unless
services die; they take 2.5 KB a service. What changes with every sample or every moment is not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from metrics.catalog import Family
from metrics.exposition.batch import Batch
from metrics.exposition.hot import render
from metrics.exposition.patterns import LATENCY, PHASE, READY

Key = Callable[[Batch], list[object]]
_OF_REPLICAS: Mapping[str, Key] = {
    "respawnd_service_start_time_seconds": lambda batch: [unit.started_wall for unit in batch.units],
    "respawnd_service_last_exit_time_seconds": lambda batch: [unit.exit for unit in batch.units],
}
_OF_SERVICES: Mapping[str, Key] = {
    LATENCY: lambda batch: [service.latency for service in batch.services],
    PHASE: lambda batch: [service.phases for service in batch.services],
    READY: lambda batch: [service.ready for service in batch.services],
}


class _Kept(NamedTuple):
    """The labels and the values that the lines were made from."""

    labels: list[str]
    values: list[object]
    text: bytes
    lines: int


class Memory:
    """The lines last rendered of each batch; for one render at a time."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int, bool], _Kept] = {}

    def shrink(self, batches: int) -> None:
        """Forget what was kept for batches from this number on: the fleet is smaller now."""
        for key in [key for key in self._kept if key[1] >= batches]:
            del self._kept[key]

    def render(self, family: Family, number: int, batch: Batch, *, openmetrics: bool) -> Iterator[tuple[bytes, int]]:
        """Lines of one hot family for one batch, and how many they are, in pieces; kept ones in one."""
        labels, key = batch.labels, _OF_REPLICAS.get(family.name)
        if key is None:
            labels, key = batch.titles, _OF_SERVICES.get(family.name)
        if key is None:
            for text, lines in render(family, batch, openmetrics=openmetrics):
                yield encoded(text), lines
            return
        marked = openmetrics and family.name == LATENCY
        values = [*key(batch), *(service.exemplars for service in batch.services)] if marked else key(batch)
        where = family.name, number, marked
        kept = self._kept.get(where)
        if kept is not None and kept.labels == labels and kept.values == values:
            yield kept.text, kept.lines
            return
        made, lines = [], 0
        for text, some in render(family, batch, openmetrics=openmetrics):
            made.append(encoded(text))
            lines += some
            yield made[-1], some
        self._kept[where] = _Kept(labels, values, b"".join(made), lines)


def encoded(text: str) -> bytes:
    """Encode text of the page; a lone surrogate (a byte that was no UTF-8 where it came from) must not cost it."""
    return text.encode("utf-8", "replace")
