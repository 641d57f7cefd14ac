"""What is told of the daemon at one moment: the samples of a direct scrape, or those that a Prometheus has stored."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from attrs import frozen
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from supervisor.control import client
from tests.soak.ledger import Span
from tests.soak.play import Play

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
Labels = frozenset[tuple[str, str]]


@frozen
class Page:
    """Samples by name and labels. `at` bounds the moment they are from (monotonic), `source` says where they are."""

    source: str
    at: Span
    samples: Mapping[str, Mapping[Labels, float]]

    def value(self, name: str, **labels: str) -> float | None:
        """One sample; None if there is none."""
        return self.samples.get(name, {}).get(frozenset(labels.items()))

    def sum(self, name: str, **labels: str) -> float:
        """All samples that bear these labels."""
        wanted = labels.items()
        return sum(value for found, value in self.samples.get(name, {}).items() if wanted <= found)

    def labels(self, name: str, label: str) -> set[str]:
        """The values that a label has in a family."""
        return {dict(found)[label] for found in self.samples.get(name, {}) if label in dict(found)}

    def replicas(self) -> set[str]:
        """All replicas that any sample is of."""
        every = (dict(labels) for family in self.samples.values() for labels in family)
        return {f"{labels['service']}:{labels['replica']}" for labels in every if "replica" in labels}

    def services(self) -> set[str]:
        """All services that any sample is of."""
        every = (labels for family in self.samples.values() for labels in family)
        return {value for labels in every for name, value in labels if name == "service"}


def page(source: str, at: Span, samples: Iterable[tuple[str, Mapping[str, str], float]]) -> Page:
    """A page of samples."""
    found: dict[str, dict[Labels, float]] = {}
    for name, labels, value in samples:
        found.setdefault(name, {})[frozenset(labels.items())] = value
    return Page(source, at, found)


def plain(play: Play) -> bytes:
    """A direct scrape as text 0.0.4, which promtool reads."""
    play.ledger.requests["/metrics", "GET", "200"] += 1
    return client.request(play.daemon.socket, "GET", "/metrics", timeout=30).body


def scraped(play: Play) -> Page:
    """A direct scrape, as OpenMetrics; the reference parser has no complaint about it."""
    before = time.monotonic()
    answer = client.request(play.daemon.socket, "GET", "/metrics", headers={"accept": OPENMETRICS}, timeout=30)
    at = Span(before, time.monotonic())
    play.ledger.requests["/metrics", "GET", str(answer.status)] += 1
    families: Iterable[Metric] = text_string_to_metric_families(answer.body.decode())  # type: ignore[no-untyped-call]
    samples = ((sample.name, sample.labels, sample.value) for family in families for sample in family.samples)
    return page("direct scrape", at, samples)
