"""What the trace tells of jobs, of causes other than a death, and of changes of mind: one story each."""

from __future__ import annotations

from supervisor.core import events as ev
from supervisor.core.model import Backoff, Condition, Kind, OnDependencyFailure, Restart, UnitKey
from supervisor.core.state import State
from tests.core.world import spec
from tests.metrics.traced import Traced, events, seconds, well_formed

WEB = UnitKey("web")
JOB = {"kind": Kind.ONESHOT, "restart": Restart.ON_FAILURE}


def of(**fields: object) -> Traced:
    """Return a world with one service, web, that is up."""
    world = Traced.of(spec("web", **fields))
    world.launched("web")
    return world


def test_a_job_is_a_span_while_it_runs() -> None:
    """A oneshot's run is one span from its launch to its end, with how it ended; a retry is another, linked to it."""
    world = Traced.of(spec("job", **JOB))
    world.launched("job")
    world.now += 3
    world.dies("job", code=2)
    failed = world.last("job.run")
    assert (True, "exit", 2, 3.0) == (
        failed.client, failed.error, failed.attributes["process.exit.code"], seconds(failed)
    )  # fmt: skip
    world.launched("job")
    world.dies("job", code=0)
    run = world.last("job.run")
    assert (None, 0, failed.context) == (run.error, run.attributes["process.exit.code"], run.links[0].context)
    assert ["job.run", "job.run"] == world.names


def test_a_job_that_is_stopped() -> None:
    """A run that an operator ends is no error, and ends with the stop."""
    world = Traced.of(spec("job", **JOB))
    world.launched("job")
    world.stop("job")
    world.now += 1
    world.dies("job", signal=15)
    assert ["service.stop", "job.run"] == world.names
    assert (None, "stopped") == (world.last("job.run").error, world.last("job.run").attributes["exit.reason"])


def test_a_job_whose_stragglers_are_swept_while_minds_change() -> None:
    """Its exit is told once, whatever is asked before the last straggler is gone."""
    world = Traced.of(spec("job", **JOB))
    world.launched("job")
    world.dies("job", code=2, left=True)
    world.stop("job")
    world.start("job")
    world.now += 1
    world.gone("job")
    run = world.last("job.run")
    assert (1, "exit") == (events(run).count("process.exited"), run.error)
    well_formed(world.told.records)


def test_a_stop_while_stragglers_are_swept() -> None:
    """What would have become a respawn is told as the stop that it became."""
    world = of()
    world.dies("web", left=True)
    world.stop("web")
    world.now += 1
    world.gone("web")
    assert ["service.start", "service.stop"] == world.names
    assert (1.0, "error") == (
        seconds(world.last("service.stop")), world.last("service.stop").attributes["exit.reason"]
    )  # fmt: skip


def test_health_and_dependencies_as_causes() -> None:
    """A respawn says whether a failed check or a lost dependency brought it about."""
    world = of()
    world.unhealthy("web")
    world.dies("web", signal=15)
    world.to_deadline() if world.state("web") is State.BACKOFF else None
    world.launched("web")
    respawn = world.last("service.respawn")
    assert ("health", "health") == (
        respawn.attributes["restart.trigger"], respawn.events[0].attributes["error.type"]
    )  # fmt: skip
    pair = Traced.of(
        spec("db"),
        spec("web", depends_on={"db": Condition.STARTED}, on_dependency_failure=OnDependencyFailure.RESTART),
    )
    pair.up("db", "web")
    pair.dies("db")
    pair.launched("db")
    pair.dies("web", signal=15)
    pair.launched("web")
    assert "dependency" == pair.last("service.respawn").attributes["restart.trigger"]


def test_changes_of_mind() -> None:
    """What is cut short by a command is cancelled, not failed: a delay, a restart, a stop while it is launched."""
    world = of(backoff=Backoff(initial=5.0, jitter=0.0))
    world.dies("web")
    world.launched("web")
    world.dies("web")
    world.start("web")
    cancelled = world.last("service.respawn")
    assert (["process.exited", "backoff.scheduled", "cancelled"], None) == (events(cancelled), cancelled.error)
    world.stop("web")
    world.start("web")
    stop = world.last("service.stop")
    assert ["cancelled"] == events(stop)
    world.launched("web")
    assert cancelled.context == world.last("service.start").links[0].context
    world.restart("web")
    world.stop("web")
    world.dies("web", signal=15)
    assert ["service.respawn", "service.stop"] == world.names[-2:]
    assert ["signal.sent"] == events(next(one for one in reversed(world.told.records) if one.parent is not None))


def test_up_again_while_it_goes_down() -> None:
    """A start while it stops: the stop ends with the exit, and the respawn began with the command."""
    world = of()
    world.stop("web")
    world.now += 1
    world.start("web")
    world.now += 1
    world.dies("web", signal=15)
    world.launched("web")
    stop, respawn = world.last("service.stop"), world.last("service.respawn")
    assert (1.0, "manual") == (seconds(respawn), respawn.attributes["restart.trigger"])
    assert respawn.context.span_id == stop.parent
    assert ["service.start", "service.stop", "service.respawn"] == world.names


def test_quarantine_is_our_own_fault() -> None:
    """What was under way when deciding failed ends with that error; a launch taken up again is told of once more."""
    world = Traced.of(spec("web"), strict=False)
    world.books.faults += 1
    world.step(type("Faulty", (ev.DependencyBack,), {})(WEB))
    assert "quarantined" == world.last("service.start").error
    world.start("web")
    world.launched("web")
    world.dies("web", signal=15)
    assert "service.start" == world.names[0]
    assert len(world.names) == len({record.context for record in world.told.records if record.parent is None})
    well_formed(world.told.records)
