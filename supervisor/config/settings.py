"""What a configuration amounts to: the settings of the daemon and its parts, the services, and what there is to say."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from supervisor.config.problem import Problem, Refused
from supervisor.core.model import UnitSpec

#: sockaddr_un(7): sun_path is 108 bytes, the last of them NUL.
_LONGEST_SOCKET = 107
#: The respawn bucket holds this many seconds' worth (docs/configuration.md, respawn_rate).
_BURST_SECONDS = 5.0
_LOOPBACK = re.compile(r"127\.[0-9]+\.[0-9]+\.[0-9]+|localhost|::1")


@frozen
class DaemonSettings:
    """`[daemon]`. Paths are absolute, times seconds; `respawn_rate` is respawns a second, None for no limit."""

    state_dir: str
    runtime_dir: str
    log_level: str = "info"
    log_format: str = "auto"
    log_target: tuple[str, ...] = ("stderr",)
    respawn_rate: float | None = 100.0
    respawn_burst: float = 500.0
    start_parallelism: int = 0
    shutdown_timeout: float = 30.0

    @property
    def socket(self) -> str:
        """The path of the control socket."""
        return os.path.join(self.runtime_dir, "respawnd.sock")


@frozen
class HttpSettings:
    """`[http]`. `host` is None where HTTP is off; an IPv6 address has no brackets here; "" is no file."""

    host: str | None = "127.0.0.1"
    port: int = 9747
    insecure: bool = False
    allowed_hosts: tuple[str, ...] = ()
    token_file: str = ""
    tls_cert: str = ""
    tls_key: str = ""

    @property
    def loopback(self) -> bool:
        """Whether only this host can reach the port."""
        return self.host is not None and is_loopback(self.host)


@frozen
class MetricsSettings:
    """`[metrics]`. `sample_interval` is seconds, `max_series` 0 for no limit; the rest asks for what costs more."""

    sample_interval: float = 5.0
    max_series: int = 100_000
    pressure: bool = False
    pss: bool = False


@frozen
class TracingSettings:
    """`[tracing]`. `exporter` is "off", "file" or "otlp"; `file` an absolute path or ""; OTEL_* are the exporter's.

    `child_context` says who gets TRACEPARENT: "jobs", "all" or "off".
    """

    exporter: str = "off"
    endpoint: str = "http://127.0.0.1:4318"
    file: str = ""
    child_context: str = "jobs"


@frozen
class Config:
    """One configuration that can be run. `broken` tells what includes and dependents were left out, and why.

    `path` is the file as it was named; neither it nor what was said about it makes two configurations differ.
    """

    path: str = field(eq=False)
    daemon: DaemonSettings
    http: HttpSettings
    services: Mapping[str, UnitSpec]
    groups: Mapping[str, tuple[str, ...]]
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    warnings: tuple[Problem, ...] = field(default=(), eq=False)
    broken: tuple[Problem, ...] = field(default=(), eq=False)


def is_loopback(host: str) -> bool:
    """Whether `host` is an address or name of this host alone."""
    return _LOOPBACK.fullmatch(host) is not None


def daemon_settings(given: Mapping[str, Any], environ: Mapping[str, str], euid: int) -> DaemonSettings:
    """`[daemon]` with its defaults; Refused where the control socket's path would be too long."""
    found = {**given}
    found.setdefault("state_dir", default_state_dir(environ, euid))
    found.setdefault("runtime_dir", "/run/respawnd" if euid == 0 else os.path.join(found["state_dir"], "run"))
    if "respawn_rate" in found:
        rate = found["respawn_rate"]
        found["respawn_burst"] = 0.0 if rate is None else rate * _BURST_SECONDS
    settings = DaemonSettings(**found)
    if len(os.fsencode(settings.socket)) > _LONGEST_SOCKET:
        reason = f"is too long: the socket {settings.socket} would be past {_LONGEST_SOCKET} bytes"
        raise Refused(parts=[(("runtime_dir",), reason)])
    return settings


def default_state_dir(environ: Mapping[str, str], euid: int) -> str:
    """Where state is kept unless told: a relative XDG_STATE_HOME is ignored (XDG base directory specification 0.8)."""
    if euid == 0:
        return "/var/lib/respawnd"
    base = environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(home(environ, euid), ".local", "state")
    return os.path.join(base, "respawnd")


def home(environ: Mapping[str, str], euid: int) -> str:
    """The home directory by HOME, else by the user database, else the root."""
    found = environ.get("HOME", "")
    if os.path.isabs(found):
        return found
    import pwd  # noqa: PLC0415 - an extension module that only a process without HOME needs

    try:
        return pwd.getpwuid(euid).pw_dir
    except KeyError:
        return "/"


def http_settings(given: Mapping[str, Any]) -> HttpSettings:
    """`[http]` with its defaults; Refused for an address beyond loopback that is not asked for in so many words."""
    found = {**given}
    if "listen" in found:
        found["host"], found["port"] = found.pop("listen")
    settings = HttpSettings(**found)
    if settings.host is not None and not settings.loopback and not settings.insecure:
        reason = "an address beyond loopback needs TLS and a token, which is not in this version, or insecure = true"
        raise Refused(parts=[(("listen",), reason)])
    return settings


def tracing_settings(given: Mapping[str, Any]) -> TracingSettings:
    """`[tracing]` with its defaults; Refused for an exporter that lacks its file or its package."""
    settings = TracingSettings(**given)
    if settings.exporter == "file" and not settings.file:
        raise Refused(parts=[(("file",), 'is missing: exporter = "file" writes there')])
    if settings.exporter == "otlp" and not _has_otlp():
        package = "opentelemetry-exporter-otlp-proto-http"
        raise Refused(parts=[(("exporter",), f"otlp needs the package {package} (pip install 'respawnd[otlp]')")])
    return settings


def _has_otlp() -> bool:
    """Whether the exporter is installed. It is not imported: what lies above it holds no code."""
    from importlib.util import find_spec  # noqa: PLC0415 - only for who asks for otlp

    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ImportError:
        return False
