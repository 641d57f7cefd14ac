"""The families of replicas and services: the part of the page that grows with the configuration, hence hot.

A line is a head that all services share, the label text that the recorder prepared once for its replica or service, and
a tail (see `metrics.exposition.text`).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from metrics.catalog import Family
from metrics.exposition.batch import BATCH, Batch
from metrics.exposition.columns import OF_REPLICAS, OF_SERVICES, column
from metrics.exposition.jobs import OF_JOBS
from metrics.exposition.patterns import LATENCY, LINES, OF_SEVERAL_LINES, PHASE, marked_latency

HOT: frozenset[str] = frozenset((*OF_REPLICAS, *OF_SERVICES, *OF_JOBS, *OF_SEVERAL_LINES))
#: Services in one piece of text, where a batch would take too long.
_FEWER = {LATENCY: BATCH // 8, PHASE: BATCH // 8}


def render(family: Family, batch: Batch, *, openmetrics: bool = False) -> Iterator[tuple[str, int]]:
    """Lines of one hot family for one batch, and how many they are, in pieces of about a tenth of a millisecond."""
    name = family.name
    if name in OF_REPLICAS:
        yield column(name, batch.labels, OF_REPLICAS[name](batch))
    elif name in OF_SERVICES:
        yield column(name, batch.titles, OF_SERVICES[name](batch))
    elif name in OF_JOBS:
        yield column(name, batch.job_titles, OF_JOBS[name](batch))
    else:
        make = marked_latency if openmetrics and name == LATENCY else OF_SEVERAL_LINES[name]
        lines, fewer = iter(make(batch)), _FEWER.get(name)
        while text := "".join(islice(lines, fewer)):
            yield text, text.count("\n")


def count(family: Family, batch: Batch) -> int:
    """How many lines `render` gives for the same batch."""
    each = LINES.get(family.name)
    if each is not None:
        return each * len(batch.services)
    return sum(lines for _, lines in render(family, batch))
