"""Spans on the wire: what a collector gets, and that one which behaves badly costs nothing but spans."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping

import pytest

from metrics.tracing import Identity, Tracing
from supervisor.core import events as ev
from supervisor.core.effects import Turn
from supervisor.core.model import Kind, UnitKey
from supervisor.core.view import FleetView
from tests.core.world import World, spec
from tests.metrics import traced
from tests.metrics.collector import (
    PATIENCE,
    attributes,
    collector,
    drip,
    flood,
    garbage,
    hang,
    resource,
    rude,
    spans,
)
from tests.metrics.traced import Listener, settings

WEB = UnitKey("web")
QUICK = {"OTEL_BSP_SCHEDULE_DELAY": "20"}


class Rig:
    """A Tracing that is fed by a world on the real clock."""

    def __init__(self, environ: Mapping[str, str], **fields: str) -> None:
        self.told = Listener()
        self.tracing = Tracing(settings(**fields), Identity("1.2.3", "/tmp"), self.told, environ, seed=traced.SEED)
        self.tracing.boot(time.monotonic(), 1, "beef")
        self.world = World.of(spec("web"), now=time.monotonic())
        self.tell(self.world.turn)

    def tell(self, turn: Turn) -> None:
        """Let it observe a turn."""
        for fact in traced.facts(turn):
            self.tracing.observe(fact)

    def come_and_go(self) -> None:
        """The service starts, and dies, and starts again: two episodes of two spans each."""
        for act in (self.world.launched, self.world.dies, self.world.launched):
            act(WEB)
            self.tell(self.world.turn)
        self.world.dies(WEB)
        self.tell(self.world.turn)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Rig]]:
    """Make a Tracing that has started; it is stopped at the end."""
    rigs: list[Rig] = []

    def make(environ: Mapping[str, str] = QUICK, **fields: str) -> Rig:
        for name, value in environ.items():  # the SDK reads the process's own
            monkeypatch.setenv(name, value)
        rigs.append(Rig(environ, **fields))
        rigs[-1].tracing.start()
        return rigs[-1]

    yield make
    for rig in rigs:
        assert rig.tracing.stop(5.0)


def counted(rig: Rig, result: str, number: int) -> bool:
    """Wait until so many spans had that result."""
    until = time.monotonic() + PATIENCE
    while rig.told.counts[result] < number and time.monotonic() < until:
        threading.Event().wait(0.01)
    return rig.told.counts[result] == number


def test_a_collector_gets_the_trace(made: Callable[..., Rig]) -> None:
    """A collector decodes resource, spans, parents, links, attributes, events and kinds as they were meant."""
    with collector() as there:
        rig = made(endpoint=there.url)
        rig.come_and_go()
        request, headers, path = there.take()
        assert "/v1/traces" == path
        assert "application/x-protobuf" == headers["content-type"]
        found = {span.name: span for span in spans(request)}
        said = resource(request)
        assert ("respawnd", "1.2.3") == (said["service.name"], said["service.version"])
        assert {"service.instance.id", "host.name", "process.pid", "process.creation.time"} <= said.keys()
        assert "respawnd" == request.resource_spans[0].scope_spans[0].scope.name
        respawn, start = found["service.respawn"], found["service.start"]
        assert respawn.trace_id == found["service.spawn"].trace_id
        assert respawn.span_id == found["service.spawn"].parent_span_id
        assert [start.trace_id] == [link.trace_id for link in respawn.links]
        assert "previous" == attributes(respawn.links[0].attributes)["respawnd.link"]
        assert "crash" == attributes(respawn.attributes)["restart.trigger"]
        assert ["process.exited"] == [event.name for event in respawn.events]
        assert (1, 0) == (respawn.kind, respawn.status.code)
        assert counted(rig, "exported", 4)
        life = rig.tracing._ids.life(WEB, 2)
        assert (life.trace_id, life.span_id) == (
            int.from_bytes(respawn.trace_id, "big"), int.from_bytes(respawn.span_id, "big")
        )  # fmt: skip
        assert {f"{life.trace_id:032x}"} <= {told[3] for told in rig.told.exemplified}


def test_the_environment_goes_before_the_file(made: Callable[..., Rig]) -> None:
    """Endpoint, headers, compression, resource: what OTEL_* say holds, whatever the configuration says."""
    with collector() as there:
        rig = made(
            QUICK
            | {
                "OTEL_EXPORTER_OTLP_ENDPOINT": there.url,
                "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
                "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip",
                "OTEL_SERVICE_NAME": "guard",
                "OTEL_RESOURCE_ATTRIBUTES": "service.namespace=night,service.instance.id=seven",
            },
            endpoint="http://127.0.0.1:9",
        )
        rig.come_and_go()
        request, headers, _ = there.take()
        assert ("blue", "gzip") == (headers["x-tenant"], headers["content-encoding"])
        said = resource(request)
        assert ("guard", "night", "seven") == tuple(
            said[f"service.{name}"] for name in ("name", "namespace", "instance.id")
        )


def test_limits_of_the_sdk_hold(made: Callable[..., Rig]) -> None:
    """OTEL_SPAN_* limits are the SDK's, and hold."""
    with collector() as there:
        made(QUICK | {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "3"}, endpoint=there.url).come_and_go()
        request, _, _ = there.take()
        assert {3} == {len(span.attributes) for span in spans(request)}
        assert all(span.dropped_attributes_count for span in spans(request) if span.name == "service.respawn")


def test_a_limit_that_is_none_costs_no_span(made: Callable[..., Rig]) -> None:
    """A limit that is no number is warned of, and those of the specification hold."""
    with collector() as there:
        made(QUICK | {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "-5"}, endpoint=there.url).come_and_go()
        request, _, _ = there.take()
        assert all(len(span.attributes) > 3 for span in spans(request) if span.name == "service.respawn")


def test_nothing_is_sampled_out_twice(made: Callable[..., Rig]) -> None:
    """Where the environment switches sampling off, spans are counted as sampled out, and nobody is asked."""
    with rude(hang) as there:
        rig = made(QUICK | {"OTEL_TRACES_SAMPLER": "always_off"}, endpoint=there.url)
        rig.come_and_go()
        assert "-00" == str(rig.tracing.traceparent(UnitKey("job"), 1, Kind.ONESHOT))[-3:]
        assert counted(rig, "sampled_out", 4)
        assert not there.asked.acquire(blocking=False)


def test_the_end_tells_of_what_is_open(made: Callable[..., Rig]) -> None:
    """At the end, what is under way is told of as far as it is known, boot and shutdown among it."""
    with collector() as there:
        rig = made({"OTEL_BSP_SCHEDULE_DELAY": "60000"}, endpoint=there.url)
        rig.come_and_go()
        rig.tracing.picture(FleetView(booted=True, at=time.monotonic()))
        who = ev.Origin("SIGTERM")
        rig.tracing.event(ev.Shutdown(origin=who))
        assert rig.tracing.stop(5.0)
        found: dict[str, list[str]] = {}
        while not there.requests.empty():
            for span in spans(there.take()[0]):
                found.setdefault(span.name, []).extend(event.name for event in span.events)
        assert {"respawnd.boot", "respawnd.shutdown"} <= found.keys()
        assert "daemon.shutdown" in found["service.respawn"]
        assert [] == found["respawnd.boot"]


@pytest.mark.slow
def test_503_and_then_better(made: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    """An outage is logged once and so is its end; spans of it are failed, those after it exported."""
    better = threading.Event()
    environ = QUICK | {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"}  # too short for a second try
    caplog.set_level(logging.INFO, "respawnd")
    with collector(lambda: 200 if better.is_set() else 503) as there:
        rig = made(environ, endpoint=there.url)
        rig.come_and_go()
        assert counted(rig, "failed", 4)
        rig.tracing.render_slow(1, 2, 0.3)
        assert counted(rig, "failed", 5)
        better.set()
        rig.tracing.render_slow(1, 2, 0.3)
        assert counted(rig, "exported", 1)
        assert ["metrics.render_slow"] == [span.name for span in spans(there.take()[0])]
        lines = [record.getMessage() for record in caplog.records]
        assert [f"Spans are exported to {there.url}/v1/traces again"] == [line for line in lines if "again" in line]
        (outage,) = [line for line in lines if line.startswith("Cannot export")]
        assert "Service Unavailable" in outage


@pytest.mark.slow
@pytest.mark.parametrize("behave", [hang, drip, garbage])
def test_a_bad_collector_does_not_delay_the_end(
    made: Callable[..., Rig], behave: Callable[[socket.socket, threading.Event], None]
) -> None:
    """A collector that hangs, drips or babbles keeps neither the daemon's end nor a thread of it."""
    with rude(behave) as there:
        rig = made(endpoint=there.url)
        rig.come_and_go()
        assert there.asked.acquire(timeout=PATIENCE)
        began = time.monotonic()
        assert rig.tracing.stop(2.0)
        assert time.monotonic() - began < 2.5
        assert 0 == rig.told.counts["exported"]


def test_one_last_try() -> None:
    """When the first of the last batches fails, the others are not tried: they would delay the daemon's end."""
    asked: list[None] = []

    def refuse() -> int:
        asked.append(None)
        return 503

    with collector(refuse) as there:
        rig = Rig({"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5"}, endpoint=there.url)
        rig.come_and_go()
        for _ in range(4):
            rig.tracing.reloaded(time.monotonic(), "a", "b", 1, 0)
        rig.tracing.start()
        assert rig.tracing.stop(5.0)
    assert 1 == len(asked)
    assert 4 + 4 + 1 + 2 == rig.told.counts["failed"] + rig.told.counts["dropped"]


@pytest.mark.slow
def test_what_drips_is_cut_off(made: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes drop by drop ends with OTEL_BSP_EXPORT_TIMEOUT, though each read of it is quick."""
    monkeypatch.setattr("metrics.tracing._LONGEST", 0.1)
    with rude(drip) as there:
        rig = made(QUICK | {"OTEL_BSP_EXPORT_TIMEOUT": "300", "OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"}, endpoint=there.url)
        rig.come_and_go()
        assert counted(rig, "failed", 4)


@pytest.mark.slow
def test_an_answer_is_not_read_to_its_end(made: Callable[..., Rig]) -> None:
    """What was accepted is exported, however much the answer has to say: it is hung up on, and not kept in memory."""
    with rude(flood) as there:
        rig = made(endpoint=there.url)
        rig.come_and_go()
        assert counted(rig, "exported", 4)
        assert rig.tracing.stop(5.0)
        assert 0 == rig.told.counts["failed"]


@pytest.mark.slow
def test_a_redirection_is_no_success(made: Callable[..., Rig], caplog: pytest.LogCaptureFixture) -> None:
    """Who answers with another address has not taken the spans: they are failed, and the log says why."""
    with collector(lambda: 302) as there:
        rig = made(endpoint=there.url)
        rig.come_and_go()
        assert counted(rig, "failed", 4)
        assert rig.tracing.stop(2.0)
    assert 0 == rig.told.counts["exported"]
    (outage,) = [line for line in caplog.messages if line.startswith("Cannot export")]
    assert "302 Found" in outage


@pytest.mark.slow
def test_nobody_listens(made: Callable[..., Rig], free_port: Callable[[], int]) -> None:
    """A collector that refuses costs its spans; they are counted, and the end is at once."""
    rig = made(QUICK | {"OTEL_EXPORTER_OTLP_TIMEOUT": "0.3"}, endpoint=f"http://127.0.0.1:{free_port()}")
    rig.come_and_go()
    assert counted(rig, "failed", 4)
    began = time.monotonic()
    assert rig.tracing.stop(2.0)
    assert time.monotonic() - began < 1.0


@pytest.mark.slow
def test_a_full_queue_is_counted(made: Callable[..., Rig]) -> None:
    """What does not fit is counted, span by span, whatever the collector does: nothing is lost in silence."""
    with rude(hang) as there:
        rig = made(QUICK | {"OTEL_BSP_MAX_QUEUE_SIZE": "10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "5"}, endpoint=there.url)
        rig.come_and_go()
        assert there.asked.acquire(timeout=PATIENCE)
        for _ in range(100):
            rig.tracing.render_slow(1, 2, 0.3)
        assert counted(rig, "dropped", 90)
        assert 10 == rig.tracing.queues()["spans"][0]
        assert rig.tracing.stop(2.0)
    assert 4 + 100 + 1 + 2 == sum(rig.told.counts.values())  # boot, and the respawn under way, are told of at the end
