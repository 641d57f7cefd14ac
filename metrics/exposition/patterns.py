"""Families with several lines for each replica or service: buckets, and counters by reason, trigger, result or stream.

Rules: what stands between the label texts of such a family (the end of one line, the head of the next) depends on the
values alone. It is made once for each combination of values that occurs, and joined by the label text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate

from metrics.catalog import B1, BY_NAME, REASONS, RESULTS, STREAMS, TRIGGERS
from metrics.exposition.batch import Batch
from metrics.exposition.columns import Column
from metrics.exposition.text import NO_TAIL, TAILS, bucket_bounds, number, opening
from metrics.recorder.store import Service
from supervisor.core.model import UnitSpec

#: Combinations of values kept for one family; a histogram's take 2 KiB each.
PATTERNS = 256


class Pattern(dict[tuple[int, ...], tuple[str, ...]]):
    """What stands between the label texts of one family's lines, by the values; emptied when full."""

    def __init__(self, pieces: Callable[[tuple[int, ...]], tuple[str, ...]]) -> None:
        super().__init__()
        self._pieces = pieces

    def __missing__(self, values: tuple[int, ...]) -> tuple[str, ...]:
        if len(self) >= PATTERNS:
            self.clear()
        made = self[values] = self._pieces(values)
        return made


def _between(heads: Sequence[str], tails: Sequence[str]) -> tuple[str, ...]:
    """Join each tail with the next head: the label text goes between the pieces."""
    inner = [tail + head for tail, head in zip(tails, heads[1:], strict=False)]
    return (heads[0], *inner, tails[-1])


def _by_label(name: str, words: Sequence[str]) -> Pattern:
    """Pattern of a counter with one more label; words that are not initial appear with their first count."""
    family = BY_NAME[name]
    label = family.labels[-1]
    before = label < family.labels[0]

    def pieces(values: tuple[int, ...]) -> tuple[str, ...]:
        shown = [(word, value) for word, value in zip(words, values, strict=True) if value or word in family.initial]
        if before:
            return _between([opening(name, [(label, word)]) for word, _ in shown], [TAILS[value] for _, value in shown])
        return _between([f"{name}{{"] * len(shown), [f',{label}="{word}"{TAILS[value]}' for word, value in shown])

    return Pattern(pieces)


def _latency_pieces(counts: tuple[int, ...]) -> tuple[str, ...]:
    """Buckets and count; the sum's own tail is written by the caller."""
    name = _LATENCY
    heads = [opening(f"{name}_bucket", [("le", bound)]) for bound in bucket_bounds(BY_NAME[name])]
    tails = [TAILS[below] for below in accumulate(counts)]
    return _between([*heads, f"{name}_count{{", f"{name}_sum{{"], [*tails, TAILS[sum(counts)], ""])


_LATENCY = "respawnd_service_respawn_latency_seconds"
_READY = "respawnd_service_ready_latency_seconds"
_INFO = "respawnd_service_info"
_RESTARTS = _by_label("respawnd_service_restarts_total", TRIGGERS)
_EXITS = _by_label("respawnd_service_exits_total", REASONS)
_SPAWNS = "respawnd_service_spawns_total"
_SPAWNED, _FAILED = (opening(_SPAWNS, [("result", word)]) for word in RESULTS)
_OUTPUT = "respawnd_service_log_bytes_total"
_OUT, _ERR = (f',stream="{word}"' for word in STREAMS)
_BUCKETS = Pattern(_latency_pieces)
_NOT_READY = _between([f"{_READY}_count{{", f"{_READY}_sum{{"], [NO_TAIL, NO_TAIL])


def _restarts(batch: Batch) -> list[str]:
    return [replica.label.join(_RESTARTS[replica.restarts]) for replica in batch.replicas]


def _exits(batch: Batch) -> list[str]:
    return [service.label.join(_EXITS[service.exits]) for service in batch.services]


def _spawns(batch: Batch) -> Iterator[str]:
    for service in batch.services:
        label, (ok, error) = service.label, service.spawns
        yield f"{_SPAWNED}{label}{TAILS[ok]}{_FAILED}{label}{TAILS[error]}"


def _output(batch: Batch) -> Iterator[str]:
    for service in batch.services:
        label, (out, err) = service.label, service.output
        yield f"{_OUTPUT}{{{label}{_OUT}{TAILS[out]}{_OUTPUT}{{{label}{_ERR}{TAILS[err]}"


def _latency(batch: Batch) -> Iterator[str]:
    for service in batch.services:
        counts, total = service.latency
        yield f"{service.label.join(_BUCKETS[counts])}}} {number(total)}\n"


def _ready(batch: Batch) -> Iterator[str]:
    for service in batch.services:
        times, total = service.ready
        if times:
            label = service.label
            yield f"{_READY}_count{{{label}{TAILS[times]}{_READY}_sum{{{label}}} {number(total)}\n"
        else:
            yield service.label.join(_NOT_READY)


def _info(batch: Batch) -> list[str]:
    return [
        _info_line(service, members[0].spec) for service, members in zip(batch.services, batch.members, strict=True)
    ]


def _info_line(service: Service, spec: UnitSpec) -> str:
    """Metadata of a service; its opening is kept with the service until the specification is another one."""
    if service.spec is not spec:
        group = ",".join(spec.groups)
        words = (("criticality", spec.criticality), ("group", group), ("kind", spec.kind.value))
        made = opening(_INFO, (*words, ("restart_policy", spec.restart.value)))
        service.spec, service.info = spec, _INFOS.setdefault(made, made)
    return f"{service.info}{service.label}{TAILS[1]}"


#: Openings that services share: as many as there are combinations of kind, policy, group and criticality.
_INFOS: dict[str, str] = {}

#: Families of several lines, with the lines that each service has; 0 where that depends on its values.
OF_SEVERAL_LINES: Mapping[str, tuple[Column, int]] = {
    _INFO: (_info, 1),
    "respawnd_service_restarts_total": (_restarts, 0),
    "respawnd_service_exits_total": (_exits, 0),
    _SPAWNS: (_spawns, 2),
    _OUTPUT: (_output, 2),
    _LATENCY: (_latency, len(B1) + 3),
    _READY: (_ready, 2),
}
