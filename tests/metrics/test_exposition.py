"""The page as scrapers meet it: formats, compression, failing readings, users' collectors, many at once, promtool."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
import threading

import pytest

from metrics.catalog import BY_NAME, FAMILIES
from metrics.exposition import OPENMETRICS, TEXT, identify
from metrics.exposition.flight import Flights
from tests.metrics.busy import HOSTILE, busy_drill
from tests.metrics.drill import Drill, values
from tests.metrics.library import parse_openmetrics, parse_text

OPEN = "application/openmetrics-text; version=1.0.0"


def test_headers_say_what_is_sent() -> None:
    """Content type and encoding follow the request, and caches are told so."""
    drill = busy_drill()
    plain = drill.exposition.page()
    packed = drill.exposition.page(OPEN, "gzip")
    assert (("content-type", TEXT.content_type), ("vary", "accept, accept-encoding")) == plain.headers
    assert ("content-type", OPENMETRICS.content_type) in packed.headers
    assert ("content-encoding", "gzip") in packed.headers


def test_a_packed_page_holds_the_same() -> None:
    """What gunzip gives is a whole OpenMetrics page with every family, and names[] holds for it too."""
    drill = busy_drill()
    whole = gzip.decompress(drill.exposition.page(OPEN, "gzip").body).decode()
    one = gzip.decompress(drill.exposition.page(OPEN, "gzip", ["respawnd_service_up"]).body)
    assert [family.base for family in FAMILIES] == [family.name for family in parse_openmetrics(whole)]
    assert drill.exposition.render(OPENMETRICS, ["respawnd_service_up"]) == one


def test_families_come_in_the_catalogues_order_with_one_header() -> None:
    """HELP and TYPE stand once, above their samples, also for families that nothing fills yet."""
    page = busy_drill().page()
    helped = [line.split()[2] for line in page.splitlines() if line.startswith("# HELP")]
    assert [family.name for family in FAMILIES] == helped
    later = [family.name for family in FAMILIES if family.since is None]
    assert [] == [line for line in page.splitlines() if line.split("{")[0].split()[0] in later]


def test_hostile_names_come_back_as_they_were() -> None:
    """Quotes, backslashes, newlines and UTF-8 survive both formats."""
    drill = busy_drill()
    for families in (parse_text(drill.page()), parse_openmetrics(drill.page(OPENMETRICS))):
        up = next(family for family in families if family.name == "respawnd_service_up")
        assert set(HOSTILE) <= {sample.labels["service"] for sample in up.samples}


def test_the_daemon_tells_of_its_own_process() -> None:
    """The families of prometheus-client's collectors are there, with the figures of this process."""
    found = values(busy_drill().page())
    figures = {name: value for (name, labels), value in found.items() if not labels}
    assert figures["process_resident_memory_bytes"] > 10_000_000
    assert figures["process_virtual_memory_bytes"] > figures["process_resident_memory_bytes"]
    assert figures["process_open_fds"] > 3
    assert figures["process_max_fds"] >= figures["process_open_fds"]
    assert 0 < figures["process_cpu_seconds_total"] < 10_000
    assert figures["process_start_time_seconds"] > 1_700_000_000
    assert ("python_gc_collections_total", frozenset({("generation", "0")})) in found
    assert any(name == "python_info" and ("implementation", "CPython") in labels for name, labels in found)


def test_own_figures_agree_with_the_librarys() -> None:
    """Names, help and values are those that prometheus-client's collectors would give."""
    from prometheus_client import GC_COLLECTOR, PLATFORM_COLLECTOR, PROCESS_COLLECTOR  # noqa: PLC0415 - they register

    found = values(busy_drill().page())
    steady = ("process_start_time_seconds", "process_max_fds", "python_info")
    for collector in (PROCESS_COLLECTOR, PLATFORM_COLLECTOR, GC_COLLECTOR):
        for metric in collector.collect():
            ours = BY_NAME[metric.name + ("_total" if metric.type == "counter" else "")]
            assert (metric.documentation, metric.type) == (ours.help, ours.kind.value)
            for sample in metric.samples:
                key = sample.name, frozenset(sample.labels.items())
                assert sample.value == pytest.approx(found[key]) if sample.name in steady else key in found


def test_who_it_is() -> None:
    """The identity of the daemon is the same on every page, and differs by state directory."""
    drill, other = busy_drill(), Drill()
    identify(other.recorder, "0.1.0", "abc", "/elsewhere", {})
    names = ("target_info", "respawnd_build_info", "respawnd_feature")
    first, again = drill.page(TEXT, *names), drill.page(TEXT, *names)
    assert first == again
    assert first.splitlines()[2] != other.page(TEXT, *names).splitlines()[2]
    assert 'service_name="respawnd",service_version="0.1.0"} 1.0' in first
    assert 'respawnd_feature{name="psi"} 0.0' in first


def test_a_reading_that_fails_costs_its_own_family(caplog: pytest.LogCaptureFixture) -> None:
    """The rest of the page is whole, the failure is counted each time and logged once; too many labels are dropped."""
    drill = busy_drill()

    def broken() -> float:
        raise OSError("no such thing")

    drill.recorder.probe("respawnd_queue_depth", broken)
    drill.recorder.probe("respawnd_queue_capacity", lambda: [(("a", "b"), 1.0), (("mailbox",), 2.0)])
    with caplog.at_level(logging.WARNING):
        drill.page()
        page = drill.page()
    found = values(page)
    assert found["respawnd_metrics_collector_errors_total", frozenset({("collector", "respawnd_queue_depth")})] == 2
    assert [("respawnd_queue_capacity", frozenset({("queue", "mailbox")}))] == [
        key for key in found if key[0].startswith("respawnd_queue_c")
    ]
    assert ["Cannot read respawnd_queue_depth for /metrics"] == [record.getMessage() for record in caplog.records]


def test_a_probe_for_an_unknown_family_is_refused() -> None:
    """What is not in the catalogue is not exposed."""
    with pytest.raises(KeyError):
        Drill().recorder.probe("respawnd_unheard_of", lambda: 1.0)


def test_the_page_counts_its_own_series() -> None:
    """A page tells how many series the one before it had."""
    drill = busy_drill()
    before = drill.page()
    samples = sum(not line.startswith("#") for line in before.splitlines())
    assert values(drill.page())["respawnd_metrics_series", frozenset()] == samples


def test_the_library_is_not_imported_for_a_page() -> None:
    """A daemon without users' collectors never pays for prometheus-client, opentelemetry or gzip."""
    code = (
        "import sys\nfrom metrics.exposition import Exposition, install\nfrom metrics.recorder import Recorder\n"
        "from supervisor.core.view import FleetView\nrecorder = Recorder()\ninstall(recorder)\n"
        "Exposition(recorder, FleetView).page('', 'gzip')\n"
        "print([name for name in ('prometheus_client', 'opentelemetry', 'gzip', 'yaml') if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_page_is_in_pieces_and_steps_aside() -> None:
    """Between pieces the render pauses, longer while the loop is at work, but not for ever."""
    drill = busy_drill()
    paused: list[float] = []

    def clock() -> float:
        drill.now += 0.0001
        return drill.now

    def pause(seconds: float) -> None:
        paused.append(seconds)
        drill.now += seconds

    exposition = type(drill.exposition)(drill.recorder, drill.view, clock=clock, pause=pause)
    exposition.render()
    quiet = len(paused)
    drill.now += 15
    drill.recorder.turned(drill.now + 0.01, None)
    exposition.render()
    assert quiet > 3
    assert len(paused) - quiet > quiet + 50
    drill.recorder.ticked = float("inf")
    assert exposition.render().endswith(b"\n")


def test_who_scrapes_without_pause_waits_between_pages() -> None:
    """A page that follows at once on another waits seven times as long as that took; one 15 s later does not wait."""
    drill = busy_drill()
    rests: list[float] = []

    def clock() -> float:
        drill.now += 0.0001
        return drill.now

    def pause(seconds: float) -> None:
        rests.extend([seconds] if seconds > 0.001 else [])
        drill.now += seconds

    exposition = type(drill.exposition)(drill.recorder, drill.view, clock=clock, pause=pause)
    began = drill.now
    exposition.render()
    took = drill.now - began
    assert [] == rests
    exposition.render()
    assert pytest.approx(7 * took, rel=0.2) == rests[0]
    drill.now += 15
    exposition.render()
    assert 1 == len(rests)


def test_those_who_come_while_a_page_is_made_share_it() -> None:
    """Single flight: one render for all who ask meanwhile, another for who asks after."""
    flights, entered, gate, made = Flights(), threading.Event(), threading.Event(), []
    got: list[bytes] = []

    def make() -> bytes:
        made.append(1)
        entered.set()
        assert gate.wait(10)
        return b"page"

    threads = [threading.Thread(target=lambda: got.append(flights.join("key", make))) for _ in range(4)]
    threads[0].start()
    assert entered.wait(10)
    for thread in threads[1:]:
        thread.start()
    assert flights.join("other", lambda: b"else") == b"else"
    gate.set()
    for thread in threads:
        thread.join()
    assert [b"page"] * 4 == got
    assert len(made) <= 4
    assert flights.join("key", lambda: b"fresh") == b"fresh"


def test_all_who_wait_hear_of_a_failure() -> None:
    """A render that fails fails for its followers too, and the next one starts anew."""
    flights = Flights()

    def fail() -> bytes:
        raise RuntimeError("cannot render")

    with pytest.raises(RuntimeError, match="cannot render"):
        flights.join("key", fail)
    assert flights.join("key", lambda: b"fresh") == b"fresh"


@pytest.mark.slow
def test_readers_see_whole_histograms_while_the_loop_writes() -> None:
    """While one thread observes, every page's count is its last bucket, its sum fits, and no counter goes back."""
    drill = busy_drill()
    recorder, stop = drill.recorder, threading.Event()
    service = recorder.services["web"]

    def write() -> None:
        while not stop.is_set():
            recorder.observe_lag(1.0)
            service.account(service.span[-1] + 0.001, 0, 0)

    writer = threading.Thread(target=write)
    writer.start()
    seen = (0.0, 0.0)
    try:
        for _ in range(60):
            found = values(drill.page(TEXT, "respawnd_loop_lag_seconds", "respawnd_service_running_seconds_total"))
            lag = {key[0].rpartition("_")[2]: value for key, value in found.items() if not key[1]}
            last = found["respawnd_loop_lag_seconds_bucket", frozenset({("le", "+Inf")})]
            assert lag["count"] == last == lag["sum"]
            now = (last, found["respawnd_service_running_seconds_total", frozenset({("service", "web")})])
            assert now[0] >= seen[0]
            assert now[1] >= seen[1]
            seen = now
    finally:
        stop.set()
        writer.join()


@pytest.mark.slow
@pytest.mark.needs("promtool")
def test_promtool_has_no_complaint() -> None:
    """`promtool check metrics` reads the whole page, with respawns and hostile names, and finds nothing to say."""
    page = busy_drill().page()
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
