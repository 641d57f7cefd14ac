"""Stories of services, told through the real fleet, and what is counted of them."""

from __future__ import annotations

import pytest

from metrics.catalog import B1
from metrics.recorder import LATENCY, SPAWN
from metrics.recorder.store import Exemplar, Usage
from supervisor.core import events as ev
from supervisor.core.model import Backoff, Condition, GiveUp, UnitKey
from supervisor.core.state import State, Trigger
from tests.metrics.drill import EPOCH, Drill, spec

WEB = UnitKey("web")
NO_DELAY = Backoff(initial=0)


def running(*specs: object, **fields: object) -> Drill:
    """Boot one service (or `specs`) and confirm its launch."""
    drill = Drill(*(specs or (spec(**fields),))).boot()  # type: ignore[arg-type]  # whatever the test wants
    for key, unit in list(drill.fleet.units.items()):
        if unit.state is State.LAUNCHING:
            drill.launched(key)
    return drill


def restarts(drill: Drill, trigger: str) -> float | None:
    """Read the restarts of web by trigger."""
    return drill.value("respawnd_service_restarts_total", service="web", replica="0", trigger=trigger)


def exits(drill: Drill, reason: str) -> float | None:
    """Read the exits of web by reason."""
    return drill.value("respawnd_service_exits_total", service="web", reason=reason)


def service(drill: Drill, name: str, **labels: str) -> float | None:
    """Read one figure of web as a service."""
    return drill.value(f"respawnd_service_{name}", service="web", **labels)


def replica(drill: Drill, name: str, **labels: str) -> float | None:
    """Read one figure of web's replica 0."""
    return drill.value(f"respawnd_service_{name}", service="web", replica="0", **labels)


def test_a_start_is_no_restart() -> None:
    """The first launch counts as a spawn and as readiness, not as a respawn."""
    drill = running()
    drill.pass_time(2.5)
    assert (service(drill, "spawns_total", result="ok"), service(drill, "spawns_total", result="error")) == (1, 0)
    assert restarts(drill, "crash") == service(drill, "respawn_latency_seconds_count") == 0
    assert service(drill, "ready_latency_seconds_count") == 1
    assert replica(drill, "up") == 1
    assert replica(drill, "uptime_seconds") == pytest.approx(2.5)
    assert replica(drill, "start_time_seconds") == pytest.approx(100 + EPOCH)


def test_a_crash_and_its_respawn() -> None:
    """A death is an exit by its reason and a restart by its trigger; the latency runs from death to exec."""
    drill = running()
    drill.pass_time(1)
    drill.died(WEB, None, 11)
    assert (exits(drill, "signal"), restarts(drill, "crash"), replica(drill, "up")) == (1, 0, 0)
    assert replica(drill, "last_exit_code") == -11
    drill.launched(WEB, after=0.004)
    assert (exits(drill, "signal"), restarts(drill, "crash"), replica(drill, "up")) == (1, 1, 1)
    assert service(drill, "respawn_latency_seconds_count") == 1
    assert service(drill, "respawn_latency_seconds_sum") == pytest.approx(0.004)
    assert service(drill, "respawn_latency_seconds_bucket", le="0.0025") == 0
    assert service(drill, "respawn_latency_seconds_bucket", le="0.005") == 1
    assert drill.value("respawnd_respawn_overhead_seconds_sum") == pytest.approx(0.004)


def test_backoff_is_latency_and_not_overhead() -> None:
    """The delay that policy asks for is in the latency; the supervisor's own cost has it taken out."""
    drill = running(backoff=Backoff(initial=2, jitter=0))
    drill.died(WEB)
    drill.launched(WEB, after=0.001)
    drill.died(WEB)
    assert replica(drill, "backoff_seconds") == 2
    assert replica(drill, "next_start_time_seconds") == pytest.approx(drill.now + 2 + EPOCH)
    drill.pass_time(2)
    drill.launched(WEB, after=0.003)
    assert service(drill, "respawn_latency_seconds_sum") == pytest.approx(2.004)
    assert drill.value("respawnd_respawn_overhead_seconds_sum") == pytest.approx(0.004)
    assert replica(drill, "backoff_seconds") == replica(drill, "next_start_time_seconds") == 0


def test_failed_launches_between_are_counted_and_their_backoff_is_not_overhead() -> None:
    """Launches that fail between a death and its respawn are spawns with an error; the latency spans them all."""
    drill = running(backoff=Backoff(initial=1, factor=1, jitter=0), give_up=GiveUp(failures=None))
    drill.died(WEB)
    drill.not_launched(WEB)
    drill.pass_time(1)
    drill.not_launched(WEB)
    drill.pass_time(1)
    drill.launched(WEB, after=0.01)
    assert (service(drill, "spawns_total", result="ok"), service(drill, "spawns_total", result="error")) == (2, 2)
    assert service(drill, "respawn_latency_seconds_sum") == pytest.approx(2.01)
    assert drill.value("respawnd_respawn_overhead_seconds_sum") == pytest.approx(0.01)


def test_a_first_launch_that_fails_at_once_and_again() -> None:
    """Failures of the first launch are spawns with an error too, also where the next one follows without delay."""
    drill = Drill(spec()).boot()
    drill.not_launched(WEB)
    drill.pass_time(0)
    drill.not_launched(WEB)
    assert drill.launches() == 2
    assert service(drill, "spawns_total", result="error") == 2
    assert service(drill, "spawns_total", result="ok") == 0


def test_waiting_for_a_dependency_is_not_overhead() -> None:
    """A service that dies while its dependency is down waits for it; that wait is nobody's slowness."""
    drill = running(spec("db"), spec("web", depends_on={"db": Condition.STARTED}))
    db = UnitKey("db")
    drill.launched(WEB)
    drill.say(ev.Stop((db,)))
    drill.died(db, 0)
    drill.died(WEB)
    assert replica(drill, "state", state="waiting") == 1
    drill.pass_time(30)
    drill.say(ev.Start((db,)))
    drill.launched(db)
    drill.launched(WEB, after=0.002)
    assert service(drill, "respawn_latency_seconds_sum") == pytest.approx(30.002)
    assert drill.value("respawnd_respawn_overhead_seconds_sum") == pytest.approx(0.002)


def test_an_exit_with_stragglers_is_counted_once() -> None:
    """The main process dies and leaves others behind: one exit, whether it was stopping already or not."""
    drill = running()
    drill.died(WEB, left=True)
    assert exits(drill, "error") == 1
    drill.say(ev.Gone(WEB, drill.unit(WEB).life))
    drill.launched(WEB)
    drill.say(ev.Stop((WEB,)))
    drill.died(WEB, 0, left=True)
    drill.say(ev.Gone(WEB, drill.unit(WEB).life))
    assert (exits(drill, "error"), exits(drill, "stopped"), restarts(drill, "crash")) == (1, 1, 1)


def test_a_stop_that_takes_sigkill() -> None:
    """When the stop timeout passes, the escalation is counted, and the exit is ours."""
    drill = running()
    drill.say(ev.Stop((WEB,)))
    assert replica(drill, "state", state="stopping") == 1
    drill.pass_time(10)
    assert service(drill, "stop_escalations_total") == 1
    drill.died(WEB, None, 9)
    assert (exits(drill, "killed"), exits(drill, "signal"), replica(drill, "last_exit_code")) == (1, 0, -9)


def test_triggers_of_restarts() -> None:
    """A manual restart, a failed health check and a death for lack of memory are told apart."""
    drill = running(backoff=NO_DELAY)
    drill.say(ev.RestartAsked((WEB,)))
    drill.died(WEB, 0)
    drill.launched(WEB)
    drill.say(ev.Unhealthy(WEB, drill.unit(WEB).life))
    drill.died(WEB, 0)
    drill.launched(WEB)
    drill.died(WEB, None, 9, oom=True)
    drill.launched(WEB)
    assert [1.0, 1.0, 1.0, 0.0] == [restarts(drill, word) for word in ("manual", "health", "oom", "crash")]
    assert [1.0, 1.0, 1.0, 0.0] == [exits(drill, word) for word in ("stopped", "timeout", "oom", "ok")]
    assert drill.unit(WEB).restarts == 3


def test_restarts_agree_with_status() -> None:
    """What status calls restarts is the sum over triggers."""
    drill = running(backoff=NO_DELAY, give_up=GiveUp(failures=None))
    for code in (0, 1, 2, 0):
        drill.died(WEB, code)
        drill.launched(WEB)
    counted = [restarts(drill, trigger.value) or 0.0 for trigger in Trigger]
    assert drill.unit(WEB).restarts == sum(counted) == 4


def test_the_budget_runs_out() -> None:
    """Failures eat the budget, time gives it back, and a service without a limit has one without end."""
    drill = running(backoff=NO_DELAY, give_up=GiveUp(failures=2, within=60))
    assert (service(drill, "restart_budget"), service(drill, "restart_budget_remaining")) == (2, 2)
    drill.died(WEB)
    drill.launched(WEB)
    assert service(drill, "restart_budget_remaining") == 1
    drill.pass_time(61)
    assert service(drill, "restart_budget_remaining") == 2
    for _ in range(2):
        drill.died(WEB)
        drill.launched(WEB)
    drill.died(WEB)
    assert (service(drill, "restart_budget_remaining"), replica(drill, "state", state="fatal")) == (0, 1)
    endless = running(give_up=GiveUp(failures=None))
    assert float("inf") == service(endless, "restart_budget") == service(endless, "restart_budget_remaining")


def test_availability_is_exact_to_the_event() -> None:
    """Running and desired seconds follow the moments of the events, whenever a page is made."""
    drill = running(backoff=Backoff(initial=4, jitter=0, factor=1), start_grace=0.5)
    assert replica(drill, "state", state="starting") == 1
    drill.pass_time(10.25)
    assert (service(drill, "running_seconds_total"), service(drill, "desired_seconds_total")) == (9.75, 10.25)
    drill.died(WEB)
    drill.launched(WEB)
    drill.died(WEB)
    drill.pass_time(4)
    drill.launched(WEB)
    drill.pass_time(1.5)
    assert (service(drill, "running_seconds_total"), service(drill, "desired_seconds_total")) == (10.75, 15.75)
    drill.say(ev.Stop((WEB,)))
    drill.pass_time(5)
    drill.died(WEB, 0)
    drill.pass_time(100)
    assert (service(drill, "running_seconds_total"), service(drill, "desired_seconds_total")) == (10.75, 15.75)
    assert service(drill, "desired_replicas") == 0


def test_replicas_add_up() -> None:
    """A service's seconds are those of its replicas; restarts belong to the replica, exits to the service."""
    drill = running(replicas=3, backoff=NO_DELAY)
    drill.pass_time(2)
    drill.died(UnitKey("web", 1))
    drill.launched(UnitKey("web", 1))
    drill.pass_time(1)
    assert (service(drill, "running_seconds_total"), service(drill, "desired_replicas")) == (9, 3)
    one = drill.value("respawnd_service_restarts_total", service="web", replica="1", trigger="crash")
    assert (restarts(drill, "crash"), one, exits(drill, "error")) == (0, 1, 1)


def test_counters_never_go_back() -> None:
    """A page made while a stop is being carried out has shown a little too much: the next one shows no less."""
    drill = running()
    drill.pass_time(1)
    decided = drill.now
    drill.now += 0.01
    assert service(drill, "running_seconds_total") == pytest.approx(1.01)
    drill.now = decided
    drill.say(ev.Stop((WEB,)))
    drill.now += 0.02
    assert service(drill, "running_seconds_total") == pytest.approx(1.01)
    drill.died(WEB, 0)
    drill.say(ev.Start((WEB,)))
    drill.launched(WEB)
    drill.pass_time(1)
    assert service(drill, "running_seconds_total") == pytest.approx(2.0)


def test_samples_are_kept_of_replicas_that_are_there() -> None:
    """What the sampler found is the replica's; what it found of one that is gone meanwhile is passed over."""
    drill = running()
    usage = Usage(drill.now, user=1.5, processes=2)
    drill.recorder.sampled({WEB: usage, UnitKey("gone"): usage})
    assert drill.recorder.replicas[WEB].usage is usage
    assert [WEB] == list(drill.recorder.replicas)


def test_the_newest_trace_of_each_bucket_is_kept() -> None:
    """Exemplars lie in the bucket of their value; without any there is nothing; one that is gone is passed over."""
    drill = running(spec("web"), spec("db"))
    recorder = drill.recorder
    for number, value in enumerate((0.0004, 0.0005, 500.0)):
        recorder.exemplify(LATENCY, "web", value, f"{number:032x}", "b" * 16, EPOCH)
    recorder.exemplify(LATENCY, "gone", 1.0, "a" * 32, "b" * 16, EPOCH)
    recorder.exemplify(SPAWN, None, 0.001, "c" * 32, "d" * 16, EPOCH)
    kept = recorder.services["web"].exemplars
    assert kept is not None
    assert (len(B1) + 1, 2) == (len(kept), sum(one is not None for one in kept))
    assert (Exemplar(0.0005, f"{1:032x}", "b" * 16, EPOCH), 500.0) == (kept[0], kept[-1].value if kept[-1] else None)
    assert recorder.services["db"].exemplars is None
    assert {SPAWN} == set(recorder.exemplars)
    with pytest.raises(KeyError):
        recorder.exemplify("respawnd_events_total", None, 1.0, "a", "b", EPOCH)


@pytest.mark.parametrize("failed", [False, True])
def test_a_launch_answered_while_set_aside(failed: bool) -> None:
    """What quarantine left alone is a spawn by its own answer, and no restart."""
    drill = running(backoff=NO_DELAY)
    drill.died(WEB)
    drill.say(ev.Quarantined(WEB, "a fault"))
    if failed:
        drill.not_launched(WEB)
    else:
        drill.launched(WEB)
        drill.say(ev.Start((WEB,)))
        drill.died(WEB, 0)
    drill.say(ev.Start((WEB,)))
    if failed:
        drill.launched(WEB)
    assert service(drill, "spawns_total", result="ok") == 2
    assert service(drill, "spawns_total", result="error") == int(failed)
    assert restarts(drill, "crash") == 0


def test_an_adopted_life_is_neither_a_spawn_nor_a_restart() -> None:
    """A process of an earlier daemon that is taken over counts as adopted, and runs from then on."""
    drill = Drill(spec(autostart=False)).boot()
    drill.say(ev.Adopted(WEB, 7, 4242, drill.now - 50, EPOCH))
    drill.pass_time(2)
    assert drill.value("respawnd_children_adopted_total") == 1
    assert service(drill, "spawns_total", result="ok") == service(drill, "ready_latency_seconds_count") == 0
    assert (service(drill, "running_seconds_total"), replica(drill, "uptime_seconds")) == (2, 52)
    drill.died(WEB)
    drill.launched(WEB)
    assert (service(drill, "spawns_total", result="error"), restarts(drill, "crash")) == (0, 1)


def test_a_change_of_want_alone_moves_what_is_desired() -> None:
    """A want that changes without its state (stopped while it was stopping for a restart) ends the desired seconds."""
    drill = running()
    drill.pass_time(1)
    drill.say(ev.RestartAsked((WEB,)))
    drill.say(ev.Stop((WEB,)))
    drill.pass_time(3)
    drill.died(WEB, 0)
    assert service(drill, "desired_seconds_total") == 1
    assert service(drill, "spawns_total", result="error") == service(drill, "stop_escalations_total") == 0


def test_what_the_loop_says_of_itself() -> None:
    """Lag, ticks, events and spawn durations are on the page; an event without a word is other."""
    drill = Drill()
    drill.recorder.turned(99.0, 0.02)
    drill.recorder.count_event("Launched")
    drill.recorder.count_event("Novelty")
    drill.recorder.count_spawn_duration(0.003)
    assert drill.value("respawnd_loop_lag_seconds_bucket", le="0.025") == 1
    assert drill.value("respawnd_loop_lag_seconds_bucket", le="0.01") == 0
    assert drill.value("respawnd_loop_last_tick_time_seconds") == pytest.approx(99 + EPOCH)
    assert drill.value("respawnd_events_total", type="launched") == 1
    assert drill.value("respawnd_events_total", type="other") == 1
    assert drill.value("respawnd_spawn_duration_seconds_sum") == pytest.approx(0.003)


def test_output_is_counted_by_stream() -> None:
    """Bytes and lost lines belong to their service; those of a service that is gone are passed over."""
    drill = running()
    drill.recorder.count_output("web", "stdout", 100)
    drill.recorder.count_output("web", "stderr", 5)
    drill.recorder.count_output("web", "stdout", 100)
    drill.recorder.count_dropped_lines("web", 3)
    drill.recorder.count_output("gone", "stdout", 1)
    drill.recorder.count_dropped_lines("gone", 1)
    assert service(drill, "log_bytes_total", stream="stdout") == 200
    assert service(drill, "log_bytes_total", stream="stderr") == 5
    assert service(drill, "log_lines_dropped_total") == 3
