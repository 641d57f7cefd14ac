"""Where services expose metrics of their own, as Prometheus takes it from http_sd and file_sd.

Rules: the whole list every time, one target group a service, in the order of the configuration (Prometheus keeps what
it has when a refresh fails, so an answer that is short must mean that targets are gone). A service that is stopped or
has given up stays: that it cannot be scraped is news. One of no replicas has nothing to scrape. We do not know by which
name others reach this host: whoever asks has just used one.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any

from supervisor.control.body import RefusedError, flag
from supervisor.control.daemon import About
from supervisor.control.origin import split_host
from supervisor.control.request import Request
from supervisor.core.model import UnitSpec

Group = dict[str, Any]

_NAME = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,252}[a-z0-9_])?")
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})  # noqa: S104 - told apart, not listened on


def targets(request: Request, about: About, specs: Mapping[str, UnitSpec]) -> list[Group]:
    """The target groups for whoever asks; with `self=1` the daemon itself comes first. RefusedError."""
    with_self = flag(request, "self")
    host = _asked_host(request) if request.kind == "tcp" else _local_host(about, with_self=with_self)
    own = [_own(about, host)] if with_self and about.http is not None else []
    return own + [_group(spec, host) for spec in specs.values() if spec.metrics_port and spec.replicas]


def _asked_host(request: Request) -> str:
    """The name or address in the Host header, under which the services of this host are reached as well."""
    given = request.headers.get("host", "")
    host, _ = split_host(given)
    if not (_NAME.fullmatch(host) or _is_ipv6(host)):
        raise RefusedError(400, f"cannot tell by which host the targets are reached: Host is {given!r}")
    return host


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except OSError:
        return False
    return True


def _local_host(about: About, *, with_self: bool) -> str:
    """Its name for whoever asks on this host; with the daemon among the targets, the one address it listens on."""
    host, _ = split_host(about.http or "") if with_self else ("", "")
    return socket.gethostname() if not host or host in _EVERY_ADDRESS else host


def _own(about: About, host: str) -> Group:
    """The daemon's own target."""
    _, port = split_host(about.http or "")
    return {"targets": [_address(host, port)], "labels": {"__metrics_path__": "/metrics"}}


def _group(spec: UnitSpec, host: str) -> Group:
    """A service; of `__meta_` labels Prometheus keeps what a relabelling rule asks for. Lists as Consul's tags are."""
    return {
        "targets": [_address(host, str(spec.metrics_port))],
        "labels": {
            "__metrics_path__": spec.metrics_path,
            "respawnd_service": spec.name,
            "__meta_respawnd_criticality": spec.criticality,
            "__meta_respawnd_groups": f",{','.join(spec.groups)}," if spec.groups else "",
            "__meta_respawnd_type": spec.kind.value,
        },
    }


def _address(host: str, port: str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
