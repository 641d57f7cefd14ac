"""The record as plain data that JSON can carry, taken out by one daemon and put back by its successor.

Rules: what is on a closed list goes by its word and a histogram with its bounds, so that a version with other lists
takes what it knows and passes over the rest. All is read before anything is put back. Moments are monotonic: the data
outlive the process, not the machine's boot. Gauges are set anew by whoever knows them, but for those of a sample and of
a job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from metrics.catalog import B1, BY_NAME, PHASES, REASONS, RUNS, TRIGGERS, Family, Kind
from metrics.recorder.store import Exemplar, Exemplars, Job, Observed, Replica, Service, Usage
from supervisor.core.model import UnitKey
from supervisor.core.state import Exit, Reason

if TYPE_CHECKING:
    from metrics.recorder import Recorder
    from metrics.recorder.tally import Labels

FORMAT = 2


def taken_out(recorder: Recorder) -> dict[str, Any]:
    """Return all that `put_back` needs."""
    return {
        "format": FORMAT,
        "services": {name: _service(service) for name, service in recorder.services.items()},
        "replicas": [[*key, _replica(replica)] for key, replica in recorder.replicas.items()],
        "histograms": {name: [BY_NAME[name].buckets, *state] for name, state in recorder.histograms.items()},
        "exemplars": dict(recorder.exemplars),
        "events": dict(recorder.events),
        "counters": _counters(recorder),
    }


def put_back(recorder: Recorder, state: Mapping[str, Any]) -> None:
    """Fill a recorder that has not observed anything. ValueError for another format and for what is not whole."""
    if state.get("format") != FORMAT:
        raise ValueError(f"cannot take over metrics: format {state.get('format')}, not {FORMAT}")
    try:
        services = {name: _read_service(name, one) for name, one in state["services"].items()}
        replicas = dict(_read_replica(services, *one) for one in state["replicas"] if one[0] in services)
        histograms = {
            name: _read_histogram(one, BY_NAME[name].buckets, recorder.histograms[name])
            for name, one in state["histograms"].items()
            if name in recorder.histograms
        }
        exemplars = {
            name: found
            for name, one in state["exemplars"].items()
            if name in histograms and (found := _read_exemplars(one, BY_NAME[name].buckets))
        }
        events = {word: int(number) for word, number in state["events"].items() if word in recorder.events}
        counters = list(_read_counters(state["counters"]))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f"cannot take over metrics: not whole: {error!r}") from error
    recorder.services.update(services)
    recorder.replicas.update(replicas)
    recorder.histograms.update(histograms)
    recorder.exemplars.update(exemplars)
    recorder.events.update(events)
    for name, labels, value in counters:
        recorder.count(name, *labels, by=value)


# --- counters of the daemon -------------------------------------------------------------------------------------------


def _counters(recorder: Recorder) -> dict[str, list[tuple[Labels, float]]]:
    """Counters by name: what was counted, or what a probe that goes on from it reads now."""
    readings: dict[str, list[tuple[Labels, float]]] = {}
    for name, read in recorder.resumed.items():
        try:
            readings[name] = read()
        except Exception:  # noqa: BLE001 - what cannot be read now goes on from what was carried over before
            recorder.count("respawnd_metrics_collector_errors_total", name)
    return recorder.tally.export() | readings


def _read_counters(state: Mapping[str, Any]) -> Iterable[tuple[str, Labels, float]]:
    for name, values in state.items():
        family = BY_NAME.get(name)
        for labels, value in values if family is not None and family.kind is Kind.COUNTER else ():
            if _whole(family, labels, value):
                yield name, tuple(labels), value


def _whole(family: Family | None, labels: Sequence[object], value: float) -> bool:
    """Whether this version has a series for it."""
    return family is not None and len(labels) == len(family.labels) and isfinite(value) and value >= 0


# --- closed lists, histograms, exemplars ------------------------------------------------------------------------------


def _by_word(words: Iterable[str], numbers: Iterable[float]) -> dict[str, float]:
    return {word: number for word, number in zip(words, numbers, strict=True) if number}


def _counts(words: Iterable[str], state: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(state.get(word, 0)) for word in words)


def _read_histogram(state: Sequence[Any], bounds: tuple[float, ...], otherwise: Observed) -> Observed:
    """Read a histogram; one with other bounds cannot go on."""
    before, counts, total = state
    if tuple(before) != bounds or len(counts) != len(bounds) + 1:
        return otherwise
    return tuple(map(int, counts)), float(total)


def _read_exemplars(state: Sequence[Any] | None, bounds: tuple[float, ...]) -> Exemplars | None:
    if state is None or len(state) != len(bounds) + 1:
        return None
    return tuple(None if one is None else Exemplar(*one) for one in state)


# --- services ---------------------------------------------------------------------------------------------------------


def _service(service: Service) -> dict[str, Any]:
    return {
        "span": service.span,
        "shown": service.shown,
        "exits": _by_word(REASONS, service.exits),
        "spawns": service.spawns,
        "latency": [B1, *service.latency],
        "exemplars": service.exemplars,
        "phases": _by_word(PHASES, service.phases),
        "ready": service.ready,
        "escalations": service.escalations,
        "output": service.output,
        "dropped": service.dropped,
        "job": None if service.job is None else _job(service.job),
    }


def _read_service(name: str, state: Mapping[str, Any]) -> Service:
    service = Service(name, 0.0)
    running, up, wished, wants, last = state["span"]
    service.span = float(running), int(up), float(wished), int(wants), float(last)
    service.shown = None if state["shown"] is None else (float(state["shown"][0]), float(state["shown"][1]))
    service.exits = _counts(REASONS, state["exits"])
    service.spawns = int(state["spawns"][0]), int(state["spawns"][1])
    service.latency = _read_histogram(state["latency"], B1, service.latency)
    service.exemplars = _read_exemplars(state["exemplars"], B1)
    service.phases = tuple(float(state["phases"].get(word, 0.0)) for word in PHASES)
    service.ready = int(state["ready"][0]), float(state["ready"][1])
    service.escalations = int(state["escalations"])
    service.output = int(state["output"][0]), int(state["output"][1])
    service.dropped = int(state["dropped"])
    service.job = _read_job(state.get("job"))  # an earlier version of this format told nothing of jobs
    return service


def _job(job: Job) -> dict[str, Any]:
    return {**job._asdict(), "runs": _by_word(RUNS, job.runs)}


def _read_job(state: Mapping[str, Any] | None) -> Job | None:
    if state is None:
        return None
    took, code = state["took"], state["code"]
    return Job(
        float(state["started"]),
        float(state["completed"]),
        float(state["succeeded"]),
        None if took is None else float(took),
        None if code is None else int(code),
        _counts(RUNS, state["runs"]),
    )


# --- replicas ---------------------------------------------------------------------------------------------------------


def _replica(replica: Replica) -> dict[str, Any]:
    how, path = replica.exit, replica.path
    return {
        "up": replica.up,
        "desired": replica.desired,
        "restarts": _by_word(TRIGGERS, replica.restarts),
        "life": replica.life,
        "exit": None if how is None else [how.code, how.signal, how.reason.value, how.at, how.core],
        "paused": replica.paused,
        "path": None if path is None else _by_word(PHASES, path),
        "respawned": replica.respawned,
        "usage": replica.usage,
    }


def _read_replica(
    services: Mapping[str, Service], name: str, number: int, state: Mapping[str, Any]
) -> tuple[UnitKey, Replica]:
    key = UnitKey(name, number)
    replica = Replica(key, services[name])
    replica.service.members += 1
    replica.carried = True
    replica.up, replica.desired = bool(state["up"]), bool(state["desired"])
    replica.restarts = _counts(TRIGGERS, state["restarts"])
    replica.life = int(state["life"])
    replica.exit = _read_exit(state["exit"])
    replica.paused = float(state["paused"])
    path = state["path"]
    replica.path = None if path is None else [float(path.get(word, 0.0)) for word in PHASES]
    replica.respawned = bool(state["respawned"])
    replica.usage = _read_usage(state["usage"])
    return key, replica


def _read_exit(state: Sequence[Any] | None) -> Exit | None:
    if state is None:
        return None
    code, signal, reason, at, core = state
    return Exit(code, signal, Reason(reason), at, core)


def _read_usage(state: Sequence[Any] | None) -> Usage | None:
    if state is None:
        return None
    usage = Usage(*state)
    if usage.pressure is None:
        return usage
    cpu, memory, io = usage.pressure
    return usage._replace(pressure=(cpu, memory, io))
