"""Families with several lines for each replica or service: buckets, and counters by reason, trigger, result or stream.

Rules: what stands between the label texts of such a family (the end of one line, the head of the next) depends on the
values alone. It is made once for each combination of values that occurs, and joined by the label text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from metrics.catalog import BY_NAME, PHASES, REASONS, RESULTS, RUNS, STREAMS, TRIGGERS
from metrics.exposition.batch import Batch
from metrics.exposition.resources import CPU, PRESSURE, cpu, pressure
from metrics.exposition.text import (
    NO_TAIL,
    TAILS,
    bucket_bounds,
    exemplar,
    opening,
    rounded,
    tails_of_bytes,
    tails_of_seconds,
)
from metrics.recorder.store import NO_PHASES, Exemplars, Observed, Service
from supervisor.core.model import UnitSpec

#: Combinations of values kept for one family; a histogram's take 2 KiB each.
PATTERNS = 256


class Pattern(dict[tuple[float, ...], tuple[str, ...]]):
    """What stands between the label texts of one family's lines, by the values, as far as there is room."""

    def __init__(self, pieces: Callable[[tuple[Any, ...]], tuple[str, ...]]) -> None:
        super().__init__()
        self._pieces = pieces

    def __missing__(self, values: tuple[float, ...]) -> tuple[str, ...]:
        made = self._pieces(values)
        if len(self) < PATTERNS:
            self[values] = made
        return made


def make_room() -> None:
    """Forget the patterns of families that have no room left; once a page, or all would be made anew for each."""
    for pattern in (_RESTARTS, _EXITS, _RUNS, _BUCKETS):
        if len(pattern) >= PATTERNS:
            pattern.clear()


def _between(heads: Sequence[str], tails: Sequence[str]) -> tuple[str, ...]:
    """Join each tail with the next head: the label text goes between the pieces."""
    return (heads[0], *[tail + head for tail, head in zip(tails, heads[1:], strict=False)], tails[-1])


def _by_label(name: str, words: Sequence[str]) -> Pattern:
    """Pattern of a counter with one more label; words that are not initial appear with their first count."""
    family = BY_NAME[name]
    label = family.labels[-1]
    before = label < family.labels[0]
    always = [word in family.initial for word in words]
    heads = [opening(name, [(label, word)]) if before else f"{name}{{" for word in words]
    ends = ["" if before else f',{label}="{word}"' for word in words]

    def pieces(values: tuple[int, ...]) -> tuple[str, ...]:
        shown = [index for index, value in enumerate(values) if value or always[index]]
        return _between([heads[index] for index in shown], [ends[index] + TAILS[values[index]] for index in shown])

    return Pattern(pieces)


LATENCY = "respawnd_service_respawn_latency_seconds"
_HEADS = [
    *(opening(f"{LATENCY}_bucket", [("le", bound)]) for bound in bucket_bounds(BY_NAME[LATENCY])),
    f"{LATENCY}_count{{",
    f"{LATENCY}_sum{{",
]


def _latency_pieces(counts: tuple[int, ...]) -> tuple[str, ...]:
    """Buckets and count; the sum's own tail is written by the caller."""
    tails = [TAILS[below] for below in accumulate(counts)]
    return _between(_HEADS, [*tails, tails[-1], ""])


_BUCKETS = Pattern(_latency_pieces)


def latency(label: str, state: Observed, exemplars: Exemplars | None) -> str:
    """Lines of a histogram of respawn latency, with exemplars if there are any."""
    counts, total = state
    pieces: Sequence[str] = _BUCKETS[counts]
    if exemplars is not None:
        pieces = list(pieces)
        for index, one in enumerate(exemplars, 1):
            if one is not None:
                pieces[index] = pieces[index].replace("\n", f"{exemplar(one)}\n", 1)
    return f"{label.join(pieces)}}} {rounded(total, 6)}\n"


def _latency(batch: Batch) -> Iterator[str]:
    return (latency(service.label, service.latency, None) for service in batch.services)


def marked_latency(batch: Batch) -> Iterator[str]:
    """The same with exemplars, for OpenMetrics."""
    return (latency(service.label, service.latency, service.exemplars) for service in batch.services)


PHASE = "respawnd_service_respawn_phase_seconds_total"
_PHASE_HEADS = [opening(PHASE, [("phase", word)]) for word in PHASES]
_NO_PHASES = _between(_PHASE_HEADS, [NO_TAIL] * len(PHASES))


def _phases(batch: Batch) -> Iterator[str]:
    for service in batch.services:
        phases, label = service.phases, service.label
        if phases is NO_PHASES:
            yield label.join(_NO_PHASES)
        else:
            tails = tails_of_seconds(phases, 6)
            yield "".join([head + label + tail for head, tail in zip(_PHASE_HEADS, tails, strict=True)])


RESTARTS, EXITS = "respawnd_service_restarts_total", "respawnd_service_exits_total"
_RESTARTS, _EXITS = _by_label(RESTARTS, TRIGGERS), _by_label(EXITS, REASONS)


def _restarts(batch: Batch) -> list[str]:
    return [label.join(_RESTARTS[counts]) for label, counts in zip(batch.labels, batch.restarts, strict=True)]


def _exits(batch: Batch) -> list[str]:
    return [label.join(_EXITS[counts]) for label, counts in zip(batch.titles, batch.exits, strict=True)]


JOB_RUNS = "respawnd_job_runs_total"
_RUNS = _by_label(JOB_RUNS, RUNS)


def _runs(batch: Batch) -> list[str]:
    return [label.join(_RUNS[job.runs]) for label, job in zip(batch.job_titles, batch.jobs, strict=True)]


_SPAWNS = "respawnd_service_spawns_total"
_SPAWNED, _FAILED = (opening(_SPAWNS, [("result", word)]) for word in RESULTS)


def _spawns(batch: Batch) -> Iterator[str]:
    for service in batch.services:
        label, (ok, error) = service.label, service.spawns
        yield f"{_SPAWNED}{label}{TAILS[ok]}{_FAILED}{label}{TAILS[error]}"


_OUTPUT = "respawnd_service_log_bytes_total"
_OUT, _ERR = (f',stream="{word}"' for word in STREAMS)


def _output(batch: Batch) -> list[str]:
    out, err = (tails_of_bytes([service.output[stream] for service in batch.services]) for stream in (0, 1))
    return [
        f"{_OUTPUT}{{{label}{_OUT}{one}{_OUTPUT}{{{label}{_ERR}{other}"
        for label, one, other in zip(batch.titles, out, err, strict=True)
    ]


READY = "respawnd_service_ready_latency_seconds"
_NOT_READY = _between([f"{READY}_count{{", f"{READY}_sum{{"], [NO_TAIL, NO_TAIL])


def _ready(batch: Batch) -> Iterator[str]:
    for service in batch.services:
        times, total = service.ready
        label = service.label
        if times:
            yield f"{READY}_count{{{label}{TAILS[times]}{READY}_sum{{{label}}} {rounded(total, 6)}\n"
        else:
            yield label.join(_NOT_READY)


_INFO = "respawnd_service_info"
#: Openings that services share: as many as there are combinations of kind, policy, group and criticality.
_INFOS: dict[str, str] = {}


def _info(batch: Batch) -> list[str]:
    one = TAILS[1]
    return [
        f"{service.info if service.spec is spec else _described(service, spec)}{service.label}{one}"
        for service, spec in zip(batch.services, batch.specs, strict=True)
    ]


def _described(service: Service, spec: UnitSpec) -> str:
    """Make the opening of a service's metadata, kept with the service until the specification is another one."""
    group = ",".join(spec.groups)
    words = (("criticality", spec.criticality), ("group", group), ("kind", spec.kind.value))
    made = opening(_INFO, (*words, ("restart_policy", spec.restart.value)))
    service.spec, service.info = spec, _INFOS.setdefault(made, made)
    return service.info


#: Families of several lines.
OF_SEVERAL_LINES: Mapping[str, Callable[[Batch], Iterable[str]]] = {
    _INFO: _info,
    RESTARTS: _restarts,
    EXITS: _exits,
    JOB_RUNS: _runs,
    _SPAWNS: _spawns,
    LATENCY: _latency,
    PHASE: _phases,
    READY: _ready,
    CPU: cpu,
    PRESSURE: pressure,
    _OUTPUT: _output,
}
#: Lines that each service has of them, where that does not depend on its values.
LINES: Mapping[str, int] = {_INFO: 1, _SPAWNS: 2, LATENCY: len(_HEADS), PHASE: len(PHASES), READY: 2, _OUTPUT: 2}
