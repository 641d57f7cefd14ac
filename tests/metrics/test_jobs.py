"""Runs of oneshots: when they began and ended, how they came out, and what is not told of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings

from metrics.catalog import REASONS, RUNS
from metrics.exposition import Exposition
from metrics.exposition.budget import ORDER
from metrics.recorder import Recorder
from metrics.recorder.store import Job
from supervisor.core import events as ev
from supervisor.core.model import Backoff, ExitSet, Kind, Restart, StopPolicy, UnitKey, UnitSpec
from supervisor.core.state import Trigger
from tests.core.adversary import FleetMachine
from tests.metrics.drill import EPOCH, Drill, spec, values
from tests.metrics.drill_world import STEPS, STORIES, play

KEY = UnitKey("backup")
#: Unix time of the moment at which a drill begins.
LOADED = 100 + EPOCH
NEVER = {"fail": 0, "last_completion_time_seconds": LOADED, "last_start_time_seconds": LOADED,
         "last_success_time_seconds": LOADED, "ok": 0, "running": 0}  # fmt: skip


def backup(restart: Restart = Restart.NEVER, **fields: object) -> UnitSpec:
    """Build a job."""
    return spec("backup", kind=Kind.ONESHOT, restart=restart, **fields)


def began(**fields: object) -> Drill:
    """Begin a run a second after the load."""
    drill = Drill(backup(**fields)).boot()  # type: ignore[arg-type]  # whatever the test wants
    drill.launched(KEY, after=1)
    return drill


def figures(drill: Drill, service: str = "backup") -> dict[str, float]:
    """Read all that is told of a job: figures by the end of their names, runs by their result."""
    return {
        dict(labels).get("result", name.removeprefix("respawnd_job_")): value
        for (name, labels), value in values(drill.page()).items()
        if name.startswith("respawnd_job_") and ("service", service) in labels
    }


def test_before_the_first_run_all_times_are_that_of_the_load() -> None:
    """So that an alert on an old success is quiet for a new job; there is no duration and no status yet."""
    drill = Drill(backup(autostart=False)).boot()
    drill.pass_time(50)
    assert NEVER == figures(drill)


def test_what_is_no_job_has_no_series_of_jobs() -> None:
    """A service that lives for ever, whatever happens to it."""
    drill = Drill(spec("web"), backup()).boot()
    drill.launched(UnitKey("web"))
    drill.died(UnitKey("web"), 0)
    assert {} == figures(drill, "web")


def test_a_run_that_ends_well() -> None:
    """It started, is under way, and then is the last completed and the last successful one."""
    drill = began()
    assert NEVER | {"last_start_time_seconds": LOADED + 1, "running": 1} == figures(drill)
    drill.pass_time(2.5)
    drill.died(KEY, 0)
    ended = dict.fromkeys(("last_completion_time_seconds", "last_success_time_seconds"), LOADED + 3.5)
    assert {
        **NEVER, **ended, "last_start_time_seconds": LOADED + 1, "last_duration_seconds": 2.5, "last_exit_code": 0,
        "ok": 1,
    } == figures(drill)  # fmt: skip


@pytest.mark.parametrize(("code", "signal", "shown"), [(4, None, 4), (None, 11, -11), (None, None, None)])
def test_a_run_that_fails(code: int | None, signal: int | None, shown: int | None) -> None:
    """By its status, by a signal, or in a way that nobody knows: it completed, and did not succeed."""
    drill = began()
    drill.pass_time(2)
    drill.died(KEY, code, signal)
    found = figures(drill)
    assert (0, 1, 0) == (found["ok"], found["fail"], found["running"])
    assert (LOADED + 3, LOADED) == (found["last_completion_time_seconds"], found["last_success_time_seconds"])
    assert shown == found.get("last_exit_code")


def test_success_is_what_the_service_says_it_is() -> None:
    """`success_exit` decides, not the status alone."""
    drill = began(success_exit=ExitSet(frozenset({3})))
    drill.died(KEY, 3)
    assert (1, 0, 3) == tuple(figures(drill)[name] for name in ("ok", "fail", "last_exit_code"))
    drill.say(ev.Start((KEY,)))
    drill.launched(KEY)
    drill.died(KEY, 0)
    assert (1, 1, 0) == tuple(figures(drill)[name] for name in ("ok", "fail", "last_exit_code"))


def test_each_try_is_a_run() -> None:
    """A job that is tried again by its policy has as many runs as lives."""
    drill = began(restart=Restart.ON_FAILURE, backoff=Backoff(initial=1, jitter=0))
    drill.died(KEY, 4)
    drill.pass_time(1)
    drill.launched(KEY)
    drill.died(KEY, 0)
    assert {"ok": 1, "fail": 1} == {name: value for name, value in figures(drill).items() if name in RUNS}


def test_a_run_that_could_not_be_launched_failed() -> None:
    """It completed when that was known; it has no start, and what the run before it took and said is no longer told."""
    drill = began()
    drill.died(KEY, 0)
    before = figures(drill)
    drill.say(ev.Start((KEY,)))
    drill.pass_time(1)
    drill.not_launched(KEY)
    del before["last_duration_seconds"], before["last_exit_code"]
    assert before | {"fail": 1, "last_completion_time_seconds": LOADED + 2} == figures(drill)


@pytest.mark.parametrize("deaf", [False, True])
def test_a_run_that_was_stopped_has_no_result(*, deaf: bool) -> None:
    """Stopped by TERM, or by the KILL that follows: only its start is told."""
    drill = began(stop=StopPolicy(timeout=3))
    drill.pass_time(2)
    drill.say(ev.Stop((KEY,)))
    if deaf:
        drill.pass_time(3)
    drill.died(KEY, None, 9 if deaf else 15)
    assert NEVER | {"last_start_time_seconds": LOADED + 1} == figures(drill)
    assert 1 == drill.value("respawnd_service_exits_total", service="backup", reason="killed" if deaf else "stopped")


@pytest.mark.parametrize("deaf", [False, True])
def test_a_run_that_was_ended_for_itself_is_a_timeout(*, deaf: bool) -> None:
    """One that a check found hanging, however it went down."""
    drill = began(stop=StopPolicy(timeout=3))
    drill.say(ev.Unhealthy(KEY, 1))
    drill.pass_time(3 if deaf else 1)
    drill.died(KEY, None, 9 if deaf else 15)
    found = figures(drill)
    assert (1, 0, -9 if deaf else -15) == (found["timeout"], found["fail"], found["last_exit_code"])


def test_a_restart_asked_for_is_a_run_without_result_and_another() -> None:
    """What an operator interrupts says nothing of the job."""
    drill = began()
    drill.say(ev.RestartAsked((KEY,), Trigger.MANUAL))
    drill.died(KEY, None, 15)
    drill.launched(KEY, after=4)
    drill.died(KEY, 0)
    found = figures(drill)
    assert (1, 0, LOADED + 5) == (found["ok"], found["fail"], found["last_start_time_seconds"])


def test_a_run_ends_with_its_main_process() -> None:
    """What it leaves behind is swept, and not a part of the run."""
    drill = began()
    drill.pass_time(1)
    drill.died(KEY, 0, left=True)
    drill.pass_time(1.5)
    assert 0 == figures(drill)["running"]
    drill.say_gone(KEY)
    found = figures(drill)
    assert (1, 1, LOADED + 2) == (found["ok"], found["last_duration_seconds"], found["last_completion_time_seconds"])


def test_replicas_run_side_by_side() -> None:
    """Their runs are those of one job."""
    drill = Drill(backup(replicas=2)).boot()
    for key in (KEY, UnitKey("backup", 1)):
        drill.launched(key, after=1)
    assert 2 == figures(drill)["running"]
    drill.died(KEY, 0)
    found = figures(drill)
    assert (1, 1, LOADED + 2) == (found["running"], found["ok"], found["last_start_time_seconds"])


def test_what_becomes_a_job_is_loaded_then() -> None:
    """A change of type begins the record, and ends it; a reload that changes something else leaves it alone."""
    drill = Drill(spec("backup", autostart=False)).boot()
    assert {} == figures(drill)
    drill.pass_time(7)
    drill.say(ev.Reconfigured({"backup": backup(autostart=False)}))
    loaded = {name: LOADED + 7 if value == LOADED else value for name, value in NEVER.items()}
    assert loaded == figures(drill)
    drill.pass_time(1)
    drill.say(ev.Reconfigured({"backup": backup(autostart=False, criticality="high")}))
    assert loaded == figures(drill)
    drill.say(ev.Reconfigured({"backup": spec("backup", autostart=False)}))
    assert {} == figures(drill)


def test_an_adopted_run_goes_on_from_its_start() -> None:
    """What an earlier daemon started before this one was loaded is under way since then."""
    drill = Drill(backup(autostart=False)).boot()
    drill.say(ev.Adopted(KEY, 3, 4000, 40.0, 40.0 + EPOCH))
    assert (40 + EPOCH, 1) == (figures(drill)["last_start_time_seconds"], figures(drill)["running"])
    drill.died(KEY, 0)
    assert (1, 60) == (figures(drill)["ok"], figures(drill)["last_duration_seconds"])


def test_a_successor_goes_on() -> None:
    """A run under way when the daemon changes completes in the next; what is known of those before it stays."""
    drill = began()
    drill.died(KEY, 4)
    drill.say(ev.Start((KEY,)))
    drill.launched(KEY)
    state = json.loads(json.dumps(drill.recorder.export_state()))
    drill.recorder = Recorder(lambda: 0.0)
    drill.exposition = Exposition(
        drill.recorder, drill.view, clock=lambda: drill.now, wall=lambda: drill.now + EPOCH, pause=lambda _: None
    )
    drill.recorder.import_state(state)
    drill.recorder.sync(drill.view())
    drill.pass_time(1)
    drill.died(KEY, 0)
    found = figures(drill)
    assert (1, 1, 1) == (found["ok"], found["fail"], found["last_duration_seconds"])
    assert LOADED + 1 == found["last_start_time_seconds"]


def test_a_record_from_before_there_were_jobs_is_taken() -> None:
    """The job begins at the moment of the change, all else goes on."""
    drill = began()
    state = json.loads(json.dumps(drill.recorder.export_state()))
    del state["services"]["backup"]["job"]
    successor = Recorder(lambda: EPOCH)
    successor.import_state(state)
    drill.pass_time(5)
    successor.sync(drill.view())
    loaded = LOADED + 6
    assert Job(loaded, loaded, loaded) == successor.services["backup"].job
    assert (1, 0) == successor.services["backup"].spawns


def test_jobs_are_never_left_out() -> None:
    """No step of the budget has a family of theirs."""
    assert [] == [name for step in ORDER for name in step if name.startswith("respawnd_job_")]


@pytest.mark.slow
@settings(max_examples=100)
@given(STORIES, STEPS)
def test_runs_are_exits_and_failed_launches(machine: FleetMachine, steps: list[tuple[str, int]]) -> None:
    """Whatever happens, each exit and each launch that failed is in one result, but for those that we asked for."""
    world = play(machine, steps)
    kinds = {
        name: {config[name].kind for config in machine.configs if name in config} for name in world.recorder.services
    }
    for name, service in world.recorder.services.items():
        if kinds[name] == {Kind.SERVICE}:
            assert service.job is None
        elif kinds[name] == {Kind.ONESHOT}:
            assert service.job is not None
            exits = dict(zip(REASONS, service.exits, strict=True))
            runs = dict(zip(RUNS, service.job.runs, strict=True))
            assert exits["ok"] == runs["ok"]
            assert (
                sum(exits[word] for word in ("error", "signal", "oom", "unknown")) + service.spawns[1] == runs["fail"]
            )
            assert exits["timeout"] <= runs["timeout"] <= exits["timeout"] + exits["killed"]
            assert 0 == runs["skipped_overlap"] == runs["missed"]
            assert service.job.completed >= service.job.succeeded
