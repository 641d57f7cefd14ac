"""The catalogue keeps its rules, agrees with the core's words, and is what the documentation says."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest

from metrics.catalog import BY_NAME, EVENTS, FAMILIES, OTHER, REASONS, STATES, TRIGGERS, Family, Kind, Scope
from metrics.exposition.document import document
from metrics.exposition.hot import HOT
from metrics.recorder import Recorder
from supervisor.core import events
from supervisor.core.state import Reason, State, Trigger

ROOT = Path(__file__).parents[2]
GAUGE: dict[str, Any] = {"name": "respawnd_x", "kind": Kind.GAUGE, "scope": Scope.DAEMON, "help": "X."}


def test_every_name_is_given_once() -> None:
    """No two families share a name, nor does a sample of one bear the name of another."""
    names = [family.name for family in FAMILIES]
    samples = [sample for family in FAMILIES for sample in family.samples]
    assert len(names) == len(set(names)) == len(BY_NAME)
    assert len(samples) == len(set(samples))
    assert set() == {family.base for family in FAMILIES if family.base != family.name} & set(names)


def test_scope_shows_in_the_labels() -> None:
    """Labels begin with those of the scope, and a daemon's family never has them."""
    begin = {Scope.REPLICA: ("service", "replica"), Scope.SERVICE: ("service",), Scope.DAEMON: ()}
    for family in FAMILIES:
        assert begin[family.scope] == family.labels[: len(begin[family.scope])], family.name
        assert family.scope is not Scope.DAEMON or "replica" not in family.labels, family.name


def test_words_are_the_cores() -> None:
    """States, reasons and triggers are those of the unit machine, and every event of the loop has a word."""
    assert {state.word for state in State} == set(STATES)
    assert {reason.value for reason in Reason} == set(REASONS)
    assert {trigger.value for trigger in Trigger} == set(TRIGGERS)
    assert {event.__name__ for event in typing.get_args(events.Event)} == set(EVENTS)
    assert len(EVENTS) == len(set(EVENTS.values()))


def test_every_class_of_event_is_counted_by_its_word() -> None:
    """What the module of events defines and the loop can be given has a word; what is given apart is no event."""
    classes = {
        one
        for one in vars(events).values()
        if isinstance(one, type) and one.__module__ == events.__name__ and one is not events.Origin
    }
    assert {one.__name__ for one in classes} == set(EVENTS)
    recorder = Recorder()
    for one in classes:
        recorder.count_event(one.__name__)
    assert dict.fromkeys(EVENTS.values(), 1) | {OTHER: 0} == recorder.events


def test_initial_values_are_on_the_closed_list() -> None:
    """What is shown as 0 from the start is a value that the last label can have."""
    for family in FAMILIES:
        closed = dict(family.values)
        assert set(family.initial) <= set(closed.get(family.labels[-1], ())) if family.initial else True
        assert set(closed) <= set(family.labels), family.name


def test_a_unit_ends_the_name() -> None:
    """A unit is what OpenMetrics asks of one: the end of the family's name."""
    units = {family.name: family.unit for family in FAMILIES}
    assert units["respawnd_service_running_seconds_total"] == "seconds"
    assert units["respawnd_service_memory_resident_bytes"] == "bytes"
    assert units["respawnd_service_up"] == units["target_info"] == ""
    assert all(family.base.endswith(f"_{family.unit}") for family in FAMILIES if family.unit)


def test_the_hot_families_are_those_that_are_built() -> None:
    """Each family of a service or replica that this version fills is rendered by the hot path, and no other."""
    built = {family.name for family in FAMILIES if family.since is not None and family.scope is not Scope.DAEMON}
    assert built == HOT


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "respawnd_x_total"},
        {"kind": Kind.COUNTER},
        {"name": "respawnd-x"},
        {"help": ""},
        {"help": "two\nlines"},
        {"labels": ("job",)},
        {"labels": ("instance",)},
        {"kind": Kind.HISTOGRAM},
        {"buckets": (1.0,)},
        {"kind": Kind.HISTOGRAM, "buckets": (2.0, 1.0)},
    ],
    ids=str,
)
def test_a_family_that_breaks_the_rules_cannot_be_built(wrong: dict[str, Any]) -> None:
    """Reserved labels, buckets out of order, counters without _total: each is refused."""
    assert Family(**GAUGE).name == "respawnd_x"
    with pytest.raises(ValueError, match="respawnd"):
        Family(**(GAUGE | wrong))


def test_the_documentation_is_fresh() -> None:
    """docs/metrics.md is what `python -m metrics.exposition.document` writes."""
    assert document() == (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")


def test_the_documentation_names_every_family() -> None:
    """Each family has one row."""
    rows = [line for line in document().splitlines() if line.startswith("| `")]
    assert [f"| `{family.name}` " for family in FAMILIES] == [row[: row.index("| ", 2)] for row in rows]
