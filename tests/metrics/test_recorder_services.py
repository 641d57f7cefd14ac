"""Which services and replicas have a record: from the configuration on, until they have left it and are down."""

from __future__ import annotations

from metrics.recorder import Recorder
from supervisor.core import events as ev
from supervisor.core.effects import Transition, Wanted
from supervisor.core.model import UnitKey
from supervisor.core.view import FleetView
from tests.metrics.drill import EPOCH, Drill, spec
from tests.metrics.test_recorder import NO_DELAY, WEB, exits, replica, restarts, running, service


def test_a_configured_service_is_there_before_anything_happens() -> None:
    """A service that never started shows all its counters at 0, its state, and no start time."""
    drill = Drill(spec(autostart=False)).boot()
    assert replica(drill, "up") == 0
    assert replica(drill, "state", state="stopped") == 1
    assert (restarts(drill, "crash"), restarts(drill, "health"), restarts(drill, "manual")) == (0, 0, None)
    assert [0.0] * 4 + [None] == [exits(drill, reason) for reason in ("ok", "error", "signal", "oom", "killed")]
    assert service(drill, "respawn_latency_seconds_bucket", le="+Inf") == 0
    assert replica(drill, "start_time_seconds") is None
    assert service(drill, "running_seconds_total") == service(drill, "desired_replicas") == 0


def test_a_removed_service_leaves_no_series_and_comes_back_at_nothing() -> None:
    """The page after a removal does not know the service; when it returns it is a new one."""
    drill = running(spec("web"), spec("db"), backoff=NO_DELAY)
    drill.died(WEB)
    drill.launched(WEB)
    drill.say(ev.Reconfigured({"db": spec("db")}))
    drill.died(WEB, 0)
    page = drill.page()
    assert 'service="web"' not in page
    assert 'service="db"' in page
    assert [UnitKey("db")] == list(drill.recorder.replicas)
    assert ["db"] == list(drill.recorder.services)
    drill.say(ev.Reconfigured({"db": spec("db"), "web": spec("web")}))
    assert exits(drill, "error") == 0


def test_one_replica_less_keeps_the_service() -> None:
    """Scaling down drops the series of the replica; the totals of its service go on."""
    drill = running(replicas=2, backoff=NO_DELAY)
    drill.died(UnitKey("web", 1))
    drill.launched(UnitKey("web", 1))
    drill.say(ev.Reconfigured({"web": spec(replicas=1)}))
    drill.died(UnitKey("web", 1), 0)
    assert 'replica="1"' not in drill.page()
    assert exits(drill, "error") == 1


def test_metadata_follow_the_configuration() -> None:
    """A change that needs no restart shows on the next page."""
    drill = running(criticality="low")
    assert drill.page().count('criticality="low"') == 1
    drill.say(ev.Reconfigured({"web": spec(criticality="high", groups=("a", "b"))}))
    assert drill.page().count('criticality="high",group="a,b",kind="service",restart_policy="always"') == 1


def test_sync_brings_in_what_no_transition_told() -> None:
    """Units that were there before the recorder are counted from the picture on; one that then went leaves with it."""
    drill = running()
    drill.recorder.replicas.clear()
    drill.recorder.services.clear()
    drill.recorder.sync(drill.view())
    drill.pass_time(3)
    assert service(drill, "running_seconds_total") == 3
    fresh = Recorder()
    fresh.sync(drill.view())
    fresh.sync(FleetView())
    assert not fresh.replicas
    assert not fresh.services
    drill.died(WEB)
    drill.launched(WEB)
    assert (exits(drill, "error"), restarts(drill, "crash"), service(drill, "spawns_total", result="ok")) == (1, 1, 1)


def test_a_picture_ahead_of_its_facts_counts_nothing_twice() -> None:
    """The record sees a running unit before it hears of its launch: the seconds are those since the launch, once."""
    drill = Drill(spec())
    told, drill.recorder = drill.recorder, Recorder()
    facts: list[Transition | Wanted] = list(drill.fleet.boot(drill.now).transitions)
    drill.now += 1
    life = drill.unit(WEB).life
    facts += drill.fleet.step(ev.Launched(WEB, life, 4000, drill.now, drill.now + EPOCH), drill.now).transitions
    drill.now += 0.5
    told.sync(drill.view())
    for fact in facts:
        told.observe(fact)
    drill.recorder = told
    drill.pass_time(2)
    assert (service(drill, "running_seconds_total"), service(drill, "desired_seconds_total")) == (2.5, 3.5)
    assert (service(drill, "spawns_total", result="ok"), service(drill, "spawns_total", result="error")) == (1, 0)


def test_a_service_without_replicas_is_there_and_keeps_its_counters() -> None:
    """Scaled to nothing and back, a service goes on where it was; out of the configuration, it leaves at once."""
    drill = running(backoff=NO_DELAY)
    drill.died(WEB)
    drill.launched(WEB)
    drill.pass_time(2)
    drill.say(ev.Reconfigured({"web": spec(replicas=0)}))
    drill.died(WEB, 0)
    drill.recorder.sync(drill.view())
    assert ["web"] == list(drill.recorder.services)
    assert not drill.recorder.replicas
    assert exits(drill, "error") == 1
    assert service(drill, "desired_replicas") == 0
    assert replica(drill, "up") is None
    drill.say(ev.Reconfigured({"web": spec()}))
    drill.launched(WEB)
    drill.pass_time(1)
    assert (exits(drill, "error"), service(drill, "running_seconds_total")) == (1, 3)
    drill.say(ev.Reconfigured({"web": spec(replicas=0)}))
    drill.died(WEB, 0)
    drill.say(ev.Reconfigured({}))
    drill.recorder.sync(drill.view())
    assert not drill.recorder.services


def test_a_service_that_leaves_stays_until_it_is_down() -> None:
    """While a removed service is stopping it has its series; they vanish together with its last unit."""
    drill = running(spec(replicas=2))
    drill.say(ev.Reconfigured({}))
    drill.recorder.sync(drill.view())
    assert replica(drill, "state", state="stopping") == 1
    drill.died(WEB, 0)
    assert ["web"] == list(drill.recorder.services)
    assert replica(drill, "up") is None
    drill.died(UnitKey("web", 1), 0)
    assert not drill.recorder.services
    assert 'service="web"' not in drill.page()
