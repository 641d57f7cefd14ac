"""The parts of tracing: identifiers, sampling, the file, the queue of facts, and what is imported when."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from google.protobuf import json_format  # type: ignore[import-untyped]  # its stubs are a package of their own
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from opentelemetry.sdk.trace import sampling as sdk_sampling

from metrics import tracing
from metrics.tracing import Identity, Tracing, enabled
from metrics.tracing.ids import Context, Ids, parsed, traceparent
from metrics.tracing.jsonl import JsonLines
from metrics.tracing.otlp import target
from metrics.tracing.pipeline import Bounds, bounds
from metrics.tracing.sampling import BURST, BURST_OF_ALL, Sampling, head
from supervisor.core.model import Kind, UnitKey
from tests.core.world import World, spec
from tests.metrics.collector import attributes, resource, spans
from tests.metrics.traced import SEED, Listener, facts, settings

WEB = UnitKey("web")
TRACE_IDS = st.integers(1, 2**128 - 1)
WHO = Identity("1.2.3", "/tmp")


def test_two_that_never_meet_name_the_same_span() -> None:
    """Whoever holds the seed comes to the same identifiers; another seed, life or replica to others."""
    one, other = Ids(SEED), Ids(SEED)
    assert one.life(WEB, 7) == other.life(WEB, 7)
    assert one.spawn(WEB, 7).trace_id == one.life(WEB, 7).trace_id
    places = [one.life(WEB, 7), one.life(WEB, 8), one.life(UnitKey("web", 1), 7), Ids(b"x" * 16).life(WEB, 7)]
    places += [one.spawn(WEB, 7), one.fresh(), one.fresh(), one.named("boot")]
    assert len(places) == len({place.span_id for place in places})


@given(TRACE_IDS, st.integers(1, 2**64 - 1), st.booleans())
def test_a_traceparent_comes_back(trace_id: int, span_id: int, sampled: bool) -> None:
    """What is handed on is what is read."""
    context = Context(trace_id, span_id)
    assert context == parsed(traceparent(context, sampled))


@pytest.mark.parametrize(
    "header",
    ["", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "ff-" + "1" * 32 + "-" + "1" * 16 + "-01", "00-abc-def-01",
     "00-" + "1" * 32 + "-" + "0" * 16 + "-01", "00-" + "G" * 32 + "-" + "1" * 16 + "-01"],
)  # fmt: skip
def test_what_is_no_traceparent(header: str) -> None:
    """A header that names no context is passed over."""
    assert None is parsed(header)


@pytest.mark.parametrize("name", ["", "always_on", "always_off", "traceidratio", "parentbased_always_off",
                                  "parentbased_traceidratio", "no_such_sampler"])  # fmt: skip
@pytest.mark.parametrize("ratio", ["", "0", "0.25", "1", "7", "many"])
@hypothesis.settings(max_examples=10)
@given(trace_ids=st.lists(TRACE_IDS, min_size=1, max_size=20))
def test_the_head_decides_as_the_sdk(name: str, ratio: str, trace_ids: list[int]) -> None:
    """Asked before the SDK is there, the sampler answers as the SDK's own does."""
    environ = {"OTEL_TRACES_SAMPLER_ARG": ratio} | ({"OTEL_TRACES_SAMPLER": name} if name else {})
    before = dict(os.environ)
    os.environ.update(environ)
    try:
        theirs = sdk_sampling._get_from_env_or_default()
    finally:
        os.environ.clear()
        os.environ.update(before)
    ours = head(environ)
    sampled = sdk_sampling.Decision.RECORD_AND_SAMPLE
    answers = [theirs.should_sample(None, one, "").decision is sampled for one in trace_ids]
    assert answers == [ours(one) for one in trace_ids]


def test_a_storm_is_thinned_out() -> None:
    """Ten episodes of a service, then one in ten, until the bucket has filled again; another service has its own."""
    now = [0.0]
    ids = Ids(SEED)
    sampling = Sampling(ids, lambda _: True, lambda: now[0])
    shares = [sampling.life(WEB, number) for number in range(1, 111)]
    assert ([1.0] * BURST, 10, 90) == (shares[:BURST], shares.count(0.1), shares.count(0.0))
    assert 1.0 == sampling.life(UnitKey("db"), 1)
    now[0] = 60.0
    assert [1.0] * BURST == [sampling.life(WEB, number) for number in range(200, 200 + BURST)]


def test_a_storm_of_all_is_thinned_out() -> None:
    """A thousand services that die again and again share a thousand episodes, and ten more a second."""
    now = [0.0]
    ids = Ids(SEED)
    sampling = Sampling(ids, lambda _: True, lambda: now[0])
    keys = [UnitKey(f"s{number}") for number in range(BURST_OF_ALL)]
    assert {1.0} == {sampling.life(key, 1) for key in keys}
    shares = [sampling.life(key, 2) for key in keys]
    assert (BURST_OF_ALL // 10, BURST_OF_ALL * 9 // 10) == (shares.count(0.1), shares.count(0.0))
    now[0] = 1.0
    assert 10 == [sampling.life(key, 3) for key in keys].count(1.0)


def test_a_decision_stands() -> None:
    """Whoever asks first about a life decides for all; of what is over nothing is kept."""
    sampling = Sampling(Ids(SEED), lambda _: True, lambda: 0.0)
    first = [sampling.life(WEB, 1) for _ in range(100)]
    assert {1.0} == set(first)
    sampling.life(WEB, 2)
    sampling.done(WEB, 1)
    sampling.forget(WEB)
    assert 0 == len(sampling)


def test_many_threads_come_to_one_decision() -> None:
    """Two sides that ask at the same moment get the same answer."""
    sampling = Sampling(Ids(SEED), lambda _: True, lambda: 0.0)
    answers: list[list[float]] = []
    threads = [
        threading.Thread(target=lambda: answers.append([sampling.life(WEB, n) for n in range(500)])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[0]] * 4 == answers


@pytest.mark.parametrize(
    ("child_context", "kind", "given"),
    [("jobs", Kind.ONESHOT, "life"), ("jobs", Kind.SERVICE, ""), ("all", Kind.SERVICE, "spawn"),
     ("all", Kind.ONESHOT, "life"), ("off", Kind.ONESHOT, "")],
)  # fmt: skip
def test_who_gets_a_traceparent(child_context: str, kind: Kind, given: str) -> None:
    """Jobs get the context of their run; services, where all get one, that of their launch."""
    told = Tracing(settings(child_context=child_context), WHO, Listener(), {}, seed=SEED)
    place = {"life": Ids(SEED).life(WEB, 3), "spawn": Ids(SEED).spawn(WEB, 3)}.get(given)
    assert (None if place is None else traceparent(place, True)) == told.traceparent(WEB, 3, kind)


def test_settings_of_the_batches() -> None:
    """OTEL_BSP_* are taken in milliseconds and spans; what is no number is passed over; a batch fits the queue."""
    assert Bounds() == bounds({})
    environ = {"OTEL_BSP_MAX_QUEUE_SIZE": "100", "OTEL_BSP_SCHEDULE_DELAY": "250", "OTEL_BSP_EXPORT_TIMEOUT": "soon"}
    assert Bounds(100, 100, 0.25, 30.0) == bounds(environ)


@pytest.mark.parametrize("text", ["-1", "0", "1e3", str(2**31), "9" * 400, "9" * 5000])
def test_batches_beyond_all_measure(text: str) -> None:
    """What no thread could wait for, or no clock could count, is passed over like what is no number."""
    assert Bounds() == bounds(dict.fromkeys(("OTEL_BSP_SCHEDULE_DELAY", "OTEL_BSP_EXPORT_TIMEOUT"), text))


@pytest.mark.parametrize("base", ["http://c:4318", "http://c:4318/", "http://c:4318/v1/traces"])
def test_the_endpoint_is_a_base(base: str) -> None:
    """The path of traces is added where it is not there."""
    assert "http://c:4318/v1/traces" == target(base)


# --- the file -------------------------------------------------------------------------------------------------------


def traced_into(file: Path, told: Listener, environ: dict[str, str] | None = None) -> Tracing:
    """A Tracing that writes into a file."""
    return Tracing(settings("file", file=str(file)), WHO, told, environ or {"OTEL_BSP_SCHEDULE_DELAY": "10"}, seed=SEED)


def told_of(one: Tracing, *names: str) -> None:
    """Let it see a world in which these services start, and one that dies."""
    world = World.of(*map(spec, names))
    for fact in facts(world.turn):
        one.observe(fact)
    for name in names:
        world.launched(name)
        for fact in facts(world.turn):
            one.observe(fact)
    world.dies(names[0], signal=11)
    for fact in facts(world.turn):
        one.observe(fact)


def read(line: str) -> TracesData:
    """A line as protobuf's mapping reads it; in OTLP/JSON identifiers are hexadecimal, in that mapping base64."""

    def converted(value: Any) -> Any:
        if isinstance(value, list):
            return [converted(item) for item in value]
        if not isinstance(value, dict):
            return value
        return {
            key: _base64(item) if key in ("traceId", "spanId", "parentSpanId") else converted(item)
            for key, item in value.items()
        }

    found = TracesData()
    json_format.ParseDict(converted(json.loads(line)), found)
    return found


def _base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def test_the_file_holds_traces_data(tmp_path: Path) -> None:
    """Each line is one TracesData of OTLP/JSON; the file is readable to its group at most."""
    file, told = tmp_path / "spans.jsonl", Listener()
    one = traced_into(file, told)
    one.start()
    told_of(one, "web", "\u00e9\"'")
    assert one.stop(10.0)
    lines = file.read_text().splitlines()
    found = [span for line in lines for span in spans(read(line))]
    assert {"service.start", "service.spawn", "service.respawn"} == {span.name for span in found}
    assert told.counts["exported"] == len(found)
    assert "respawnd" == resource(read(lines[0]))["service.name"]
    respawn = next(span for span in found if span.name == "service.respawn")
    said = attributes(respawn.attributes)
    assert ("SIGSEGV", -11) == (said["exit.signal"], said["process.exit.code"])
    assert ["process.exited", "daemon.shutdown"] == [event.name for event in respawn.events]
    assert 0 == file.stat().st_mode & 0o137


def wait_for(told: Listener, result: str, number: int) -> bool:
    """Wait until so many spans had that result."""
    for _ in range(2000):
        if told.counts[result] >= number:
            return True
        threading.Event().wait(0.01)
    return False


def test_a_file_that_is_moved_away(tmp_path: Path) -> None:
    """After logrotate has moved it, the file is made again; what was written stays where it is."""
    file, told = tmp_path / "spans.jsonl", Listener()
    one = traced_into(file, told)
    one.start()
    one.render_slow(1, 2, 0.3)
    assert wait_for(told, "exported", 1)
    file.rename(tmp_path / "old")
    one.render_slow(1, 2, 0.3)
    assert wait_for(told, "exported", 2)
    assert one.stop(10.0)
    assert [1, 1] == [len((tmp_path / name).read_text().splitlines()) for name in ("old", "spans.jsonl")]


def test_a_file_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A write that fails is counted, logged once, and tried again."""
    folder, told = tmp_path / "not", Listener()
    one = traced_into(folder / "spans.jsonl", told)
    one.start()
    for number in (1, 2):
        one.render_slow(1, 2, 0.3)
        assert wait_for(told, "failed", number)
    folder.mkdir()
    one.render_slow(1, 2, 0.3)
    assert wait_for(told, "exported", 1)
    assert one.stop(10.0)
    outages = [text for record in caplog.records if (text := record.getMessage()).startswith("Cannot export")]
    assert [
        f"Cannot export spans to {folder}/spans.jsonl: no such file or directory; spans are lost until it answers"
    ] == outages


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """What a full disk cuts short is taken back: the lines before and after it can be read."""
    lines = JsonLines(str(tmp_path / "spans.jsonl"))
    fd = lines._file()
    lines._append(fd, b'{"first": 1}\n')
    script = (
        "import resource, sys; sys.path.insert(0, '.');"
        "from metrics.tracing.jsonl import JsonLines; import signal;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20));"
        "one = JsonLines(sys.argv[1])\n"
        "try: one._append(one._file(), b'x' * 100)\n"
        "except OSError as error: print(error.strerror)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "spans.jsonl")], capture_output=True, text=True, check=True
    )
    lines._append(fd, b'{"second": 2}\n')
    lines.shutdown()
    assert "File too large\n" == done.stdout
    assert ['{"first": 1}', '{"second": 2}'] == (tmp_path / "spans.jsonl").read_text().splitlines()


# --- the whole ------------------------------------------------------------------------------------------------------


def test_facts_that_do_not_fit(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Facts beyond the bound are counted, and what was under way is dropped rather than told wrong."""
    monkeypatch.setattr(tracing, "MOST_FACTS", 3)
    told = Listener()
    one = traced_into(tmp_path / "spans.jsonl", told)
    told_of(one, "a", "b", "c")
    assert (3, 4) == (one.queues()["facts"][0], one.queues()["facts"][2])
    one.start()
    assert one.stop(10.0)
    assert 6 == told.counts["dropped"]
    assert any("Lost 4 facts" in record.getMessage() for record in caplog.records)


def test_a_fault_of_ours_costs_what_was_open(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An error while making spans is logged, and tracing goes on."""
    told = Listener()
    one = traced_into(tmp_path / "spans.jsonl", told)
    one.observe(partial(int, "no number"))  # type: ignore[arg-type]  # as above
    told_of(one, "web")
    one.start()
    assert one.stop(10.0)
    assert 4 == told.counts["exported"]


def test_the_loop_pays_for_an_append(tmp_path: Path) -> None:
    """Observing wakes the thread once, not for each fact."""
    one = traced_into(tmp_path / "spans.jsonl", Listener())
    wakes: list[None] = []
    one._wake.set = lambda: wakes.append(None)  # type: ignore[method-assign]
    one._asleep = False
    told_of(one, "web")
    assert [] == wakes
    one._asleep = True
    told_of(one, "web")
    assert wakes


def test_what_switches_it_off() -> None:
    """The configuration says whether there is tracing; OTEL_SDK_DISABLED forbids it, and no variable starts it."""
    assert enabled(settings("otlp"), {})
    assert not enabled(settings("otlp"), {"OTEL_SDK_DISABLED": "True"})
    assert not enabled(settings("off"), {"OTEL_TRACES_EXPORTER": "otlp"})


def test_the_library_is_imported_only_by_the_thread(tmp_path: Path) -> None:
    """Neither the import of tracing, nor making one, nor its use by the loop imports OpenTelemetry."""
    script = (
        "import sys; from metrics.tracing import *; from types import SimpleNamespace;"
        "from supervisor.core.model import *;"
        "s = SimpleNamespace(exporter='otlp', endpoint='http://127.0.0.1:9', file='', child_context='all');"
        "t = Tracing(s, Identity('1', '/'), None, {}); t.traceparent(UnitKey('a'), 1, Kind.SERVICE);"
        "t.boot(0.0, 1, ''); print([m for m in sys.modules if m.partition('.')[0] in"
        " ('opentelemetry', 'requests', 'google', 'urllib3')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "[]\n" == done.stdout
