"""Finished spans as plain values, and the episode that they are built from.

Rules: moments come in as monotonic seconds and leave as Unix nanoseconds by one offset, taken when the episode began,
so that a step of the wall clock cannot turn a span around. A child lies within its parent, an event within its span,
whatever the facts said: the record is made to hold it when the episode ends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from metrics.tracing.ids import Context

Value = str | bool | int | float | tuple[str, ...]
Attributes = Mapping[str, Value]

#: Events that one span holds at most (the SDK's own limit is 128); a process that no signal ends would tell for ever.
MOST_EVENTS = 32


class Event(NamedTuple):
    """Something that happened within a span, at Unix nanoseconds."""

    name: str
    at: int
    attributes: Attributes


class Link(NamedTuple):
    """Another span that has to do with this one, and `why`: previous, command, boot or shutdown."""

    context: Context
    why: str


class Record(NamedTuple):
    """One finished span. `client` is its kind, INTERNAL otherwise; `error` its error.type where its status is Error."""

    name: str
    context: Context
    parent: int | None
    start: int
    end: int
    attributes: Attributes
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    error: str | None = None
    client: bool = False


class Span:
    """A span in the making; `end` is None while it is open. Moments are monotonic seconds."""

    __slots__ = ("attributes", "begun", "end", "error", "events", "name")

    def __init__(self, name: str, begun: float, attributes: Attributes) -> None:
        self.name, self.begun, self.attributes = name, begun, dict(attributes)
        self.end: float | None = None
        self.error: str | None = None
        self.events: list[tuple[str, float, Attributes]] = []

    def tell(self, name: str, at: float, **attributes: Value) -> None:
        """Note an event. Attribute names are written with underscores for dots."""
        if len(self.events) < MOST_EVENTS:
            dotted = {word.replace("_", "."): value for word, value in attributes.items()}
            self.events.append((name, at, dotted))


class Episode(Span):
    """A root span with its children, one of which at most is open.

    The `attributes` that it begins with tell whose it is, and its children bear them too. `life` is the number of the
    life that it brings up, once that is known; `job` tells a run of a oneshot; `phases` is where its time went;
    `tentative` means that it may yet come to nothing, and is then not told of.
    """

    __slots__ = ("children", "common", "job", "life", "links", "offset", "phases", "tentative")

    def __init__(self, name: str, begun: float, attributes: Attributes, offset: int) -> None:
        super().__init__(name, begun, attributes)
        self.common = attributes
        self.offset = offset
        self.links: list[Link] = []
        self.children: list[Span] = []
        self.life: int | None = None
        self.job = name == "job.run"
        self.tentative = False
        self.phases: dict[str, float] = {}

    @property
    def child(self) -> Span | None:
        """The open child."""
        last = self.children[-1] if self.children else None
        return last if last is not None and last.end is None else None

    def open(self, name: str, at: float, attributes: Attributes | None = None) -> Span:
        """Begin a child; the one before it ends."""
        self.close(at)
        span = Span(name, at, {**self.common, **(attributes or {})})
        self.children.append(span)
        return span

    def close(self, at: float, error: str | None = None) -> Span | None:
        """End the open child, if there is one."""
        span = self.child
        if span is not None:
            span.end, span.error = at, error
        return span

    def took(self, phase: str, seconds: float) -> None:
        """Add to the time that a phase of the respawn took."""
        self.phases[phase] = self.phases.get(phase, 0.0) + max(0.0, seconds)

    def finished(self, at: float, context: Context, span_id: Callable[[int, str, int], int]) -> list[Record]:
        """All records of the episode, which ends at `at`, the root first. `span_id` names a child of a trace."""
        self.close(at)
        ends = [child.end for child in self.children if child.end is not None]
        self.end = max(at, self.begun, *ends)
        first, last = self._nanoseconds(self.begun), self._nanoseconds(self.end)
        root = self._record(self, context, None, (first, last))
        numbers: dict[str, int] = {}
        records = [root._replace(links=tuple(self.links), client=self.job)]
        for child in self.children:
            number = numbers[child.name] = numbers.get(child.name, -1) + 1
            place = Context(context.trace_id, span_id(context.trace_id, child.name, number))
            records.append(self._record(child, place, context.span_id, (first, last)))
        return records

    def _record(self, span: Span, context: Context, parent: int | None, bounds: tuple[int, int]) -> Record:
        start = _within(self._nanoseconds(span.begun), *bounds)
        end = _within(self._nanoseconds(span.begun if span.end is None else span.end), start, bounds[1])
        events = tuple(
            Event(name, _within(self._nanoseconds(at), start, end), attributes) for name, at, attributes in span.events
        )
        return Record(span.name, context, parent, start, end, span.attributes, events, error=span.error)

    def _nanoseconds(self, moment: float) -> int:
        return self.offset + round(moment * 1e9)


def _within(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)
