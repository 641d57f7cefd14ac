"""Every metric family once, as data: what exposition, documentation, rules and dashboards are held against.

Rules: names, labels and units here are promises. `respawnd_` is the prefix of all that is ours; base units; a label's
values come from the configuration or from a closed list, and what is not on the list reads "other"; no pid, exit code
or argument vector is ever a label, nor are `instance` and `job`, which belong to Prometheus. Pure: values only.

A family without `since` is promised and not yet filled: it shows HELP and TYPE and no sample.
"""

from __future__ import annotations

from metrics.catalog.families import BY_NAME, FAMILIES, SECTIONS
from metrics.catalog.family import (
    B1,
    B2,
    B3,
    EVENTS,
    LEVELS,
    OTHER,
    PHASES,
    REASONS,
    RESULTS,
    RUNS,
    SPANS,
    STATES,
    STREAMS,
    TRIGGERS,
    Family,
    Kind,
    Scope,
    Stability,
)

__all__ = [
    "B1",
    "B2",
    "B3",
    "BY_NAME",
    "EVENTS",
    "FAMILIES",
    "LEVELS",
    "OTHER",
    "PHASES",
    "REASONS",
    "RESULTS",
    "RUNS",
    "SECTIONS",
    "SPANS",
    "STATES",
    "STREAMS",
    "TRIGGERS",
    "Family",
    "Kind",
    "Scope",
    "Stability",
]
