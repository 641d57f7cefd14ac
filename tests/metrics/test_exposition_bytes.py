"""The page is byte for byte what prometheus-client's renderer would give, whatever the values and the names."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, zip_longest

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metrics.catalog import B1, B2, PHASES, REASONS, RUNS, TRIGGERS
from metrics.exposition import OPENMETRICS, TEXT, Exposition, Format
from metrics.exposition.text import number, rounded, tails_of_bytes, tails_of_seconds, tails_of_times, whole
from metrics.recorder import LAG, OVERHEAD, SPAWN, Recorder
from metrics.recorder.store import NO_PHASES, Exemplar, Exemplars, Job, Usage
from supervisor.core.model import GiveUp, Kind, Restart, UnitKey, UnitSpec
from supervisor.core.state import Exit, Reason, State, Unit, Want
from supervisor.core.view import FleetView
from tests.metrics.drill import EPOCH
from tests.metrics.library import go_string, parse_openmetrics, parse_text
from tests.metrics.reference import Moment, reference, shown

NOW = 5_000.125
#: Any text, also what cannot be sent (a lone surrogate), and as long as names may be.
HOSTILE = st.text(max_size=8) | st.sampled_from(['a"b', "a\\", "a\nb", "\\n", "ü🐘", "", "\udcff", '"\\\n' * 21 + '"'])
#: Names differ also when they are sent.
NAMES = HOSTILE.map(shown)
MOMENTS = st.floats(0, NOW)
WALLS = st.floats(0, 4e9)
COUNTS = st.integers(0, 30) | st.integers(0, 2**60)
FLOATS = st.floats(0, 1e12) | st.sampled_from([0.0, 1e6, 999999.9999, 1e-9, 123456789.0])
READY = st.just((0, 0.0)) | st.tuples(st.integers(1, 2**60), FLOATS)
EXITS = st.builds(
    Exit, st.none() | st.integers(0, 255), st.none() | st.integers(1, 64), st.sampled_from(Reason), at=WALLS
)
WHOLE = st.integers(0, 2000) | st.integers(0, 2**50) | st.sampled_from([999_999, 10**6, 10**7, 10**15])
USAGES = st.builds(
    Usage, at=MOMENTS, user=FLOATS, system=FLOATS, resident=WHOLE, threads=WHOLE, processes=WHOLE,
    open_fds=st.none() | WHOLE, max_fds=st.none() | WHOLE, worst_fd_ratio=st.none() | st.floats(0, 1),
    read=st.none() | WHOLE, written=st.none() | WHOLE, memory_limit=st.none() | WHOLE, proportional=st.none() | WHOLE,
    throttled=st.none() | FLOATS, pressure=st.none() | st.tuples(FLOATS, FLOATS, FLOATS),
)  # fmt: skip
JOBS = st.builds(
    Job, WALLS, WALLS, WALLS, st.none() | FLOATS, st.none() | st.integers(-64, 255),
    st.tuples(*[st.just(0) | COUNTS] * len(RUNS)),
)  # fmt: skip
FORMATS = pytest.mark.parametrize("chosen", [TEXT, OPENMETRICS], ids=["text", "openmetrics"])


@st.composite
def units(draw: st.DrawFn, service: str) -> list[Unit]:
    """Replicas of one service in any state, consistent or not: the page shows what it is given."""
    replicas = draw(st.integers(1, 3))
    spec = UnitSpec(
        service, ("true",), kind=draw(st.sampled_from(Kind)), restart=Restart.ON_FAILURE, replicas=replicas,
        criticality=draw(HOSTILE), groups=tuple(draw(st.lists(HOSTILE, max_size=2))),
        give_up=draw(st.builds(GiveUp, st.none() | st.integers(0, 20))),
    )  # fmt: skip
    return [
        Unit(
            key, spec, draw(st.sampled_from(Want)), draw(st.sampled_from(State)), life=1,
            pid=draw(st.none() | st.just(4000)), deadline=draw(st.none() | st.floats(NOW, 2 * NOW)),
            started_at=draw(st.none() | MOMENTS), started_wall=draw(st.none() | WALLS),
            exit=draw(st.none() | EXITS), delay=draw(st.floats(0, 100)),
            failures=tuple(sorted(draw(st.lists(MOMENTS, max_size=4)))),
        )
        for key in map(UnitKey, [service] * replicas, range(replicas))
    ]  # fmt: skip


def counts(length: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Counts of a fixed number of things, mostly none."""
    return st.tuples(*[st.just(0) | COUNTS] * length)


@st.composite
def exemplars(draw: st.DrawFn, bounds: Sequence[float]) -> Exemplars:
    """Draw an exemplar for each of some buckets, with a value that lies in it."""
    edges = [0.0, *bounds, 1e6]
    return tuple(
        Exemplar(
            draw(st.floats(low, high, exclude_min=True)),
            f"{draw(st.integers(0, 2**128 - 1)):032x}",
            f"{draw(st.integers(0, 2**64 - 1)):016x}",
            draw(WALLS),
        )
        if draw(st.booleans())
        else None
        for low, high in pairwise(edges)
    )


@st.composite
def moments(draw: st.DrawFn) -> Moment:
    """Draw a picture of a fleet and a recorder with any history."""
    names = draw(st.lists(NAMES, max_size=4, unique=True))
    fleet = {unit.key: unit for name in names for unit in draw(units(name))}
    idle = draw(st.lists(NAMES.filter(lambda name: name not in names), max_size=2, unique=True))
    specs = {name: UnitSpec(name, ("true",), replicas=0, criticality=draw(HOSTILE)) for name in idle}
    recorder = Recorder()
    recorder.sync(FleetView(fleet, at=NOW / 2))
    for service in recorder.services.values():
        service.exits, service.spawns = draw(counts(len(REASONS))), draw(counts(2))  # type: ignore[assignment]  # of two
        service.output, service.dropped = draw(counts(2)), draw(COUNTS)  # type: ignore[assignment]  # of two
        service.latency = draw(counts(len(B1) + 1)), draw(FLOATS)
        service.ready, service.escalations = draw(READY), draw(COUNTS)
        service.span = draw(st.tuples(MOMENTS, st.integers(0, 3), MOMENTS, st.integers(0, 3), MOMENTS))
        service.phases = draw(st.just(NO_PHASES) | st.tuples(*[FLOATS] * len(PHASES)))
        service.exemplars = draw(st.none() | exemplars(B1))
        service.job = draw(st.none() | JOBS)
    for replica in recorder.replicas.values():
        replica.restarts = draw(counts(len(TRIGGERS)))
        replica.usage = draw(st.none() | USAGES)
    for family in (OVERHEAD, SPAWN):
        if (found := draw(st.none() | exemplars(B2))) is not None:
            recorder.exemplars[family] = found
    for late in draw(st.lists(FLOATS, max_size=3)):
        recorder.turned(draw(MOMENTS), late)
    recorder.put("respawnd_queue_depth", draw(st.floats(allow_nan=True)), draw(HOSTILE))
    recorder.count("respawnd_api_requests_total", draw(HOSTILE), "GET", "200", by=draw(FLOATS))
    return Moment(FleetView(fleet, specs=specs), recorder, NOW, NOW + EPOCH)


def both(at: Moment, chosen: Format, names: tuple[str, ...] = ()) -> tuple[bytes, bytes]:
    """Render by the library and by our own renderer, on stopped clocks; each tells the size of the page before."""
    exposition = ours(at)
    expected = reference(at, as_openmetrics=chosen.openmetrics, names=names)
    return expected, exposition.render(chosen, names)


def differing(expected: bytes, page: bytes) -> tuple[object, ...]:
    """Return the first lines that differ; nothing for equal pages. All of them would take minutes to show."""
    if expected == page:
        return ()
    lines = zip_longest(expected.split(b"\n"), page.split(b"\n"))
    return next(pair for pair in lines if pair[0] != pair[1])


def unpaused(seconds: float) -> None:
    """Take no pause."""


def ours(at: Moment) -> Exposition:
    """Set up our own renderer on stopped clocks."""
    return Exposition(at.recorder, lambda: at.view, clock=lambda: at.now, wall=lambda: at.wall, pause=unpaused)


def rendered(at: Moment, chosen: Format, names: tuple[str, ...] = ()) -> bytes:
    """Render by our own renderer."""
    return ours(at).render(chosen, names)


@pytest.mark.slow
@FORMATS
@settings(max_examples=80)
@given(at=moments())
def test_the_page_is_the_librarys_to_the_byte(at: Moment, chosen: Format) -> None:
    """Any fleet with any counts and any names renders as prometheus-client renders it."""
    assert () == differing(*both(at, chosen))


@pytest.mark.slow
@settings(max_examples=20)
@given(at=moments())
def test_the_librarys_parsers_take_every_page(at: Moment) -> None:
    """Both parsers of prometheus-client read the page, and find every service under its own name."""
    text = list(parse_text(rendered(at, TEXT).decode()))
    openmetrics = list(parse_openmetrics(rendered(at, OPENMETRICS).decode()))
    services = {key.service for key in at.view.units}
    for families in (text, openmetrics):
        up = next(family for family in families if family.name == "respawnd_service_up")
        assert services == {sample.labels["service"] for sample in up.samples}
    assert len(text) == len(openmetrics)


@pytest.mark.slow
@FORMATS
def test_more_services_than_a_batch_keep_their_order(chosen: Format) -> None:
    """Batches do not show: a family is one block, its services in the order of the configuration."""
    fleet = {}
    for index in range(300):
        spec = UnitSpec(f"s{index}", ("true",))
        fleet[UnitKey(spec.name)] = Unit(UnitKey(spec.name), spec, Want.UP, State.RUNNING, started_at=1.0, life=1)
    recorder = Recorder()
    view = FleetView(fleet, at=1.0)
    recorder.sync(view)
    at = Moment(view, recorder, NOW, NOW + EPOCH)
    assert () == differing(*both(at, chosen))


@pytest.mark.slow
def test_more_patterns_than_are_kept() -> None:
    """Every service may have counts of its own: the store of patterns is emptied and the page stays right."""
    fleet = {}
    for index in range(600):
        spec = UnitSpec(f"s{index}", ("true",))
        fleet[UnitKey(spec.name)] = Unit(UnitKey(spec.name), spec, life=1)
    recorder, view = Recorder(), FleetView(fleet)
    recorder.sync(view)
    for index, service in enumerate(recorder.services.values()):
        service.exits = (index, *service.exits[1:])
    assert () == differing(*both(Moment(view, recorder, NOW, NOW + EPOCH), TEXT))


@pytest.mark.parametrize(
    "name",
    [
        "respawnd_service_up",
        "respawnd_service_respawn_latency_seconds",
        "respawnd_build_info",
        "respawnd_loop_lag_seconds",
        "respawnd_job_runs_total",
    ],
)
@pytest.mark.slow
@settings(max_examples=20)
@given(at=moments())
def test_a_chosen_family_is_the_same_as_on_the_whole_page(at: Moment, name: str) -> None:
    """`name[]` gives a family whole and unchanged, also by the name of one of its samples."""
    assert () == differing(*both(at, OPENMETRICS, (name,)))


def test_a_family_is_chosen_by_any_of_its_names() -> None:
    """A sample's name and OpenMetrics' name of the family choose it as well."""
    at = Moment(FleetView(), Recorder(), NOW, NOW + EPOCH)
    whole = rendered(at, TEXT, (LAG,))
    assert whole == rendered(at, TEXT, (f"{LAG}_bucket", f"{LAG}_sum"))
    assert rendered(at, TEXT, ("respawnd_events_total",)) == rendered(at, TEXT, ("respawnd_events",))
    assert b"" == rendered(at, TEXT, ("nothing",))


@given(st.floats() | st.integers(-(2**70), 2**70))
@example(1e6)
@example(999999)
@example(1e15)
@example(-1e7)
@example(0.0001)
def test_numbers_are_spelled_as_the_library_spells_them(value: float) -> None:
    """Any float or whole number."""
    assert go_string(value) == number(value)


@given(st.floats(0, 1e12))
@example(0.0)
@example(0.00009999)
@example(0.000061)
@example(999999.9996)
@example(1e6)
@example(1234567.8912345)
@example(9999999.99996)
@example(1e9)
@example(9999999999.9999)
@example(1_700_000_000.0625)
def test_times_are_rounded(value: float) -> None:
    """A time reads as the library would spell it rounded: to the millisecond, or as finely as is asked."""
    assert go_string(round(value, 3)) == rounded(value)
    assert go_string(round(value, 6)) == rounded(value, 6)
    assert ["", f"}} {go_string(round(value, 3))}\n"] == tails_of_times([None, value])
    assert [f"}} {go_string(round(value, 3))}\n", ""] == tails_of_seconds([value, None])
    assert ["} 0.0\n"] == tails_of_seconds([-value], 6)


@given(st.integers(0, 2**70))
@example(999_999)
@example(10**6)
@example(10**15)
@example(12_340_000)
def test_whole_numbers_are_spelled_as_the_library_spells_them(value: int) -> None:
    """Any whole number that is not negative."""
    assert go_string(value) == whole(value)
    assert [f"}} {go_string(value)}\n", ""] == tails_of_bytes([value, None])


def test_a_lone_surrogate_costs_a_letter_and_not_the_page() -> None:
    """A label value with bytes that were no UTF-8 is shown with a question mark in their place."""
    spec = UnitSpec("web", ("true",), criticality="a\udcffb")
    view = FleetView({UnitKey("web"): Unit(UnitKey("web"), spec)})
    page = rendered(Moment(view, Recorder(), NOW, NOW + EPOCH), TEXT)
    assert b'criticality="a?b"' in page
