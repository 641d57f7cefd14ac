"""The families of replicas and services: the part of the page that grows with the configuration, hence hot.

A line is a head that all services share, the label text that the recorder prepared once for its replica or service, and
a tail (see `metrics.exposition.text`).
"""

from __future__ import annotations

from metrics.catalog import Family
from metrics.exposition.batch import Batch
from metrics.exposition.columns import OF_REPLICAS, OF_SERVICES, column
from metrics.exposition.patterns import OF_SEVERAL_LINES

HOT: frozenset[str] = frozenset((*OF_REPLICAS, *OF_SERVICES, *OF_SEVERAL_LINES))


def render(family: Family, batch: Batch) -> tuple[str, int]:
    """Lines of one hot family for one batch, and how many they are."""
    name = family.name
    if name in OF_REPLICAS:
        return column(name, batch.labels, OF_REPLICAS[name](batch))
    if name in OF_SERVICES:
        return column(name, batch.titles, OF_SERVICES[name](batch))
    lines, each = OF_SEVERAL_LINES[name]
    text = "".join(lines(batch))
    return text, each * len(batch.services) or text.count("\n")
