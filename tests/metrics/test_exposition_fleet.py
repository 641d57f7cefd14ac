"""Who is on the page: every configured service in every state, and nothing of one that is gone."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import pytest
from attrs import evolve

from metrics.catalog import BY_NAME, FAMILIES, Scope
from metrics.exposition import OPENMETRICS, TEXT, Exposition
from metrics.exposition.hot import HOT
from supervisor.core.model import GiveUp, UnitKey
from supervisor.core.view import FleetView
from tests.metrics.busy import USAGE, busy_drill
from tests.metrics.drill import EPOCH, Drill, spec, values

#: Families that services and replicas of any kind have.
OF_ALL = HOT - {name for name in HOT if name.startswith("respawnd_job_")}
RESOURCES = [family for family in FAMILIES if "resident" in family.name or "cpu" in family.name]


@dataclass
class Fleet:
    """A drill whose picture has specifications that a test may change."""

    drill: Drill
    view: FleetView

    def page(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Render and read a page."""
        drill = self.drill
        exposition = Exposition(
            drill.recorder, lambda: self.view, clock=lambda: drill.now, wall=lambda: drill.now + EPOCH,
            pause=lambda _: None,
        )  # fmt: skip
        return values(exposition.render(TEXT).decode())


def fleet() -> Fleet:
    """Configure a service that runs and one that is scaled to none."""
    drill = Drill(spec("web"), spec("none", replicas=0, give_up=GiveUp(7))).boot()
    drill.launched(UnitKey("web"))
    return Fleet(drill, FleetView(dict(drill.fleet.units), specs=drill.fleet.specs))


def names_of(page: dict[tuple[str, frozenset[tuple[str, str]]], float], service: str) -> set[str]:
    """Names of all samples of a service."""
    return {name for name, labels in page if ("service", service) in labels}


def test_a_service_without_replicas_is_on_the_page() -> None:
    """It has all families of a service that is no job, with what its specification says, and none of a replica."""
    page = fleet().page()
    of_services = {name for name in OF_ALL if BY_NAME[name].scope is Scope.SERVICE}
    assert {sample for name in of_services for sample in BY_NAME[name].samples} == names_of(page, "none")
    key = frozenset({("service", "none")})
    assert 0 == page["respawnd_service_desired_replicas", key]
    assert 7 == page["respawnd_service_restart_budget", key] == page["respawnd_service_restart_budget_remaining", key]


def test_services_come_in_the_order_of_the_configuration() -> None:
    """Also where the first of them has no replica, and one that leaves comes last."""
    one = fleet()
    specs = {"none": spec("none", replicas=0), "first": spec("first", replicas=0)}
    one.view = evolve(one.view, specs=specs)
    found = [dict(labels)["service"] for name, labels in one.page() if name == "respawnd_service_restart_budget"]
    assert ["none", "first", "web"] == found


def test_a_removed_service_is_gone_with_the_next_page() -> None:
    """No series of it is left, whatever it had."""
    one = fleet()
    one.drill.recorder.sampled({UnitKey("web"): USAGE})
    before = one.page()
    one.drill.recorder.forget(UnitKey("web"))
    one.view = FleetView(specs={"none": spec("none", replicas=0)})
    after = one.page()
    assert {sample for name in OF_ALL for sample in BY_NAME[name].samples} - names_of(before, "web") <= {
        "respawnd_service_last_exit_code",
        "respawnd_service_last_exit_time_seconds",
    }
    assert set() == names_of(after, "web")
    assert names_of(before, "none") == names_of(after, "none")


def test_a_stopped_replica_keeps_its_counters() -> None:
    """What the sampler says of nothing alive is shown: gauges at 0, counters where they were."""
    one = fleet()
    gone = USAGE._replace(resident=0, threads=0, processes=0, open_fds=None, max_fds=None, worst_fd_ratio=None)
    one.drill.recorder.sampled({UnitKey("web"): gone})
    page, key = one.page(), frozenset({("service", "web"), ("replica", "0")})
    assert 0 == page["respawnd_service_memory_resident_bytes", key] == page["respawnd_service_threads", key]
    assert 10**12 == page["respawnd_service_io_write_bytes_total", key]
    assert pytest.approx(12.34) == page["respawnd_service_cpu_seconds_total", key | {("mode", "user")}]
    assert ("respawnd_service_open_fds", key) not in page


def test_what_is_not_known_has_no_series() -> None:
    """A replica that was never sampled has no figures of resources, not even 0."""
    page = fleet().page()
    assert not {name for name, _ in page} & {family.name for family in RESOURCES if family.name in HOT}


def test_kept_lines_are_made_anew_when_they_change() -> None:
    """A death and a start show on the next page, for the service itself and its neighbours."""
    drill = busy_drill()
    names = ("respawnd_service_start_time_seconds", "respawnd_service_last_exit_time_seconds",
             "respawnd_service_respawn_latency_seconds", "respawnd_service_respawn_phase_seconds_total",
             "respawnd_service_ready_latency_seconds")  # fmt: skip
    fresh = Exposition(
        drill.recorder, drill.view, clock=lambda: drill.now, wall=lambda: drill.now + EPOCH, pause=lambda _: None
    )
    before = drill.page(OPENMETRICS, *names)
    assert before == drill.page(OPENMETRICS, *names)
    drill.died(UnitKey("three", 1))
    drill.pass_time(0.3)
    drill.launched(UnitKey("three", 1), after=0.1)
    after = drill.page(OPENMETRICS, *names)
    assert before != after
    assert fresh.render(OPENMETRICS, names).decode() == after
    del drill.fleet.units[UnitKey("three", 2)]
    assert 'replica="2"' in after
    assert 'replica="2"' not in drill.page(OPENMETRICS, *names)


@pytest.mark.slow
@pytest.mark.needs("promtool")
def test_promtool_has_no_complaint_of_a_page_with_everything() -> None:
    """Each family that this version fills for a replica or a service has samples on it."""
    page = busy_drill().page()
    assert set() == {sample for name in HOT for sample in BY_NAME[name].samples} - {name for name, _ in values(page)}
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (0, "", "") == (checked.returncode, checked.stdout, checked.stderr)
