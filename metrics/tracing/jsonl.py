"""Spans into a file: one line of JSON a batch, as the OTLP file exporter's specification has it (a TracesData each).

OTLP/JSON: camel case, identifiers in hexadecimal, 64-bit numbers as strings. A collector's otlpjsonfile receiver reads
it. Rules: the file is opened to append, 0640, and again where it was moved away (logrotate); a line is written whole or
taken back, where the file allows.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode, format_span_id, format_trace_id

from metrics.tracing.sdk import Maker, Through
from metrics.tracing.sinks import Identity

Json = dict[str, Any]
_MODE = 0o640
# Without O_NONBLOCK, a named pipe that nobody reads would hold the thread for ever; a plain file does not care.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_KINDS = {SpanKind.INTERNAL: 1, SpanKind.SERVER: 2, SpanKind.CLIENT: 3, SpanKind.PRODUCER: 4, SpanKind.CONSUMER: 5}
_ENDLESS = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200  # opentelemetry/proto/trace/v1/trace.proto, SpanFlags


def opened(path: str, identity: Identity) -> Through:
    """An exporter to the file at `path`, which is opened with the first spans."""
    lines = JsonLines(path)
    return Through(path, Maker(identity), lines, lambda: lines.problem, close=lines.shutdown)


class JsonLines(SpanExporter):
    """Appends one line for each export; `problem` says why the last one failed."""

    def __init__(self, path: str) -> None:
        self.problem = ""
        self._path = path
        self._fd: int | None = None

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Write one line."""
        line = json.dumps(encoded(spans), separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            self._append(self._file(), line)
        except OSError as error:
            self.problem = (error.strerror or str(error)).lower()
            self.shutdown()
            return SpanExportResult.FAILURE
        return SpanExportResult.SUCCESS

    def _file(self) -> int:
        """The file that bears the path now."""
        if self._fd is not None:
            ours = os.fstat(self._fd)
            try:
                there = os.stat(self._path)
            except FileNotFoundError:
                there = None
            if there is not None and (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
                return self._fd
            self.shutdown()
        self._fd = os.open(self._path, _FLAGS, _MODE)
        return self._fd

    def _append(self, fd: int, line: bytes) -> None:
        """Write all of the line; what a full disk cut short is taken back."""
        facts = os.fstat(fd)
        rest = memoryview(line)
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            if stat.S_ISREG(facts.st_mode) and len(rest) < len(line):
                with contextlib.suppress(OSError):
                    os.ftruncate(fd, facts.st_size)
            raise

    def shutdown(self) -> None:
        """Close the file; it is opened again if more comes."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def encoded(spans: Sequence[ReadableSpan]) -> Json:
    """The TracesData of spans that share their resource and scope, as ours do."""
    first = spans[0]
    scope = first.instrumentation_scope
    named = {"name": scope.name, "version": scope.version} if scope is not None else {}
    inside = {"scope": named, "spans": [_span(span) for span in spans]}
    return {"resourceSpans": [{"resource": {"attributes": _pairs(first.resource.attributes)}, "scopeSpans": [inside]}]}


def _span(span: ReadableSpan) -> Json:
    context = span.get_span_context()
    assert context is not None
    found: Json = {
        "traceId": format_trace_id(context.trace_id),
        "spanId": format_span_id(context.span_id),
        "flags": _flags(span.parent),
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.start_time),
        "endTimeUnixNano": str(span.end_time),
        "attributes": _pairs(span.attributes or {}),
    }
    if span.parent is not None:
        found["parentSpanId"] = format_span_id(span.parent.span_id)
    if span.events:
        found["events"] = [_event(event) for event in span.events]
    if span.links:
        found["links"] = [_link(link) for link in span.links]
    for name, dropped in (
        ("droppedAttributesCount", span.dropped_attributes),
        ("droppedEventsCount", span.dropped_events),
        ("droppedLinksCount", span.dropped_links),
    ):
        if dropped:
            found[name] = dropped
    if span.status.status_code is not StatusCode.UNSET:
        found["status"] = {"code": span.status.status_code.value, "message": span.status.description or ""}
    return found


def _flags(context: SpanContext | None) -> int:
    return _HAS_IS_REMOTE | (_IS_REMOTE if context is not None and context.is_remote else 0)


def _event(event: Event) -> Json:
    return {"timeUnixNano": str(event.timestamp), "name": event.name, "attributes": _pairs(event.attributes or {})}


def _link(link: Link) -> Json:
    return {
        "traceId": format_trace_id(link.context.trace_id),
        "spanId": format_span_id(link.context.span_id),
        "flags": _flags(link.context),
        "attributes": _pairs(link.attributes or {}),
    }


def _pairs(attributes: Mapping[str, Any]) -> list[Json]:
    return [{"key": key, "value": _value(value)} for key, value in attributes.items()]


def _value(value: Any) -> Json:
    """An AnyValue. What JSON has no number for is written as protobuf's mapping has it."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value if math.isfinite(value) else _ENDLESS[str(value)]}
    if isinstance(value, bytes):
        return {"bytesValue": b64encode(value).decode()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return {"arrayValue": {"values": [_value(item) for item in value]}}
    return {"stringValue": str(value)}
