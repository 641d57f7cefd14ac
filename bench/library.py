"""The same page made by prometheus-client: what our own renderer is held against.

A page of ours is parsed by the library and its samples are put into the library's own instruments, family by family, so
that both sides have the same to say. Values are put where the library keeps them, past `inc` and `observe`, whose cost
is not what is measured. Two ways: instruments in a registry, as an application has them, and a custom collector that
makes its families anew at each scrape, as an exporter does.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    Summary,
    disable_created_metrics,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from prometheus_client.samples import Sample

disable_created_metrics()  # type: ignore[no-untyped-call]  # the library's own; ours has no _created either
_parse: Callable[[str], Iterator[Metric]] = text_string_to_metric_families
#: A label that no sample has: an instrument with labels shows nothing until one is used, one without shows 0.
_NOBODY = ("nobody",)


def families(page: str) -> list[Metric]:
    """Parse a page in OpenMetrics."""
    return list(_parse(page))


class Collector:
    """A collector that makes its families at each scrape from rows that it was given."""

    def __init__(self, page: Iterable[Metric]) -> None:
        self._rows = [
            (family.name, family.documentation, family.type, family.unit, [_row(sample) for sample in family.samples])
            for family in page
        ]

    def collect(self) -> Iterator[Metric]:
        """Make and give every family."""
        for name, text, kind, unit, rows in self._rows:
            family = Metric(name, text, kind, unit)
            for sample, labels, value, exemplar in rows:
                family.add_sample(sample, dict(labels), value, None, exemplar)
            yield family


def collected(page: Iterable[Metric]) -> CollectorRegistry:
    """Give a registry with the custom collector."""
    registry = CollectorRegistry()
    registry.register(Collector(page))
    return registry


def instruments(page: Iterable[Metric]) -> CollectorRegistry:
    """Give a registry with an instrument for each family that holds what the page says."""
    registry = CollectorRegistry()
    for family in page:
        _FILLERS[family.type](registry, family)
    return registry


def _row(sample: Sample) -> tuple[str, tuple[tuple[str, str], ...], float, Any]:
    return sample.name, tuple(sample.labels.items()), sample.value, sample.exemplar


def _labels(family: Metric, *without: str) -> tuple[str, ...]:
    """Give the label names of a family, `service` first as our catalogue has it."""
    if not family.samples:
        return _NOBODY
    return tuple(sorted({name for sample in family.samples for name in sample.labels} - set(without)))


def _child(instrument: Any, names: Iterable[str], sample: Sample) -> Any:
    values = [sample.labels[name] for name in names]
    return instrument.labels(*values) if values else instrument


def _gauge(registry: CollectorRegistry, family: Metric) -> None:
    names = _labels(family)
    gauge = Gauge(family.name, family.documentation, names, registry=registry)
    for sample in family.samples:
        _child(gauge, names, sample).set(sample.value)


def _counter(registry: CollectorRegistry, family: Metric) -> None:
    names = _labels(family)
    counter = Counter(family.name, family.documentation, names, unit=family.unit, registry=registry)
    for sample in family.samples:
        value = _child(counter, names, sample)._value  # noqa: SLF001 - inc() would need the difference
        value.set(sample.value)
        if sample.exemplar is not None:
            value.set_exemplar(sample.exemplar)


def _summary(registry: CollectorRegistry, family: Metric) -> None:
    names = _labels(family)
    summary = Summary(family.name, family.documentation, names, registry=registry)
    for sample in family.samples:
        child = _child(summary, names, sample)
        where = child._count if sample.name.endswith("_count") else child._sum  # noqa: SLF001 - the sum as it is
        where.set(sample.value)


def _info(registry: CollectorRegistry, family: Metric) -> None:
    names = _labels(family)
    info = Info(family.name, family.documentation, names, registry=registry)
    for sample in family.samples:
        _child(info, names, sample).info({})


def _histogram(registry: CollectorRegistry, family: Metric) -> None:
    """Set each bucket to what lies in it alone, which the library adds up at each scrape."""
    names = _labels(family, "le")
    bounds = sorted({float(sample.labels["le"]) for sample in family.samples if "le" in sample.labels})
    shape: Mapping[str, Any] = {"buckets": bounds} if bounds else {}
    histogram = Histogram(family.name, family.documentation, names, registry=registry, **shape)
    below: dict[int, float] = defaultdict(float)
    for sample in family.samples:
        child = _child(histogram, names, sample)
        if sample.name.endswith("_sum"):
            child._sum.set(sample.value)  # noqa: SLF001 - observe() would add it up otherwise
        elif "le" in sample.labels:
            bucket = child._buckets[bounds.index(float(sample.labels["le"]))]  # noqa: SLF001 - as above
            bucket.set(sample.value - below[id(child)])
            below[id(child)] = sample.value
            if sample.exemplar is not None:
                bucket.set_exemplar(sample.exemplar)


_FILLERS = {
    "counter": _counter,
    "gauge": _gauge,
    "histogram": _histogram,
    "info": _info,
    "summary": _summary,
}
