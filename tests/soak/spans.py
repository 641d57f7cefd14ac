"""From an exemplar that Prometheus has stored to its trace, and whether that explains what the script did.

The file of traces is OTLP/JSON, a batch a line (docs/tracing.md).
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.soak.checks import LATENCY, PARTS
from tests.soak.ledger import Slow
from tests.soak.play import Play
from tests.soak.verdict import Verdict, around
from tests.system.scraper import Prometheus

#: Seconds of an episode that may lie between its parts: what is noticed and decided.
BETWEEN = 0.25


@frozen
class Span:
    """One span of the file; `start` and `end` are wall time."""

    name: str
    trace: str
    span: str
    parent: str
    start: float
    end: float
    attributes: dict[str, Any]

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.start


@frozen
class Exemplar:
    """One exemplar of a respawn latency, as Prometheus has it; `at` is wall time."""

    service: str
    value: float
    at: float
    trace: str
    span: str


def spans(file: Path) -> list[Span]:
    """All spans of a file of traces; a line that is still being written is left out."""
    whole = file.read_text("utf-8").rpartition("\n")[0] if file.exists() else ""
    found = []
    for line in whole.splitlines():
        for resource in json.loads(line)["resourceSpans"]:
            found += [_span(raw) for scope in resource["scopeSpans"] for raw in scope["spans"]]
    return found


def _span(raw: dict[str, Any]) -> Span:
    attributes = {one["key"]: _value(one["value"]) for one in raw.get("attributes", ())}
    start, end = (int(raw[name]) / 1e9 for name in ("startTimeUnixNano", "endTimeUnixNano"))
    return Span(raw["name"], raw["traceId"], raw["spanId"], raw.get("parentSpanId", ""), start, end, attributes)


def _value(value: dict[str, Any]) -> Any:
    ((kind, plain),) = value.items()
    return int(plain) if kind == "intValue" else plain


def exemplars(prometheus: Prometheus, since: float) -> list[Exemplar]:
    """All exemplars of respawn latencies that are stored."""
    found = prometheus.exemplars(f"{LATENCY}_bucket", since)
    return [_exemplar(labels["service"], one, **one["labels"]) for labels, one in found]


def _exemplar(service: str, one: dict[str, Any], trace_id: str, span_id: str) -> Exemplar:
    return Exemplar(service, float(one["value"]), float(one["timestamp"]), trace_id, span_id)


def check(play: Play, prometheus: Prometheus, verdict: Verdict, since: float) -> list[str]:
    """Follow every exemplar to its trace, and those of slow respawns into it; a line about each kind of these."""
    told = exemplars(prometheus, since)
    by_trace: dict[str, list[Span]] = {}
    for span in spans(play.cast.directory / "traces.jsonl"):
        by_trace.setdefault(span.trace, []).append(span)
    verdict.holds("exemplars are stored", bool(told))
    explained: dict[str, str] = {}
    for one in told:
        roots = [span for span in by_trace.get(one.trace, ()) if span.span == one.span]
        verdict.holds("an exemplar's trace is there", len(roots) == 1, one)
        slow = next((slow for slow in play.ledger.slow if _is(slow, one)), None)
        if slow is not None and roots:
            _explains(slow, one, roots[0], by_trace[one.trace], verdict)
            explained[slow.phase] = _words(slow, one, by_trace[one.trace])
    for phase in ("sweep", "backoff"):
        if any(slow.phase == phase for slow in play.ledger.slow):
            verdict.holds(f"a slow {phase} has its exemplar in Prometheus", phase in explained)
    jobs = _jobs(play, by_trace, verdict)
    return [f"{len(told)} exemplars and {jobs} runs of jobs lead to their traces", *explained.values()]


def _jobs(play: Play, by_trace: dict[str, list[Span]], verdict: Verdict) -> int:
    """A job is given the context of its run, and nobody else is given any; how many of them are recorded."""
    recorded = 0
    for (name, _), lives in play.stage.lives.items():
        for life in lives if name in ("job", "failing") else ():
            _, trace, span, flags = life.context.split("-")
            roots = [one for one in by_trace.get(trace, ()) if one.span == span]
            verdict.same("trace of a run, recorded or not", life.context, flags, f"{len(roots):02}")
            recorded += len(roots)
            for root in roots:
                what = (root.name, root.attributes.get("process.pid"), root.attributes.get("process.exit.code"))
                code = 4 if name == "failing" else 0
                verdict.holds("trace of a run tells of it", what == ("job.run", life.pid, code), what)
        others = () if name in ("job", "failing") else lives
        verdict.holds("no context for others", not any(life.context for life in others))
    return recorded


def _is(slow: Slow, one: Exemplar) -> bool:
    """Whether an exemplar is of this respawn: the value fits, and it came when the new life did."""
    if one.service != slow.life.key[0] or not slow.latency.least <= one.value <= slow.latency.most + 1e-6:
        return False
    wall = time.time() - time.monotonic()
    return slow.life.forked - 0.1 < one.at - wall < slow.life.known + 0.1


def _explains(slow: Slow, one: Exemplar, root: Span, trace: list[Span], verdict: Verdict) -> None:
    """The trace says who died, how and why that took so long."""
    truth: dict[str, str | int] = {
        "restart.trigger": slow.trigger,
        "exit.reason": slow.reason,
        "process.exit.code": slow.code,
        "respawnd.service": slow.life.key[0],
    }
    verdict.same("trace name", one.trace, "service.respawn", root.name)
    for name, value in truth.items():
        verdict.same(f"trace {name}", one.trace, value, root.attributes.get(name))
    verdict.within("trace latency", one.trace, around(one.value, 1e-6), root.attributes.get("respawnd.latency_seconds"))
    phases = [root.attributes.get(f"respawnd.{part}_seconds", 0.0) for part in PARTS]
    verdict.within("trace phases", one.trace, around(one.value, 1e-6), sum(phases))
    took = root.attributes.get(f"respawnd.{slow.phase}_seconds")
    verdict.within(f"trace {slow.phase}", one.trace, (slow.least, slow.latency.most), took, 1e-3)
    children = [span for span in trace if span.parent == root.span]
    parts = sum(child.seconds for child in children)
    verdict.within("trace children", one.trace, (root.seconds - BETWEEN, root.seconds + 1e-6), parts)
    longest = max(children, key=lambda child: child.seconds, default=root)
    verdict.same("trace longest child", one.trace, f"service.{slow.phase}", longest.name)
    verdict.within("trace longest child", one.trace, (slow.least, slow.latency.most), longest.seconds, 1e-3)
    pids = [child.attributes.get("process.pid") for child in children if child.name == "service.spawn"]
    verdict.holds("trace names the new process", slow.life.pid in pids, pids)


def _words(slow: Slow, one: Exemplar, trace: list[Span]) -> str:
    children = sorted((span for span in trace if span.parent), key=lambda span: span.start)
    parts = ", ".join(f"{span.name} {span.seconds:.3f} s" for span in children)
    return f"{slow.life.key[0]} took {one.value:.3f} s to respawn, as trace {one.trace} explains: {parts}"
