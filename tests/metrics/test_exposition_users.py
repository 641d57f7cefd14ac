"""Collectors of the users' own on the page: whatever they do, they cost no family but theirs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from prometheus_client import Counter, Gauge
from prometheus_client.metrics_core import Metric

from metrics.exposition import OPENMETRICS, TEXT, Format, custom
from tests.metrics.busy import busy_drill
from tests.metrics.drill import Drill, values
from tests.metrics.library import parse_openmetrics

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

OPEN = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[CollectorRegistry]:
    """Give the users' registry, made new for one test."""
    monkeypatch.setattr(custom, "_registry", None)
    yield custom.registry()
    monkeypatch.setattr(custom, "_registry", None)


def test_users_collectors_follow_ours(registry: CollectorRegistry) -> None:
    """What is added to the registry is on every page, counted among the series, in both formats, and to be chosen."""
    drill = busy_drill()
    ours = drill.page()
    Gauge("custom_depth", "A depth.", ["pond"], registry=registry).labels('"deep"').set(3)
    Counter("custom_frogs", "Frogs.", registry=registry).inc(2)
    page = drill.page()
    assert page.endswith('custom_depth{pond="\\"deep\\""} 3.0\n# HELP custom_frogs_total Frogs.\n'
                         "# TYPE custom_frogs_total counter\ncustom_frogs_total 2.0\n")  # fmt: skip
    assert "_created" not in page
    assert {"custom_depth", "custom_frogs"} <= {family.name for family in parse_openmetrics(drill.page(OPENMETRICS))}
    assert drill.page(TEXT, "custom_frogs_total").splitlines()[-1] == "custom_frogs_total 2.0"
    samples = values(ours)
    drill.page()
    assert values(drill.page())["respawnd_metrics_series", frozenset()] == len(samples) + 2


def test_users_collectors_cannot_take_our_names(registry: CollectorRegistry) -> None:
    """A family of ours is refused at registration, so no page can hold it twice."""
    with pytest.raises(ValueError, match="respawnd_service_restarts_total"):
        Counter("respawnd_service_restarts", "Mine.", registry=registry)
    assert Drill().page().count("# TYPE respawnd_service_restarts_total") == 1


class Pond:
    """A collector that gives one gauge of its own, or what a test has it do first."""

    def __init__(self, name: str, first: Callable[[], object] = int) -> None:
        self.name, self.first, self.asked = name, first, 0

    def describe(self) -> list[Metric]:
        """Name its family."""
        return [Metric(self.name, "Of a pond.", "gauge")]

    def collect(self) -> list[Metric]:
        """Give one sample."""
        self.asked += 1
        self.first()
        metric = Metric(self.name, "Of a pond.", "gauge")
        metric.add_sample(self.name, {}, 1.0)
        return [metric]


def broken() -> None:
    """Fail as a collector may."""
    raise RuntimeError("broken")


def test_a_collector_that_fails_costs_its_own_families(registry: CollectorRegistry) -> None:
    """All others are on the page, ours and the users', and the failure is counted."""
    for pond in (Pond("pond_a"), Pond("pond_b", broken), Pond("pond_c")):
        registry.register(pond)
    page = busy_drill().page(OPENMETRICS)
    assert [line for line in page.splitlines() if line.startswith("pond")] == ["pond_a 1.0", "pond_c 1.0"]
    assert page.endswith("# EOF\n")
    assert 'respawnd_metrics_collector_errors_total{collector="Pond"} 1.0' in page


def leave() -> None:
    """End the program, as a collector may that was written for a command."""
    raise SystemExit(3)


def test_a_collector_that_exits_costs_its_own_families(registry: CollectorRegistry) -> None:
    """It is passed over and counted like one that fails; those after it are on the page."""
    for pond in (Pond("pond_a", leave), Pond("pond_b")):
        registry.register(pond)
    page = busy_drill().page()
    assert ["pond_b 1.0"] == [line for line in page.splitlines() if line.startswith("pond")]
    assert 'respawnd_metrics_collector_errors_total{collector="Pond"} 1.0' in page


class Nameless(Pond):
    """A collector that does not say beforehand what it gives."""

    def describe(self) -> list[Metric]:
        """Name nothing."""
        return []


@pytest.mark.parametrize("taken", ["respawnd_service_up", "pond_a"])
@pytest.mark.parametrize("chosen", [TEXT, OPENMETRICS])
def test_a_family_is_given_once(registry: CollectorRegistry, taken: str, chosen: Format) -> None:
    """A collector that gives what the page has already is passed over and counted; the page stays one that is read."""
    for pond in (Pond("pond_a"), Nameless(taken), Nameless("pond_b")):
        registry.register(pond)
    page = busy_drill().page(chosen)
    assert 1 == page.count(f"# TYPE {taken} ")
    assert ["pond_a 1.0", "pond_b 1.0"] == [line for line in page.splitlines() if line.startswith("pond")]
    assert 'respawnd_metrics_collector_errors_total{collector="Nameless"} 1.0' in page


@pytest.mark.slow
def test_a_collector_that_hangs_costs_its_own_families(registry: CollectorRegistry) -> None:
    """It is waited for once, no longer than the scraper's patience allows, and passed over until it has ended."""
    gate = threading.Event()
    stuck = Pond("pond_b", lambda: gate.wait(30))
    for pond in (Pond("pond_a"), stuck, Pond("pond_c")):
        registry.register(pond)
    drill, page = busy_drill(), ""
    try:
        for _ in range(3):
            page = drill.exposition.page(OPEN, budget=1.0).body.decode()
            assert ["pond_a 1.0", "pond_c 1.0"] == [line for line in page.splitlines() if line.startswith("pond")]
        assert 1 == stuck.asked
        assert 'respawnd_metrics_collector_errors_total{collector="Pond"} 3.0' in page
    finally:
        gate.set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "respawnd-collect"]:
        thread.join(10)
    assert "pond_b 1.0" in drill.page()


def test_a_collector_that_was_removed_is_not_asked(registry: CollectorRegistry) -> None:
    """What is unregistered is gone from the next page."""
    pond = Pond("pond_a")
    registry.register(pond)
    assert "pond_a 1.0" in Drill().page()
    registry.unregister(pond)
    assert "pond_a" not in Drill().page()


def test_no_thread_to_be_had_costs_the_users_part(registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of threads our own families are still given."""
    registry.register(Pond("pond_a"))

    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    drill = busy_drill()
    monkeypatch.setattr(custom._Pass, "start", refused)
    page = drill.page()
    assert "pond_a" not in page
    assert 'respawnd_metrics_collector_errors_total{collector="registry"} 1.0' in page
