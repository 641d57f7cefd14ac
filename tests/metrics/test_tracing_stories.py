"""What the trace of a service tells: one story each."""

from __future__ import annotations

import pytest

from metrics.tracing.episodes import observe
from metrics.tracing.ids import Context
from metrics.tracing.rising import LATENCY, OVERHEAD, SPAWN
from metrics.tracing.spans import MOST_EVENTS
from supervisor.core import events as ev
from supervisor.core.effects import Notice
from supervisor.core.fleet import Limits
from supervisor.core.model import Backoff, Condition, GiveUp, GiveUpThen, Restart, UnitKey
from supervisor.core.state import Consumed, LaunchError, State, Trigger
from tests.core.world import spec
from tests.metrics.traced import Traced, events, seconds, well_formed

WEB = UnitKey("web")
WHO = ev.Origin("uid 0 over the control socket", "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01")


def of(**fields: object) -> Traced:
    """Return a world with one service, web, that is up."""
    world = Traced.of(spec("web", **fields))
    world.launched("web")
    return world


def test_a_start_is_an_episode_with_its_launch() -> None:
    """A service that starts is one trace: service.start, with the launch in it; its life is no span."""
    world = Traced.of(spec("web"))
    world.now += 0.5
    world.lives[WEB, 1].flight, world.lives[WEB, 1].main = False, True
    world.step(ev.Launched(WEB, 1, 77, world.now, 5.0, 0.25, "posix_spawn"))
    start, spawn = world.last("service.start"), world.last("service.spawn")
    assert ["service.start"] == world.names
    assert [spawn] == world.children(start)
    assert (0.5, 0.25) == (seconds(start), seconds(spawn))
    assert (77, "true") == (spawn.attributes["process.pid"], spawn.attributes["process.executable.name"])
    assert "posix_spawn" == spawn.attributes["spawn.method"]
    assert 0.25 == start.attributes["respawnd.queue_seconds"]
    assert world.ledger.ids.life(WEB, 1) == start.context
    well_formed(world.told.records)


def test_a_respawn_explains_where_the_time_went() -> None:
    """The phases of a respawn are attributes and children, and those between death and exec add up to its latency."""
    world = of(backoff=Backoff(initial=1.0, jitter=0.0))
    world.dies("web")
    world.launched("web")
    world.now += 1.0
    died = world.now
    life = world.unit("web").life
    world.now += 0.01
    used = Consumed(1.5, 0.5, 10, 20, 4096)
    world.lives[WEB, life].main = False
    world.step(ev.Exited(WEB, life, 1, None, died, 99.0, woke=died - 0.002, consumed=used))
    world.to_deadline()
    world.now += 0.3
    world.lives[WEB, life + 1].flight, world.lives[WEB, life + 1].main = False, True
    world.step(ev.Launched(WEB, life + 1, 78, world.now, 100.0, 0.1))
    respawn = world.last("service.respawn")
    said = respawn.attributes
    assert ["service.backoff", "service.spawn"] == [child.name for child in world.children(respawn)]
    assert ("crash", "error", 1, 2) == tuple(
        said[name] for name in ("restart.trigger", "exit.reason", "process.exit.code", "restart.count")
    )
    assert (0.002, 1.0, 0.2, 0.1) == tuple(
        round(float(str(said[f"respawnd.{phase}_seconds"])), 6) for phase in ("notice", "backoff", "queue", "spawn")
    )
    parts = [float(str(said[f"respawnd.{phase}_seconds"])) for phase in ("decide", "backoff", "queue", "spawn")]
    assert abs(sum(parts) - float(str(said["respawnd.latency_seconds"]))) < 1e-6
    assert "1970-01-01T00:01:39.000000Z" == said["process.exit.time"]
    assert None is respawn.error
    exited = respawn.events[0]
    assert ("process.exited", "exit", 1.5) == (
        exited.name, exited.attributes["error.type"], exited.attributes["process.cpu.user_seconds"]
    )  # fmt: skip
    assert 1.0 == seconds(world.last("service.backoff"))


def test_episodes_of_a_replica_are_a_chain() -> None:
    """Each respawn links to the episode that brought up the life before."""
    world = of()
    world.dies("web")
    world.launched("web")
    first, second = (record for record in world.told.records if record.parent is None)
    assert [(first.context, "previous")] == [(link.context, link.why) for link in second.links]


def test_exemplars_lead_to_the_respawn() -> None:
    """Latency, overhead and spawn duration of a respawn bear the trace of that respawn."""
    world = of(backoff=Backoff(initial=1.0, jitter=0.0))
    world.dies("web")
    world.launched("web")
    world.dies("web")
    world.to_deadline()
    world.launched("web")
    respawn = world.last("service.respawn")
    told = [(family, service, value) for family, service, value, context, _ in world.told.exemplars
            if context == respawn.context]  # fmt: skip
    assert [(SPAWN, None, 0.0), (LATENCY, "web", 1.0), (OVERHEAD, None, 0.0)] == told


def test_who_asked_and_in_which_trace() -> None:
    """A restart links to the trace of the command that asked for it, and names who gave it."""
    world = of()
    world.step(ev.RestartAsked((WEB,), Trigger.MANUAL, WHO))
    world.now += 1
    world.dies("web", signal=15)
    world.launched("web")
    respawn = world.last("service.respawn")
    commands = [link.context for link in respawn.links if link.why == "command"]
    assert [Context(int("ab" * 16, 16), int("cd" * 8, 16))] == commands
    assert WHO.who == respawn.attributes["respawnd.origin"]
    assert ("manual", "stopped", -15) == tuple(
        respawn.attributes[name] for name in ("restart.trigger", "exit.reason", "process.exit.code")
    )
    stop = world.last("service.stop")
    assert (respawn.context.span_id, 1.0, ["signal.sent"]) == (stop.parent, seconds(stop), events(stop))


def test_a_stop_that_has_to_kill() -> None:
    """A stop is a trace of its own, with its signals; what is left after the main process is its sweep."""
    world = of()
    world.step(ev.Stop((WEB,), WHO))
    world.to_deadline()
    world.dies("web", signal=9, left=True)
    world.now += 2
    world.gone("web")
    stop, sweep = world.last("service.stop"), world.last("service.sweep")
    assert (None, "manual", "SIGTERM") == (stop.parent, stop.attributes["stop.trigger"], stop.attributes["stop.signal"])
    assert ["signal.sent", "signal.escalated", "process.exited"] == events(stop)
    assert (stop.context.span_id, 2.0) == (sweep.parent, seconds(sweep))
    assert 12.0 == seconds(stop)


def test_stragglers_before_a_respawn() -> None:
    """Between a death and the next life, the sweep is a part of the respawn; a death that leads to rest is none."""
    world = of()
    world.dies("web", left=True)
    world.now += 1.5
    world.gone("web")
    world.launched("web")
    respawn = world.last("service.respawn")
    assert ["service.sweep", "service.spawn"] == [child.name for child in world.children(respawn)]
    assert 1.5 == respawn.attributes["respawnd.sweep_seconds"]
    done = of(restart=Restart.NEVER)
    done.dies("web", left=True)
    done.gone("web")
    assert ["service.start"] == done.names
    assert 0 == sum(len(track.episodes) for track in done.ledger.tracks.values())


def test_a_failed_launch_ends_its_episode() -> None:
    """A launch that fails is an error with its stage, and the next try is another episode, linked to it."""
    world = Traced.of(spec("web"))
    world.launch_failed("web")
    failed, spawn = world.last("service.start"), world.last("service.spawn")
    assert ("exec_not_found", "exec_not_found") == (failed.error, spawn.error)
    assert {"stage": "exec", "errno": "ENOENT"} == spawn.events[0].attributes
    world.to_deadline()
    world.lives[WEB, 2].flight = False
    world.step(ev.LaunchFailed(WEB, 2, LaunchError("fork", 11, "no more processes")))
    again = world.last("service.respawn")
    assert ("spawn_failed", failed.context) == (again.error, again.links[0].context)
    assert ["service.backoff", "service.spawn"] == [child.name for child in world.children(again)]


def test_giving_up_is_an_error() -> None:
    """A respawn that never comes, because the budget is spent, has an error; one that came has none."""
    world = of(give_up=GiveUp(failures=1, then=GiveUpThen.STAY))
    world.dies("web")
    world.launched("web")
    came = world.last("service.respawn")
    world.dies("web", signal=11)
    gave_up = world.last("service.respawn")
    assert (None, "signal") == (came.error, gave_up.error)
    assert ["process.exited", "budget.low"] == events(came)
    assert ["process.exited", "gave_up"] == events(gave_up)
    assert "SIGSEGV" == gave_up.attributes["exit.signal"]


def test_a_start_that_dies_within_its_grace() -> None:
    """A life that dies before it was ready is an error of the wait; the respawn is another episode."""
    world = Traced.of(spec("web", start_grace=5.0))
    world.launched("web")
    world.now += 1
    world.dies("web", code=3)
    start, wait = world.last("service.start"), world.last("service.ready_wait")
    assert ("exit", "exit", 1.0) == (start.error, wait.error, seconds(wait))
    world.launched("web")
    world.advance(5.0)
    respawn = world.last("service.respawn")
    assert (None, 5.0, "grace") == (
        respawn.error, respawn.attributes["respawnd.ready_seconds"],
        world.last("service.ready_wait").attributes["ready.method"],
    )  # fmt: skip


def test_waiting_is_a_part_of_the_start() -> None:
    """What a start waits for is a child, and said in it."""
    world = Traced.of(spec("db"), spec("web", depends_on={"db": Condition.STARTED}))
    world.now += 2
    world.launched("db")
    world.launched("web")
    start, wait = world.last("service.start"), world.last("service.wait")
    assert ("web", 2.0, ("db started",)) == (
        start.attributes["respawnd.service"], seconds(wait), wait.attributes["respawnd.waiting_for"]
    )  # fmt: skip
    assert ["dependency.satisfied"] == events(start)


def test_the_hosts_limits_are_waited_for_too() -> None:
    """A respawn that waits for the host's respawn rate says so, as queueing."""
    world = Traced.of(spec("web"), limits=Limits(rate=1.0, burst=1.0))
    world.launched("web")
    for _ in range(2):
        world.dies("web")
        if world.state("web") is not State.LAUNCHING:
            world.advance(3.0)
        world.launched("web")
    waits = [record for record in world.told.records if record.name == "service.wait"]
    assert [("rate",)] == [record.attributes["respawnd.waiting_for"] for record in waits]


def test_what_is_over_is_not_kept() -> None:
    """However often a service is respawned, no decision about an earlier life stays."""
    world = of(backoff=Backoff(initial=0.0), give_up=GiveUp(failures=None))
    for _ in range(50):
        world.dies("web")
        world.launched("web")
    assert 50 == world.names.count("service.respawn")
    assert 0 == len(world.ledger.sampling)


def test_notices_are_told_in_the_episode() -> None:
    """What an operator should read is an event of what is under way, a bounded number of times."""
    world = Traced.of(spec("web"))
    world.to_deadline()
    for _ in range(2 * MOST_EVENTS):
        observe(world.ledger, Notice(world.unit("web"), "error", "x" * 5000))
    world.launched("web")
    start = world.last("service.start")
    assert MOST_EVENTS == len(start.events)
    assert "10 s without an answer from exec" == start.events[0].attributes["text"]
    assert 200 == len(str(start.events[1].attributes["text"]))


def test_no_argument_environment_or_directory_is_told() -> None:
    """A span tells the name of a program, and nothing that could hold a secret."""
    fields = {"environment": {"TOKEN": "hush-env"}, "directory": "/srv/hush-cwd"}
    world = Traced.of(spec("web", **fields))
    world.fleet.units[WEB] = world.unit("web")._replace(spec=spec("web", **fields))
    world.lives[WEB, 1].flight = False
    world.step(ev.LaunchFailed(WEB, 1, LaunchError("chdir", 2, "chdir /srv/hush-cwd: no such directory")))
    assert "hush" not in repr(world.told.records)
    assert "chdir" == world.last("service.spawn").events[0].attributes["stage"]


@pytest.mark.slow
def test_ten_thousand_services_come_and_go() -> None:
    """Of what has left the configuration nothing is kept."""
    world = Traced.of()
    for number in range(10_000):
        key = UnitKey(f"s{number}")
        world.reconfigure(spec(key.service))
        world.launched(key)
        world.reconfigure()
        world.dies(key, signal=15)
        world.lives.clear()
        world.told.records.clear()
        world.told.exemplars.clear()
        world.launches.clear()
        world.ledger.begun.clear()
    assert (0, 0) == (len(world.ledger.tracks), len(world.ledger.sampling))
