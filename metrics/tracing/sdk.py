"""OpenTelemetry's SDK: finished spans of ours become its spans, by its resource, sampler and limits.

Only `metrics.tracing.sinks` imports this, in the export thread and when tracing is on: the SDK's import takes 130 ms
and 14 MB. All that OTEL_* variables say of resource, sampler and limits holds, because the SDK itself reads them.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Callable, Sequence

from opentelemetry.context import Context as Ambient
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from metrics.exposition.own import OwnProcess, instance_id
from metrics.tracing import words
from metrics.tracing.ids import Context
from metrics.tracing.pipeline import Failed
from metrics.tracing.sinks import Identity
from metrics.tracing.spans import Record, Value

log = logging.getLogger("respawnd.tracing")

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
#: Attributes, events and links of a span where nobody says otherwise (OpenTelemetry specification, SDK span limits).
_MOST = 128


def resource(identity: Identity) -> Resource:
    """The daemon as a resource: what the environment says of it goes before what we say, all else is detected."""
    said = OTELResourceDetector().detect().attributes
    own: dict[str, Value] = {
        "service.name": "respawnd",
        "service.version": identity.version,
        "service.instance.id": instance_id(identity.state_dir),
        "host.name": platform.node(),
        "process.pid": os.getpid(),
        "process.creation.time": words.instant(OwnProcess().started()),
        "process.executable.name": os.path.basename(sys.executable),
        "process.runtime.name": sys.implementation.name,
        "process.runtime.version": platform.python_version(),
    }
    return Resource.create({name: value for name, value in own.items() if name not in said})


class _Ids(IdGenerator):
    """Hands the SDK the identifiers of the span that is being made."""

    now = Context(0, 0)

    def generate_trace_id(self) -> int:
        return self.now.trace_id

    def generate_span_id(self) -> int:
        return self.now.span_id


class _Collector(SpanProcessor):
    """Keeps the spans that ended."""

    def __init__(self) -> None:
        self.ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.ended.append(span)


def _limits() -> SpanLimits:
    """The limits that the environment sets, or those of the specification where it sets one that is none."""
    try:
        return SpanLimits()
    except ValueError as error:
        log.warning("Passed over the limits of spans in the environment: %s", error)
    none = SpanLimits.UNSET
    return SpanLimits(_MOST, _MOST, _MOST, _MOST, _MOST, _MOST, none, none)


class Maker:
    """Makes the SDK's spans. For one thread."""

    def __init__(self, identity: Identity) -> None:
        self._ids, self._collector = _Ids(), _Collector()
        provider = TracerProvider(
            resource=resource(identity), id_generator=self._ids, span_limits=_limits(), shutdown_on_exit=False
        )
        provider.add_span_processor(self._collector)
        self._tracer = provider.get_tracer("respawnd", identity.version)

    def spans(self, records: Sequence[Record]) -> list[ReadableSpan]:
        """The spans of these records, but for those that the SDK's sampler leaves out."""
        for record in records:
            self._make(record)
        ended, self._collector.ended = self._collector.ended, []
        return ended

    def _make(self, record: Record) -> None:
        self._ids.now = record.context
        span = self._tracer.start_span(
            record.name,
            _below(record),
            SpanKind.CLIENT if record.client else SpanKind.INTERNAL,
            dict(record.attributes),
            [Link(_far(link.context), {"respawnd.link": link.why}) for link in record.links],
            record.start,
        )
        for event in record.events:
            span.add_event(event.name, dict(event.attributes), event.at)
        if record.error is not None:
            span.set_status(Status(StatusCode.ERROR, record.error))
        span.end(record.end)


def _below(record: Record) -> Ambient:
    """The context in which a span is made: its parent, or nothing at all, whatever is current in this thread."""
    if record.parent is None:
        return Ambient()
    parent = SpanContext(record.context.trace_id, record.parent, is_remote=False, trace_flags=_SAMPLED)
    return set_span_in_context(NonRecordingSpan(parent), Ambient())


def _far(context: Context) -> SpanContext:
    return SpanContext(context.trace_id, context.span_id, is_remote=True, trace_flags=_SAMPLED)


class Through:
    """Sends through an exporter of the SDK's kind (metrics.tracing.pipeline.Exporter).

    `why` says why its last export failed; `last` gives the one that has only so many seconds; `cut` and `close` are
    those of the pipeline's protocol.
    """

    def __init__(
        self,
        name: str,
        maker: Maker,
        exporter: SpanExporter,
        why: Callable[[], str],
        *,
        last: Callable[[float], SpanExporter] | None = None,
        cut: Callable[[bool], None] | None = None,
        close: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._maker, self._exporter, self._why = maker, exporter, why
        self._last, self._cut, self._close = last, cut, close
        self._was_cut = False

    def send(self, records: Sequence[Record]) -> int:
        """Export one batch; how many spans of it the sampler left out. Raises Failed."""
        self._was_cut = False
        spans = self._maker.spans(records)
        if spans and self._exporter.export(spans) is not SpanExportResult.SUCCESS:
            raise Failed(self._why())
        if self._was_cut:  # what was cut short may read like an answer
            raise Failed("no whole answer in time")
        return len(records) - len(spans)

    def hurry(self, seconds: float) -> None:
        """The next batches are the last ones."""
        if self._last is not None:
            self._exporter = self._last(seconds)

    def cut(self, *, last: bool) -> None:
        """End what `send` waits for."""
        self._was_cut = True
        if last:
            self._exporter.shutdown()
        if self._cut is not None:
            self._cut(last)

    def close(self) -> None:
        """Close all that is open."""
        if self._close is not None:
            self._close()
