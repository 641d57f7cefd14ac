"""A page keeps its budget of series: what is left out, in which order, and that it is told."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.catalog import BY_NAME
from metrics.exposition import OPENMETRICS, TEXT
from metrics.exposition.batch import batches
from metrics.exposition.budget import ORDER
from metrics.exposition.hot import HOT, count
from metrics.exposition.patterns import LATENCY
from supervisor.core.model import UnitKey
from tests.metrics.busy import busy_drill
from tests.metrics.drill import Drill, values
from tests.metrics.reference import Moment
from tests.metrics.test_exposition_bytes import moments, ours

DROPPED = "respawnd_metrics_series_dropped_total"
FOLDED = frozenset({("service", "_folded")})
#: Some of what is never left out.
NEVER = (
    "respawnd_service_up",
    "respawnd_service_state",
    "respawnd_service_start_time_seconds",
    "respawnd_service_restarts_total",
    "respawnd_job_runs_total",
    "respawnd_job_last_success_time_seconds",
    "respawnd_loop_lag_seconds_bucket",
)


def series(page: str) -> int:
    """Count the samples of a page."""
    return sum(not line.startswith("#") for line in page.split("\n")[:-1])


def shown(page: str) -> set[str]:
    """Names of the families, or of their samples, that have any on a page."""
    return {name for name, _ in values(page)}


def left_out(page: str) -> dict[str, float]:
    """What the page says was left out so far, by family."""
    return {dict(labels)["metric"]: value for (name, labels), value in values(page).items() if name == DROPPED}


def whole() -> tuple[Drill, int]:
    """Give a drill with a page that has no budget, and how many series that page has."""
    drill = busy_drill()
    drill.page()
    return drill, series(drill.page())


def test_a_page_that_fits_is_whole() -> None:
    """At the very number of its series nothing is left out, nor without a budget."""
    drill, size = whole()
    for limit in (size, size + 1, 0):
        drill.exposition.configure(limit)
        page = drill.page()
        assert size == series(page)
        assert {} == left_out(page)


def test_one_series_too_many_costs_the_first_step() -> None:
    """Throttling and pressure go first and whole; their HELP and TYPE stay, and all else is there."""
    drill, size = whole()
    before = shown(drill.page())
    drill.exposition.configure(size - 1)
    page = drill.page()
    assert set(ORDER[0]) == before - shown(page)
    assert all(f"# TYPE {name} counter" in page for name in ORDER[0])
    assert size - 4 * len(drill.fleet.units) == series(page)


@pytest.mark.slow
def test_what_goes_next() -> None:
    """The smaller the budget, the more steps are taken, in their order; no page is above it before all are taken."""
    drill, size = whole()
    gone: set[str] = set()
    steps = [HOT & set(step) for step in ORDER]
    every = {name for step in steps for name in step}
    for limit in range(size, size // 3, -17):
        drill.exposition.configure(limit)
        page = drill.page()
        assert set(NEVER) <= shown(page)
        names = {name for name in every if not shown(page) & set(BY_NAME[name].samples)}
        if (f"{LATENCY}_count", FOLDED) in values(page):
            names.add(LATENCY)
        assert gone <= names
        assert series(page) <= limit or names == every
        taken = [step <= names for step in steps]
        assert sorted(taken, reverse=True) == taken
        gone = names
    assert every == gone


def test_the_folded_histogram_is_the_sum() -> None:
    """One histogram of respawn latency stays, the sum of all services, with their exemplars."""
    drill, size = whole()
    for key in [UnitKey(name) for name in ("web", "three")]:
        drill.died(key)
        drill.pass_time(0.3)
        drill.launched(key, after=0.1)
    found = values(drill.page(TEXT, LATENCY))
    drill.exposition.configure(size * 2 // 3)
    names = {key: value for key, value in values(drill.page()).items() if key[0].startswith(LATENCY)}
    assert 15 == len(names)
    assert {dict(labels)["service"] for _, labels in names} == {"_folded"}
    for (name, labels), value in names.items():
        alike = [
            other
            for (same, theirs), other in found.items()
            if same == name and dict(theirs).get("le") == dict(labels).get("le")
        ]
        assert pytest.approx(sum(alike)) == value
    assert 3 == names[f"{LATENCY}_count", FOLDED]
    assert 'service="_folded"} 1.0 # {span_id="b7ad6b7169203331"' in drill.page(OPENMETRICS)


def test_a_chosen_family_is_always_whole() -> None:
    """Pages of `name[]` have no budget."""
    drill, _ = whole()
    drill.exposition.configure(10)
    assert 'service="web"' in drill.page(TEXT, LATENCY)


def test_each_page_counts_what_it_leaves_out() -> None:
    """So that the counter rises as long as something is left out, and stands when nothing is."""
    drill, size = whole()
    drill.exposition.configure(size - 1)
    replicas = len(drill.fleet.units)
    for _ in range(3):
        drill.page()
    page = drill.page()
    assert {ORDER[0][0]: 3.0 * replicas, ORDER[0][1]: 9.0 * replicas} == left_out(page)
    drill.exposition.configure(0)
    drill.page()
    assert left_out(drill.page()) == left_out(drill.page())


def test_each_change_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """What is left out, what cannot be helped, and the end of it."""
    drill, size = whole()
    with caplog.at_level(logging.INFO, "respawnd.metrics"):
        for limit in (size - 1, size - 2, 1, 1, 0, 0):
            drill.exposition.configure(limit)
            drill.page()
    said = [record.getMessage() for record in caplog.records]
    assert f"Cannot show all of /metrics in max_series = {size - 1}: left out {', '.join(ORDER[0])}" == said[0]
    assert said[1].startswith("Cannot keep /metrics within max_series = 1: ")
    assert said[2].startswith("Cannot show all of /metrics in max_series = 1: left out respawnd_service_cpu_throttled")
    assert ["All series of /metrics are shown again"] == said[3:]


@pytest.mark.slow
@settings(max_examples=25)
@given(at=moments(), share=st.floats(0, 1))
def test_the_budget_holds_for_any_fleet(at: Moment, share: float) -> None:
    """No page is above its budget unless all is left out that may be."""
    exposition, sparing = ours(at), ours(at)
    size = series(exposition.render().decode())
    sparing.configure(1)
    least = series(sparing.render().decode())
    exposition.configure(max(1, int(size * share)))
    told = len(at.recorder.tally.read(DROPPED))
    assert series(exposition.render().decode()) <= max(1, int(size * share), least + told)


@pytest.mark.slow
@settings(max_examples=25)
@given(at=moments())
def test_lines_are_counted_before_they_are_rendered(at: Moment) -> None:
    """The count for each family is that of its lines on the page."""
    blocks = ours(at).render().decode().split("# HELP ")[1:]
    lines = {block.split(" ", 1)[0]: series(block) - 1 for block in blocks}
    now = [part for part in batches(at.view, at.recorder, at.now, at.wall - at.now) if part is not None]
    assert {name: lines[name] for name in HOT} == {
        name: sum(count(BY_NAME[name], part) for part in now) for name in HOT
    }


def test_an_empty_fleet_has_nothing_to_leave_out() -> None:
    """A budget below what the daemon itself needs is told of and does no harm."""
    drill = Drill()
    drill.exposition.configure(1)
    drill.page()
    assert series(drill.page()) > 1
    assert {} == left_out(drill.page())
