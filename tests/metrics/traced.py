"""A fleet on a fake clock whose facts become spans: what the tests of tracing drive, and the laws that spans obey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from attrs import define, field

from metrics.tracing.episodes import observe
from metrics.tracing.ids import Context, Ids
from metrics.tracing.ledger import Change, Ledger, Sink, Track
from metrics.tracing.sampling import Sampling
from metrics.tracing.spans import Episode, Record
from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.effects import Turn
from supervisor.core.model import UnitSpec
from supervisor.core.ports import Fact
from supervisor.core.turnstile import Limits
from tests.core.world import START, UNLIMITED, World

SEED = b"0123456789abcdef"
#: Nanoseconds of wall time less monotonic time.
OFFSET = 1_700_000_000_000_000_000


class Everything(Sampling):
    """Samples all there is."""

    def _judge(self, service: str, trace_id: int) -> float:
        return 1.0


class Books(Ledger):
    """A ledger that remembers which episodes it has begun."""

    def __init__(self, told: Listener, sampling: type[Sampling]) -> None:
        ids = Ids(SEED)
        super().__init__(ids, sampling(ids, lambda _: True, lambda: 0.0), told.sink(), lambda: OFFSET)
        self.begun: list[Episode] = []

    def begin(self, track: Track, name: str, fact: Change, begun: float) -> Episode:
        """Begin and remember."""
        episode = super().begin(track, name, fact, begun)
        self.begun.append(episode)
        return episode

    def unfinished(self) -> list[str]:
        """Episodes that were begun and neither told of nor found to be nothing."""
        return [episode.name for episode in self.begun if episode.end is None and not episode.tentative]


class Listener:
    """A sink that keeps what it is told, and the recorder of a Tracing."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.sampled_out = 0
        self.exemplars: list[tuple[str, str | None, float, Context, float]] = []
        self.counts: Counter[str] = Counter()
        self.exemplified: list[tuple[Any, ...]] = []

    def sink(self) -> Sink:
        """Be told."""
        return Sink(self.records.extend, self._left_out, lambda *told: self.exemplars.append(told))

    def _left_out(self, spans: int) -> None:
        self.sampled_out += spans

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Count what became of spans."""
        assert "respawnd_trace_spans_total" == name
        self.counts[labels[0]] += int(by)

    def exemplify(self, *told: Any) -> None:
        """Keep an exemplar."""
        self.exemplified.append(told)


def settings(exporter: str = "otlp", endpoint: str = "", file: str = "", child_context: str = "jobs") -> Any:
    """The table [tracing]."""
    return SimpleNamespace(exporter=exporter, endpoint=endpoint, file=file, child_context=child_context)


def facts(turn: Turn) -> list[Fact]:
    """What observers are told of a turn, in the loop's order."""
    told: list[Fact] = list(turn.transitions)
    return told + [effect for effect in turn.effects if isinstance(effect, (fx.Forget, fx.Notice))]


@define
class Traced(World):
    """A world whose every turn is told to a ledger."""

    told: Listener = field(factory=Listener)
    ledger: Books = field(init=False)
    answers: int = 0

    def __attrs_post_init__(self) -> None:
        self.ledger = Books(self.told, Everything)

    def take(self, turn: Turn, event: ev.Event | None = None) -> Turn:
        """Carry out a turn, and tell of it."""
        self.answers += isinstance(event, (ev.Launched, ev.LaunchFailed)) and bool(turn.transitions)
        taken = super().take(turn, event)
        for fact in facts(turn):
            observe(self.ledger, fact)
        return taken

    @classmethod
    def of(  # as its own kind
        cls, *specs: UnitSpec, limits: Limits = UNLIMITED, strict: bool = True, boot: bool = True, now: float = START
    ) -> Traced:
        """Return a world with these services; nothing has happened but the boot."""
        world = super().of(*specs, limits=limits, strict=strict, boot=boot, now=now)
        assert isinstance(world, cls)
        return world

    # --- looking ----------------------------------------------------------------------------------------------------

    @property
    def names(self) -> list[str]:
        """The names of all finished episodes, in order."""
        return [record.name for record in self.told.records if record.parent is None]

    def last(self, name: str) -> Record:
        """The last finished span of that name."""
        return next(record for record in reversed(self.told.records) if record.name == name)

    def children(self, root: Record) -> list[Record]:
        """The spans below a root, in order."""
        return [record for record in self.told.records if record.parent == root.context.span_id]


def events(record: Record) -> list[str]:
    """The names of a span's events."""
    return [event.name for event in record.events]


def seconds(record: Record) -> float:
    """How long a span lasted."""
    return (record.end - record.start) / 1e9


def well_formed(records: Sequence[Record]) -> None:
    """Hold the laws of spans: one root a trace, children within their parent, nothing twice, nothing backwards."""
    assert len({record.context for record in records}) == len(records), "an identifier is given once"
    by_id = {record.context.span_id: record for record in records}
    roots = Counter(record.context.trace_id for record in records if record.parent is None)
    assert all(1 == number for number in roots.values()), "a trace has one root"
    for record in records:
        assert record.start <= record.end
        assert all(record.start <= event.at <= record.end for event in record.events)
        exits = [event.at for event in record.events if event.name == "process.exited"]
        assert len(set(exits)) == len(exits), "an exit is told once"
        assert (record.error is None) or record.attributes["error.type"] == record.error
        if record.parent is not None:
            parent = by_id[record.parent]
            assert parent.context.trace_id == record.context.trace_id
            assert parent.start <= record.start
            assert record.end <= parent.end
            assert () == record.links
            for name in ("respawnd.service", "respawnd.replica", "respawnd.kind"):
                assert parent.attributes[name] == record.attributes[name], "a span found alone tells whose it is"
