"""What is kept of each replica and each service, and how one writer and any reader share it without a lock.

Rules: the loop alone writes; what belongs together (the counts and the sum of a histogram, the parts of a duration) is
one tuple that is replaced whole, so that a reader in another thread sees all of a change or nothing of it. What has
never happened is a tuple shared by all: a service that never died costs no histogram.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from metrics.catalog import B1, PHASES, REASONS, RUNS, TRIGGERS
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import Exit, State, Unit

#: Counts per bucket (not cumulative; the last is above all bounds), and the sum of what was observed.
Observed = tuple[tuple[int, ...], float]

NEVER_RESTARTED = (0,) * len(TRIGGERS)
NEVER_EXITED = (0,) * len(REASONS)
NEVER_RUN = (0,) * len(RUNS)
#: No exit and no launch of this replica was looked at yet.
UNSEEN = -1


def empty(bounds: Sequence[float]) -> Observed:
    """Make a histogram in which nothing was observed."""
    return (0,) * (len(bounds) + 1), 0.0


def observed(before: Observed, bounds: Sequence[float], value: float) -> Observed:
    """Return the histogram after one more observation; a value equal to a bound lies within it (`le`)."""
    counts = list(before[0])
    counts[bisect_left(bounds, value)] += 1
    return tuple(counts), before[1] + value


def counted(before: tuple[int, ...], index: int, amount: int = 1) -> tuple[int, ...]:
    """Return the counts with one of them raised."""
    after = list(before)
    after[index] += amount
    return tuple(after)


class Exemplar(NamedTuple):
    """The trace of one value that a histogram observed: its ids in hexadecimal digits, and `wall` time."""

    value: float
    trace_id: str
    span_id: str
    wall: float


#: The newest exemplar of each bucket, the one above all bounds last; replaced whole.
Exemplars = tuple[Exemplar | None, ...]


def exemplified(before: Exemplars | None, bounds: Sequence[float], one: Exemplar) -> Exemplars:
    """Return the exemplars with `one` as the newest of the bucket that its value lies in."""
    after: list[Exemplar | None] = [None] * (len(bounds) + 1) if before is None else list(before)
    after[bisect_left(bounds, one.value)] = one
    return tuple(after)


NO_LATENCY = empty(B1)
NO_READINESS = (0, 0.0)
NO_PHASES = (0.0,) * len(PHASES)


#: Replica-seconds up until `last`, replicas up since, replica-seconds desired until `last`, replicas desired since, and
#: `last`, a monotonic moment. A plain tuple: a named one takes four times as long to make.
Span = tuple[float, int, float, int, float]


def label_value(text: str) -> str:
    """Escape a label value (the text format and OpenMetrics agree here)."""
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


Pressure = tuple[float, float, float]


class Usage(NamedTuple):
    """What the process tree of one replica uses, as of `at` (monotonic); None is what cannot be known or is not there.

    `user`, `system`, `read`, `written`, `throttled` and `pressure` (cpu, memory, io) are counters of the replica's
    whole history, in seconds and bytes; the others are of this moment, and 0 where nothing lives. `cpu_share` is
    percent of one processor between the last two samples, `proportional` is PSS.
    """

    at: float
    user: float = 0.0
    system: float = 0.0
    resident: int = 0
    threads: int = 0
    processes: int = 0
    open_fds: int | None = None
    max_fds: int | None = None
    worst_fd_ratio: float | None = None
    read: int | None = None
    written: int | None = None
    cpu_share: float = 0.0
    memory_limit: int | None = None
    proportional: int | None = None
    throttled: float | None = None
    pressure: Pressure | None = None


class Job(NamedTuple):
    """The runs of a oneshot, each of them one life: the last of them, and how many there were by result.

    `started`, `completed` and `succeeded` are Unix times, that of the load where it has not happened since. `took` is
    seconds and `code` an exit status or minus a signal's number, both of the run that completed last; None for unknown.
    """

    started: float
    completed: float
    succeeded: float
    took: float | None = None
    code: int | None = None
    runs: tuple[int, ...] = NEVER_RUN


class Service:
    """The totals of one service. `label` is its prepared label text, `info` that of its metadata under `spec`.

    `job` is there for oneshots alone. `exemplars` are those of `latency`, None until there is one. `shown` is the
    reader's own: what the last page said of `span`, below which no later page may fall.
    """

    __slots__ = (
        "dropped",
        "escalations",
        "exemplars",
        "exits",
        "info",
        "job",
        "label",
        "latency",
        "members",
        "output",
        "phases",
        "ready",
        "shown",
        "span",
        "spawns",
        "spec",
    )

    def __init__(self, name: str, now: float) -> None:
        self.label = f'service="{label_value(name)}"'
        self.members = 0
        self.span: Span = (0.0, 0, 0.0, 0, now)
        self.shown: tuple[float, float] | None = None
        self.exits = NEVER_EXITED
        self.spawns = (0, 0)
        self.latency = NO_LATENCY
        self.exemplars: Exemplars | None = None
        self.ready = NO_READINESS
        self.phases = NO_PHASES
        self.escalations = 0
        self.output = (0, 0)
        self.dropped = 0
        self.job: Job | None = None
        self.spec: UnitSpec | None = None
        self.info = ""

    def account(self, at: float, up: int, desired: int) -> None:
        """Close the interval that was open until `at`, and open the next with `up` and `desired` replicas more.

        A moment within what was closed already counts from that moment all the same: what is added up does not depend
        on the order in which it is told.
        """
        running, ups, wished, wants, last = self.span
        passed = at - last
        if passed > 0:
            self.span = running + ups * passed, ups + up, wished + wants * passed, wants + desired, at
        else:
            self.span = running - up * passed, ups + up, wished - desired * passed, wants + desired, last


class Replica:
    """What the recorder last knew of one replica: enough to tell what a transition adds.

    `known` tells that it is known by facts, or was `carried` over and met since; `pictured` is the moment of the
    picture that it is known by before its first fact. `exit` and `life` are the last that were counted. Of the respawn
    under way: `paused` is the part that it was meant to wait, `path` the seconds by phase from the death on, None when
    there is none; `respawned` tells that only its readiness is still to come.
    """

    __slots__ = (
        "carried",
        "desired",
        "exit",
        "known",
        "label",
        "life",
        "path",
        "paused",
        "pictured",
        "respawned",
        "restarts",
        "service",
        "up",
        "usage",
    )

    def __init__(self, key: UnitKey, service: Service) -> None:
        self.service = service
        self.label = f'replica="{key.replica}",{service.label}'
        self.known = self.carried = False
        self.pictured: float | None = None
        self.up = self.desired = False
        self.exit: Exit | None = None
        self.life = UNSEEN
        self.paused = 0.0
        self.path: list[float] | None = None
        self.respawned = False
        self.restarts = NEVER_RESTARTED
        self.usage: Usage | None = None

    def meet(self, unit: Unit) -> None:
        """Take what has happened to `unit` so far as counted, but for what a record that was carried over lacks."""
        self.known = self.carried
        if self.exit == unit.exit or self.life == UNSEEN:
            self.exit = unit.exit
        if self.life == UNSEEN or unit.life < self.life:
            # The last launch is counted with its answer.
            self.life = unit.life - (unit.state is State.LAUNCHING)
