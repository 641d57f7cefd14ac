"""The page once more, slowly and plainly, as prometheus-client's own objects: what the exposition is held against.

It shares the catalogue and the stores with the exposition and nothing else: labels are dictionaries, text is the
library's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from attrs import frozen
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar as Mark

from metrics.catalog import BY_NAME, FAMILIES, PHASES, REASONS, RESULTS, RUNS, STREAMS, TRIGGERS, Family, Kind
from metrics.recorder import Recorder
from metrics.recorder.store import Exemplars, Job, Observed, Replica, Service, Usage
from supervisor.core.model import UnitSpec
from supervisor.core.state import State, Unit, Want
from supervisor.core.view import FleetView
from tests.metrics.library import go_string, render_openmetrics, render_text

#: Suffix of the sample's name, labels, value, exemplar.
Plain = tuple[str, dict[str, str], float, Mark | None]


@frozen
class Moment:
    """What a page is made from."""

    view: FleetView
    recorder: Recorder
    now: float
    wall: float

    def units(self) -> Iterator[tuple[dict[str, str], Unit, Replica]]:
        """Units with their labels and records, in the order of their services."""
        for name in self.services():
            for key, unit in self.view.units.items():
                if key.service == name:
                    labels = {"service": shown(key.service), "replica": str(key.replica)}
                    yield labels, unit, self.recorder.replicas[key]

    def services(self) -> list[str]:
        """Names of services in the order of the configuration, then of appearance."""
        return list(dict.fromkeys([*self.view.specs, *(key.service for key in self.view.units)]))

    def totals(self) -> Iterator[tuple[dict[str, str], list[Unit], UnitSpec, Service]]:
        """Services with their labels, units, specifications and records."""
        for name in self.services():
            members = [unit for key, unit in self.view.units.items() if key.service == name]
            spec = members[0].spec if members else self.view.specs[name]
            yield {"service": shown(name)}, members, spec, self.recorder.services.get(name) or Service(name, self.now)


def shown(text: str) -> str:
    """What becomes of a text on the page: a lone surrogate cannot be sent."""
    return text.encode("utf-8", "replace").decode()


def _histogram(
    bounds: Iterable[float], state: Observed, exemplars: Exemplars | None, labels: Mapping[str, str]
) -> Iterator[Plain]:
    counts, total = state
    marks = exemplars or (None,) * len(counts)
    for bound, below, one in zip([*map(go_string, bounds), "+Inf"], accumulate(counts), marks, strict=True):
        ids = {} if one is None else {"trace_id": one.trace_id, "span_id": one.span_id}
        mark = None if one is None else Mark(ids, one.value, round(one.wall, 3))
        yield "_bucket", {**labels, "le": bound}, below, mark
    yield "_count", dict(labels), sum(counts), None
    yield "_sum", dict(labels), total, None


def _wish(unit: Unit) -> bool:
    return unit.want is Want.UP and unit.state is not State.EXITED


def _of_unit(name: str, unit: Unit, at: Moment) -> float | None:
    """One figure of a unit; None where it has no series."""
    how = unit.exit
    code = None if how is None else -how.signal if how.signal is not None else how.code
    sleeps = unit.state in {State.BACKOFF, State.FATAL, State.SCHEDULED} and unit.deadline is not None
    figures: dict[str, float | None] = {
        "up": unit.state is State.RUNNING,
        "state_code": unit.state.code,
        "start_time_seconds": None if unit.started_wall is None else round(unit.started_wall, 3),
        "uptime_seconds": round(at.now - unit.started_at, 3) if unit.up and unit.started_at is not None else 0,
        "last_exit_code": code,
        "last_exit_time_seconds": None if how is None else round(how.at, 3),
        "backoff_seconds": round(unit.delay, 3) if unit.state is State.BACKOFF else 0,
        "next_start_time_seconds": round((unit.deadline or 0) + (at.wall - at.now), 3) if sleeps else 0,
    }
    return figures[name]


def _left(unit: Unit, now: float) -> float:
    allowed = unit.spec.give_up.failures
    if allowed is None:
        return float("inf")
    return max(0, allowed - len([moment for moment in unit.failures if moment > now - unit.spec.give_up.within]))


def _of_service(name: str, members: list[Unit], spec: UnitSpec, service: Service, at: Moment) -> float:
    running, up, wished, wants, last = service.span
    passed = max(0.0, at.now - last)
    allowed = float("inf") if spec.give_up.failures is None else spec.give_up.failures
    figures: dict[str, Callable[[], float]] = {
        "desired_replicas": lambda: sum(map(_wish, members)),
        "running_seconds_total": lambda: round(running + up * passed, 3),
        "desired_seconds_total": lambda: round(wished + wants * passed, 3),
        "restart_budget": lambda: allowed,
        "restart_budget_remaining": lambda: min([_left(unit, at.now) for unit in members], default=allowed),
        "stop_escalations_total": lambda: service.escalations,
        "log_lines_dropped_total": lambda: service.dropped,
    }
    return figures[name]()


def _counts(family: Family, words: Iterable[str], numbers: Iterable[int], labels: Mapping[str, str]) -> Iterator[Plain]:
    for word, number in zip(words, numbers, strict=True):
        if number or word in family.initial:
            yield "", {**labels, family.labels[-1]: word}, number, None


def _service_samples(family: Family, at: Moment) -> Iterator[Plain]:
    short = family.name.removeprefix("respawnd_service_")
    words = {"exits_total": REASONS, "spawns_total": RESULTS, "log_bytes_total": STREAMS}
    fields = {"exits_total": "exits", "spawns_total": "spawns", "log_bytes_total": "output"}
    for labels, members, spec, service in at.totals():
        if short == "info":
            more = {"kind": spec.kind.value, "restart_policy": spec.restart.value}
            texts = {"criticality": shown(spec.criticality), "group": shown(",".join(spec.groups))}
            yield "", labels | more | texts, 1, None
        elif short in words:
            yield from _counts(family, words[short], getattr(service, fields[short]), labels)
        elif short == "respawn_latency_seconds":
            rounded = service.latency[0], round(service.latency[1], 6)
            yield from _histogram(family.buckets, rounded, service.exemplars, labels)
        elif short == "respawn_phase_seconds_total":
            for phase, seconds in zip(PHASES, service.phases, strict=True):
                yield "", {**labels, "phase": phase}, round(seconds, 6), None
        elif short == "ready_latency_seconds":
            yield "_count", labels, service.ready[0], None
            yield "_sum", labels, round(service.ready[1], 6), None
        else:
            yield "", labels, _of_service(short, members, spec, service, at), None


def _job_samples(family: Family, at: Moment) -> Iterator[Plain]:
    short = family.name.removeprefix("respawnd_job_")
    for labels, members, _, service in at.totals():
        if service.job is not None and short == "runs_total":
            yield from _counts(family, RUNS, service.job.runs, labels)
        elif service.job is not None:
            figure = _of_job(short, members, service.job)
            if figure is not None:
                yield "", labels, figure, None


def _of_job(short: str, members: list[Unit], job: Job) -> float | None:
    """One figure of a job; None where it has no series."""
    figures: dict[str, float | None] = {
        "last_start_time_seconds": round(job.started, 3),
        "last_completion_time_seconds": round(job.completed, 3),
        "last_success_time_seconds": round(job.succeeded, 3),
        "last_duration_seconds": None if job.took is None else round(job.took, 3),
        "last_exit_code": job.code,
        "running": len([unit for unit in members if unit.pid is not None]),
    }
    return figures[short]


#: Field of a usage, and the places it is rounded to, by family.
_USED: dict[str, tuple[str, int | None]] = {
    "memory_resident_bytes": ("resident", None),
    "memory_proportional_bytes": ("proportional", None),
    "memory_limit_bytes": ("memory_limit", None),
    "open_fds": ("open_fds", None),
    "max_fds": ("max_fds", None),
    "worst_fd_ratio": ("worst_fd_ratio", 4),
    "threads": ("threads", None),
    "processes": ("processes", None),
    "io_read_bytes_total": ("read", None),
    "io_write_bytes_total": ("written", None),
    "cpu_throttled_seconds_total": ("throttled", 3),
}


def _used(short: str, usage: Usage) -> Iterator[tuple[dict[str, str], float | None]]:
    """Labels and figures of a usage for one family of resources."""
    if short == "cpu_seconds_total":
        yield {"mode": "user"}, round(usage.user, 3)
        yield {"mode": "system"}, round(usage.system, 3)
    elif short == "pressure_seconds_total":
        for resource, seconds in zip(("cpu", "memory", "io"), usage.pressure or (), strict=usage.pressure is not None):
            yield {"resource": resource}, round(seconds, 3)
    else:
        field, places = _USED[short]
        figure = getattr(usage, field)
        yield {}, figure if figure is None or places is None else round(figure, places)


_OF_USAGE = {*_USED, "cpu_seconds_total", "pressure_seconds_total"}


def _unit_samples(family: Family, at: Moment) -> Iterator[Plain]:
    short = family.name.removeprefix("respawnd_service_")
    for labels, unit, replica in at.units():
        if short == "state":
            yield "", labels | {"state": unit.state.word}, 1, None
        elif short == "restarts_total":
            yield from _counts(family, TRIGGERS, replica.restarts, labels)
        elif short not in _OF_USAGE:
            figure = _of_unit(short, unit, at)
            if figure is not None:
                yield "", labels, figure, None
        elif replica.usage is not None:
            for more, number in _used(short, replica.usage):
                if number is not None:
                    yield "", labels | more, number, None


def _daemon_samples(family: Family, at: Moment) -> Iterator[Plain]:
    recorder = at.recorder
    if family.kind is Kind.HISTOGRAM:
        yield from _histogram(family.buckets, recorder.histograms[family.name], recorder.exemplars.get(family.name), {})
    elif family.name == "respawnd_events_total":
        for word, count in recorder.events.items():
            yield "", {"type": word}, count, None
    elif family.name == "respawnd_loop_last_tick_time_seconds":
        if recorder.ticked is not None:
            yield "", {}, round(recorder.ticked + at.wall - at.now, 3), None
    else:
        for words, value in recorder.tally.read(family.name):
            yield "", dict(zip(family.labels, map(shown, words), strict=True)), value, None


def _metric(family: Family, at: Moment) -> Metric:
    metric = Metric(family.base, family.help, family.kind.value, family.unit)
    samples: Iterable[Plain] = ()
    if family.since is not None and "replica" in family.labels:
        samples = _unit_samples(family, at)
    elif family.since is not None and family.name.startswith("respawnd_job_"):
        samples = _job_samples(family, at)
    elif family.since is not None and "service" in family.labels:
        samples = _service_samples(family, at)
    elif family.since is not None:
        samples = _daemon_samples(family, at)
    for suffix, labels, value, mark in samples:
        metric.add_sample(family.name + suffix, labels, value, exemplar=mark)
    return metric


class _Collector:
    def __init__(self, at: Moment, names: Iterable[str]) -> None:
        self._at = at
        self._families = [BY_NAME[name] for name in names] or list(FAMILIES)

    def collect(self) -> Iterable[Metric]:
        """Give every family."""
        return [_metric(family, self._at) for family in self._families]


def reference(at: Moment, *, as_openmetrics: bool, names: Iterable[str] = ()) -> bytes:
    """Render the page as prometheus-client's own renderer gives it."""
    registry = CollectorRegistry()
    registry.register(_Collector(at, names))
    return render_openmetrics(registry) if as_openmetrics else render_text(registry)
