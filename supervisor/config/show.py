"""A Config as TOML: every key that has an effect, with its value, in the order of the reference.

Rules: the text loads again, on any host and as any user, to an equal Config; a key that is not set and has no word
for that stands as a comment.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

from attrs import asdict

from supervisor.config import quantity
from supervisor.config.expand import escape, read_by_shell
from supervisor.config.problem import BARE
from supervisor.config.settings import Config, DaemonSettings, HttpSettings, MetricsSettings
from supervisor.core.model import ExitSet, Limit, UnitSpec

_LIMITS = {
    "NOFILE": "open_files",
    "CORE": "core_size",
    "STACK": "stack",
    "FSIZE": "file_size",
    "DATA": "data",
    "MEMLOCK": "locked_memory",
    "AS": "address_space",
    "CPU": "cpu_time",
    "SIGPENDING": "pending_signals",
    "MSGQUEUE": "message_queues",
    "RTPRIO": "realtime_priority",
}


def effective(config: Config) -> str:
    """The whole configuration as TOML text."""
    parts = [_table(["daemon"], _daemon(config.daemon)), _table(["http"], _http(config.http))]
    parts += [_table(["metrics"], _metrics(config.metrics)), _table(["tracing"], asdict(config.tracing))]
    parts += [_table(["service", spec.name], service_tree(spec)) for spec in config.services.values()]
    parts += [_table(["group", name], {"services": list(members)}) for name, members in config.groups.items()]
    return "\n".join(parts)


def _daemon(daemon: DaemonSettings) -> dict[str, Any]:
    rate = daemon.respawn_rate
    return {
        "state_dir": daemon.state_dir,
        "runtime_dir": daemon.runtime_dir,
        "log_level": daemon.log_level,
        "log_format": daemon.log_format,
        "log_target": list(daemon.log_target),
        "respawn_rate": "off" if rate is None else quantity.format_rate(rate),
        "start_parallelism": daemon.start_parallelism,
        "shutdown_timeout": quantity.format_duration(daemon.shutdown_timeout),
    }


def _http(http: HttpSettings) -> dict[str, Any]:
    host = http.host or ""
    return {
        "listen": "off" if http.host is None else f"[{host}]:{http.port}" if ":" in host else f"{host}:{http.port}",
        "insecure": http.insecure,
        "allowed_hosts": list(http.allowed_hosts),
        "token_file": http.token_file,
    }


def _metrics(metrics: MetricsSettings) -> dict[str, Any]:
    spelled = {"sample_interval": quantity.format_duration(metrics.sample_interval)}
    return asdict(metrics) | spelled | {"max_series": metrics.max_series or "off"}


def service_tree(spec: UnitSpec) -> dict[str, Any]:
    """One service as a file would give it; None stands for what is not set."""
    return {
        "command": Raw(spec.command) if read_by_shell(spec.command) else list(spec.command),
        "type": spec.kind,
        "directory": spec.directory,
        "environment": dict(spec.environment),
        "env_file": list(spec.env_files),
        "inherit_environment": spec.inherit_environment,
        "user": spec.user,
        "group": spec.group,
        "umask": None if spec.umask is None else quantity.format_umask(spec.umask),
        "nice": spec.nice,
        "oom_score_adj": spec.oom_score_adj,
        "limits": {_LIMITS[limit.resource]: _limit(limit) for limit in spec.limits},
        "replicas": spec.replicas,
        "autostart": spec.autostart,
        "priority": spec.priority,
        "restart": spec.restart,
        "start_grace": quantity.format_duration(spec.start_grace),
        "success_exit": _exits(spec.success_exit),
        "exit_rules": [{"codes": _exits(rule.exits), "action": rule.action} for rule in spec.exit_rules],
        **_policies(spec),
        "depends_on": dict(spec.depends_on),
        "on_dependency_failure": spec.on_dependency_failure,
        "metrics": {"port": spec.metrics_port, "path": spec.metrics_path},
        "criticality": spec.criticality,
    }


def _policies(spec: UnitSpec) -> dict[str, Any]:
    """The tables of a service."""
    backoff, give_up, stop, logs = spec.backoff, spec.give_up, spec.stop, spec.logs
    spell = quantity.format_duration
    return {
        "backoff": {
            "initial": spell(backoff.initial),
            "factor": backoff.factor,
            "max": spell(backoff.max),
            "jitter": backoff.jitter,
            "reset_after": spell(backoff.reset_after),
        },
        "give_up": {
            "failures": "never" if give_up.failures is None else give_up.failures,
            "within": spell(give_up.within),
            "then": give_up.then,
            "cooldown": spell(give_up.cooldown),
        },
        "stop": {"signal": quantity.format_signal(stop.signal), "timeout": spell(stop.timeout), "scope": stop.scope},
        "logs": {
            "stdout": logs.stdout,
            "stderr": logs.stderr,
            "max_size": quantity.format_size(logs.max_size) if logs.max_size else "off",
            "keep": logs.keep,
            "compress": logs.compress,
            "rate": "off" if logs.rate is None else quantity.format_flow(logs.rate),
        },
    }


def _exits(exits: ExitSet) -> list[int | str]:
    return [*sorted(exits.codes), *map(quantity.format_signal, sorted(exits.signals))]


def _limit(limit: Limit) -> Any:
    if limit.soft == limit.hard:
        return _amount(limit.soft)
    return {"soft": _amount(limit.soft), "hard": _amount(limit.hard)}


def _amount(value: int | None) -> int | str:
    return "unlimited" if value is None else value


class Raw:
    """A list of text in which nothing is expanded when it is read again."""

    def __init__(self, words: Iterable[str]) -> None:
        self.words = tuple(words)


def _table(path: list[str], values: Mapping[str, Any]) -> str:
    """One table with its header, a key a line."""
    lines = [f"# {key}: not set" if value is None else f"{key} = {toml(value)}" for key, value in values.items()]
    return "\n".join([f"[{'.'.join(map(_key, path))}]", *lines, ""])


def _key(name: str) -> str:
    return name if BARE.fullmatch(name) else _text(name)


def toml(value: Any) -> str:
    """A value as TOML, such that loading it again expands nothing."""
    if isinstance(value, Enum):
        return toml(value.value)
    if isinstance(value, str):
        return _text(escape(value))
    if isinstance(value, Raw):
        return f"[{', '.join(map(_text, value.words))}]"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, dict):
        inside = ", ".join(f"{_key(key)} = {toml(item)}" for key, item in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    return json.dumps(value)


def _text(text: str) -> str:
    """A basic string; JSON writes all of it as TOML does, except characters past the first plane and DEL."""
    quoted = json.dumps(text, ensure_ascii=False)
    return quoted if quoted.isprintable() else "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in quoted)
