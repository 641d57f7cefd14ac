"""What one daemon counted goes on in the next, exactly; what is not whole is refused, and nothing else with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics.catalog import B2, FAMILIES, PHASES, Kind
from metrics.exposition import OPENMETRICS, Exposition
from metrics.recorder import LATENCY, OVERHEAD, Recorder
from metrics.recorder.store import Usage
from supervisor.core.model import Backoff, UnitKey
from supervisor.core.view import FleetView
from tests.core.adversary import FleetMachine
from tests.metrics.drill import EPOCH, Drill, spec
from tests.metrics.drill_world import STEPS, STORIES, Chronicle, play

WEB = UnitKey("web")
REAPED = "respawnd_orphans_reaped_total"
REQUESTS = "respawnd_api_requests_total"
#: What goes on. The process's own counters begin again with it.
LASTING = [
    family.name
    for family in FAMILIES
    if (family.kind in (Kind.COUNTER, Kind.HISTOGRAM, Kind.SUMMARY) or family.name.startswith("respawnd_job_last_"))
    and not family.name.startswith(("process_", "python_"))
]
USAGE = Usage(5.0, 1.5, 0.5, 4096, 3, 2, 9, 1024, 0.01, 100, 200, 50.0, 1 << 30, 4000, 0.25, (0.1, 0.2, 0.3))


def carried(recorder: Recorder) -> Recorder:
    """Take the record out and put it back in another daemon's."""
    successor = Recorder(recorder.offset)
    successor.import_state(json.loads(json.dumps(recorder.export_state())))
    return successor


def page(recorder: Recorder, view: FleetView, now: float) -> list[str]:
    """Return the lines of what lasts."""
    exposition = Exposition(recorder, lambda: view, clock=lambda: now, wall=lambda: now + EPOCH, pause=lambda _: None)
    return exposition.render(OPENMETRICS, LASTING).decode().splitlines()


def enrich(world: Chronicle, number: int) -> None:
    """Count what comes from other threads than the loop's."""
    recorder = world.recorder
    for name in recorder.services:
        recorder.count_output(name, "stdout", number)
        recorder.count_dropped_lines(name, number % 3)
        recorder.exemplify(LATENCY, name, number / 7, f"{number:032x}", f"{number:016x}", EPOCH + number)
    recorder.exemplify(OVERHEAD, None, 0.001, "a" * 32, "b" * 16, EPOCH)
    recorder.sampled({key: USAGE._replace(user=float(number)) for key in recorder.replicas})
    recorder.count(REQUESTS, "/metrics", "GET", str(200 + number), by=number)
    recorder.count_event("Exited")
    recorder.observe_lag(number / 1000)
    recorder.count_spawn_duration(number / 1000)


@pytest.mark.slow
@settings(max_examples=100)
@given(STORIES, STEPS, STEPS, st.integers(0, 99))
def test_the_page_after_is_the_page_before(
    machine: FleetMachine, before: list[tuple[str, int]], after: list[tuple[str, int]], number: int
) -> None:
    """After any history, a respawn under way among it, counters go on; the same future gives the same page."""
    world = play(machine, before)
    enrich(world, number)
    world.successor = carried(world.recorder)
    world.successor.sync(world.view())
    assert page(world.recorder, world.view(), world.now) == page(world.successor, world.view(), world.now)
    play(machine, after)
    assert page(world.recorder, world.view(), world.now) == page(world.successor, world.view(), world.now)


def died() -> Drill:
    """A service that has died after two seconds, with its launch under way, and another."""
    drill = Drill(spec(backoff=Backoff(initial=0)), spec("db", replicas=2)).boot()
    for key in list(drill.fleet.units):
        drill.launched(key)
    drill.pass_time(2)
    drill.died(WEB, woke=drill.now - 0.5)
    return drill


def succeed(drill: Drill) -> Recorder:
    """Let another recorder go on."""
    drill.recorder = carried(drill.recorder)
    drill.recorder.sync(drill.view())
    return drill.recorder


def test_a_respawn_under_way_is_neither_lost_nor_counted_twice() -> None:
    """A death before the change of daemon and a launch after it are one exit, one restart, one latency with phases."""
    drill = died()
    recorder = succeed(drill)
    drill.launched(WEB, after=0.25)
    web = recorder.services["web"]
    assert (sum(web.exits), web.spawns, sum(recorder.replicas[WEB].restarts)) == (1, (2, 0), 1)
    assert (sum(web.latency[0]), web.latency[1]) == (1, 0.25)
    assert {"notice": 0.5, "spawn": 0.25} == {word: s for word, s in zip(PHASES, web.phases, strict=True) if s}


def test_an_exit_that_no_transition_told_yet_is_counted_by_the_successor() -> None:
    """A main process that died on its way down, leaving others: the successor finds the exit in the unit."""
    drill = died()
    drill.launched(WEB)
    drill.now += 1
    record = carried(drill.recorder)
    drill.died(WEB, left=True)
    drill.recorder = record
    record.sync(drill.view())
    drill.say_gone(WEB)
    assert (sum(record.services["web"].exits), record.services["web"].spawns) == (2, (2, 0))


def test_a_probe_goes_on_from_what_was_counted() -> None:
    """The reading of the new daemon's own counter, which begins at nothing, is added to what the old one had."""
    first = Recorder()
    first.probe(REAPED, lambda: 7.0)
    first.probe(REQUESTS, lambda: [(("/a", "GET", "200"), 3.0), (("/b", "GET", "200"), 1.0)])
    second = carried(first)
    second.probe(REAPED, lambda: 2.0)
    second.probe(REQUESTS, lambda: [(("/a", "GET", "200"), 1.0), (("/c", "GET", "404"), 5.0)])
    third = carried(second)
    third.probe(REAPED, lambda: 1.0)
    assert [((), 10.0)] == third.probes[REAPED]()
    assert {("/a", "GET", "200"): 4.0, ("/b", "GET", "200"): 1.0, ("/c", "GET", "404"): 5.0} == dict(
        third.tally.read(REQUESTS)
    )


def test_a_probe_that_fails_does_not_cost_the_record() -> None:
    """What was carried over before stays, and the failure is counted."""

    def broken() -> float:
        raise OSError

    second = carried(counted_once())
    second.probe(REAPED, broken)
    third = carried(second)
    assert [((), 3.0)] == third.tally.read(REAPED)
    assert [((REAPED,), 1.0)] == third.tally.read("respawnd_metrics_collector_errors_total")


def counted_once() -> Recorder:
    """A record with one counter."""
    recorder = Recorder()
    recorder.count(REAPED, by=3)
    return recorder


def test_what_a_process_counts_of_itself_ends_with_it() -> None:
    """Counters of the interpreter and the process are those of the new process."""
    first = Recorder()
    first.probe("process_cpu_seconds_total", lambda: 99.0)
    second = carried(first)
    second.probe("process_cpu_seconds_total", lambda: 1.0)
    assert second.probes["process_cpu_seconds_total"]() == 1.0


def test_a_service_that_left_meanwhile_is_passed_over() -> None:
    """The successor's configuration lacks one service: the others go on, and it leaves nothing."""
    drill = died()
    recorder = carried(drill.recorder)
    units = {key: unit for key, unit in drill.fleet.units.items() if key.service == "db"}
    recorder.sync(FleetView(units, at=drill.now, specs={"db": drill.fleet.specs["db"]}))
    assert ["db"] == list(recorder.services)
    assert set(units) == set(recorder.replicas)
    assert recorder.services["db"].spawns == (2, 0)


def test_lists_that_grew_do_not_matter() -> None:
    """Words, families and buckets that this version does not have are passed over, the rest is taken."""
    drill = died()
    state = json.loads(json.dumps(drill.recorder.export_state()))
    web = state["services"]["web"]
    web["exits"]["abducted"] = 4
    web["latency"][0] = [1.0, 2.0]
    state["events"]["eclipse"] = 1
    state["counters"]["respawnd_unheard_of_total"] = [[[], 5.0]]
    state["counters"][REQUESTS] = [[["too", "few"], 5.0], [["/a", "GET", "200"], 2.0], [["/b", "GET", "200"], -2.0]]
    state["histograms"]["respawnd_unheard_of_seconds"] = [[1.0], [0, 0], 0.0]
    recorder = Recorder()
    recorder.import_state(state)
    assert (sum(recorder.services["web"].exits), recorder.services["web"].latency[1]) == (1, 0.0)
    assert [(("/a", "GET", "200"), 2.0)] == recorder.tally.read(REQUESTS)


@pytest.mark.parametrize(
    "spoil",
    [
        {"services": {"web": {}}},
        {"services": None},
        {"replicas": [["web"]]},
        {"replicas": [["web", 0, {"up": True}]]},
        {"histograms": {OVERHEAD: [B2, ["many"] * 11, 0.0]}},
        {"counters": {REAPED: [7]}},
        {"counters": {REAPED: [[[], "many"]]}},
        {"events": {"exited": "often"}},
        {"exemplars": {OVERHEAD: 5}},
    ],
    ids=str,
)
def test_what_is_not_whole_is_refused_whole(spoil: dict[str, Any]) -> None:
    """Nothing is put back of a state with a wrong part; the message says what it is about."""
    state = json.loads(json.dumps(died().recorder.export_state())) | spoil
    recorder = Recorder()
    with pytest.raises(ValueError, match="cannot take over metrics: not whole"):
        recorder.import_state(state)
    assert not recorder.services
    assert not recorder.replicas
    assert recorder.export_state() == Recorder().export_state()


def test_another_format_is_refused_in_words() -> None:
    """What a later version wrote is not guessed at."""
    with pytest.raises(ValueError, match="cannot take over metrics: format 9, not 2"):
        Recorder().import_state({"format": 9})


def test_a_successor_that_numbers_lives_anew() -> None:
    """Lives that begin at one again are no failed launches."""
    drill = died()
    drill.launched(WEB)
    drill.died(WEB)
    drill.pass_time(0)
    drill.launched(WEB)
    record = carried(drill.recorder)
    fresh = Drill(*drill.fleet.specs.values())
    fresh.recorder, fresh.now = record, drill.now
    record.sync(fresh.view())
    fresh.boot()
    fresh.launched(WEB)
    assert record.services["web"].spawns == (4, 0)
