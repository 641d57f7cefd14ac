"""Configuration: every format to UnitSpec, one loader each, one schema; every refusal names file, key and reason.

Rules: nothing here outlives a load; the same file, environment and user give equal values; the parts that only a
command needs (writing a configuration out, looking at the host) are imported when they are called.
"""

from __future__ import annotations

from supervisor.config.loading import load
from supervisor.config.lookup import find, here, places
from supervisor.config.problem import ConfigError, Problem
from supervisor.config.settings import Config, DaemonSettings, HttpSettings, MetricsSettings, TracingSettings

__all__ = [
    "Config",
    "ConfigError",
    "DaemonSettings",
    "HttpSettings",
    "MetricsSettings",
    "Problem",
    "TracingSettings",
    "effective",
    "find",
    "here",
    "load",
    "places",
    "preflight",
]


def effective(config: Config) -> str:
    """The configuration as TOML with every default filled in; loaded again, it gives an equal Config."""
    from supervisor.config.show import effective as show  # noqa: PLC0415 - `check --show` alone needs it

    return show(config)


def preflight(config: Config) -> tuple[Problem, ...]:
    """What this host lacks for the configuration: warnings, since each costs one service at most."""
    from supervisor.config.preflight import preflight as look  # noqa: PLC0415 - `check` alone needs it

    return look(config)
