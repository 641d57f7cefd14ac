"""What a metric family is, and the closed lists of label values that families share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from attrs import frozen

#: Upper bounds of respawn latency, in seconds: from an immediate respawn to a long backoff.
B1 = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0)
#: Upper bounds of the supervisor's own work, in seconds.
B2 = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0)
#: Upper bounds of lateness of the loop, in seconds.
B3 = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

STATES = ("stopped", "waiting", "starting", "running", "backoff", "stopping", "exited", "fatal")
REASONS = ("ok", "error", "signal", "oom", "timeout", "stopped", "killed", "unknown")
TRIGGERS = ("crash", "exit", "health", "oom", "dependency", "config", "manual", "feedback", "limit", "schedule")
#: Where the time of a respawn goes: the death noticed, what to do decided, stragglers swept, the configured delay, the
#: wait for dependencies, limits and a launcher, exec, readiness.
PHASES = ("notice", "decide", "sweep", "backoff", "queue", "spawn", "ready")
RESULTS = ("ok", "error")
#: How a run of a job came out; the last two are of a schedule.
RUNS = ("ok", "fail", "timeout", "skipped_overlap", "missed")
SPANS = ("exported", "failed", "dropped", "sampled_out")
STREAMS = ("stdout", "stderr")
LEVELS = ("debug", "info", "warning", "error", "critical")
#: Label `type` of respawnd_events_total for each class of event that the loop processes.
EVENTS: Mapping[str, str] = MappingProxyType({
    "Launched": "launched", "LaunchFailed": "launch_failed", "Ready": "ready", "Exited": "exited", "Gone": "gone",
    "Unhealthy": "unhealthy", "Adopted": "adopted", "DependencyLost": "dependency_lost",
    "DependencyBack": "dependency_back", "ConfigChanged": "config_changed", "Quarantined": "quarantined",
    "DeadlineReached": "deadline", "Start": "start", "Stop": "stop", "RestartAsked": "restart",
    "Reconfigured": "reconfigured", "Shutdown": "shutdown",
})  # fmt: skip
OTHER = "other"


class Kind(Enum):
    """The type of a family, in OpenMetrics' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    SUMMARY = "summary"
    INFO = "info"


class Scope(Enum):
    """What one set of series stands for: one replica, one service, or the daemon."""

    REPLICA = "replica"
    SERVICE = "service"
    DAEMON = "daemon"


class Stability(Enum):
    """Whether name, labels and meaning may still change between minor versions."""

    STABLE = "stable"
    EXPERIMENTAL = "experimental"


_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_UNITS = ("seconds", "bytes", "ratio")
_SUFFIXES = {
    Kind.HISTOGRAM: ("_bucket", "_count", "_sum"),
    Kind.SUMMARY: ("_count", "_sum"),
}


@frozen
class Family:
    """One metric family. `name` is as in the text format: counters end in _total, info families in _info.

    `buckets` are the finite upper bounds of a histogram. `initial` are values of the last label that are shown as 0
    from the start. `values` lists those labels whose values are closed. ValueError for what breaks the naming rules.
    """

    name: str
    kind: Kind
    scope: Scope
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    values: tuple[tuple[str, tuple[str, ...]], ...] = ()
    initial: tuple[str, ...] = ()
    stability: Stability = Stability.STABLE
    since: str | None = "0.1"

    def __attrs_post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or not self.help or "\n" in self.help:
            raise ValueError(f"{self.name}: name or help is not of the house")
        if (self.kind is Kind.COUNTER) is not self.name.endswith("_total"):
            raise ValueError(f"{self.name}: counters, and only they, end in _total")
        if bool(self.buckets) is not (self.kind is Kind.HISTOGRAM) or list(self.buckets) != sorted(set(self.buckets)):
            raise ValueError(f"{self.name}: a histogram has rising buckets, and nothing else has any")
        if {"instance", "job", "le", "quantile", "pid"} & set(self.labels):
            raise ValueError(f"{self.name}: a label is reserved")

    @property
    def base(self) -> str:
        """The name of the family in OpenMetrics: without _total or _info."""
        if self.kind is Kind.COUNTER:
            return self.name.removesuffix("_total")
        return self.name.removesuffix("_info") if self.kind is Kind.INFO else self.name

    @property
    def unit(self) -> str:
        """The base unit that ends the name, or nothing."""
        if self.kind is Kind.INFO:
            return ""
        return next((unit for unit in _UNITS if self.base.endswith(f"_{unit}")), "")

    @property
    def samples(self) -> tuple[str, ...]:
        """The names its samples bear."""
        return tuple(self.name + suffix for suffix in _SUFFIXES.get(self.kind, ("",)))
