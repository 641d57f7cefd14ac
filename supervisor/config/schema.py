"""The schema: the tables of a configuration, and what may stand in an include."""

from __future__ import annotations

import re
from typing import Any

from supervisor.config import quantity
from supervisor.config.problem import Refused, quoted
from supervisor.config.readers import (
    Reader,
    Source,
    choice,
    duration,
    integer,
    kind,
    list_of,
    number,
    or_word,
    parsed,
    path,
    path_or_none,
    text,
)
from supervisor.config.schema_service import GROUP, SERVICE
from supervisor.config.service_values import FLAG, PATH, SIZE, TEXT, WORD
from supervisor.config.table import UNSET, Key, Table, later, nested

_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PER_SECOND = parsed(quantity.parse_rate, "rate such as 100/s")


def _rate(value: Any, source: Source) -> float:
    if isinstance(value, str):
        return float(_PER_SECOND.read(value, source))
    return float(number(1e-6, 1e9).read(value, source))


def _listen(value: Any, source: Source) -> tuple[str | None, int]:
    """Host and port; the host without the brackets that an IPv6 address needs."""
    if not isinstance(value, str):
        raise Refused(f"must be HOST:PORT, not {kind(value)}")
    found = text(value, source)
    match = _LISTEN.fullmatch(found)
    if match is None or int(match[2]) > 65535:
        raise Refused(f'must be HOST:PORT such as 127.0.0.1:9747 or [::1]:9747, or "off", not {quoted(found)}')
    return match[1].strip("[]"), int(match[2])


def _target(value: Any, source: Source) -> str:
    found = text(value, source)
    if found.startswith("file:"):
        return "file:" + path(found.removeprefix("file:"), Source(source.base, None))
    if found in {"stderr", "journal", "syslog"} or (found.startswith("syslog:") and found != "syslog:"):
        return found
    raise Refused(f"must be stderr, file:PATH, syslog[:ADDRESS] or journal, not {quoted(found)}")


SELF_RESTART = Table(
    later("every", or_word(duration(), "off", None), "off", "periodic rejuvenation"),
    later("on_code_change", FLAG, False, "restart itself when new code is installed"),
    later("max_memory", or_word(SIZE, "off", None), "off", "own resident memory"),
    later("limit", parsed(quantity.parse_rate, "rate such as 3/24h"), "3/24h", "how often, for its own reasons"),
)
DAEMON = Table(
    Key("state_dir", PATH, UNSET,
        "database, logs, lock; as root /var/lib/respawnd, else $XDG_STATE_HOME/respawnd or ~/.local/state/respawnd"),
    Key("runtime_dir", PATH, UNSET, "control socket; as root /run/respawnd, else run below state_dir"),
    Key("log_level", choice(("debug", "info", "warning", "error")), "info", "what the daemon's own log tells"),
    Key("log_format", choice(("auto", "text", "json")), "auto", "auto: text on a terminal, else json"),
    Key("log_target", list_of(Reader(_target, "stderr, file:PATH, syslog[:ADDRESS] or journal"), single=True), "stderr",
        "where the daemon's own log goes"),
    Key("respawn_rate", or_word(Reader(_rate, _PER_SECOND.says), "off", None), "100/s",
        "host-wide limit of respawns; the bucket holds 5 seconds' worth"),
    Key("start_parallelism", integer(0, 1024), 0, "launches at once; 0 is automatic"),
    Key("shutdown_timeout", duration(), "30s", "past it, what is left is killed and named"),
    nested("self_restart", SELF_RESTART, "when the daemon restarts itself"),
)  # fmt: skip
HTTP = Table(
    Key("listen", or_word(Reader(_listen, "HOST:PORT"), "off", (None, 0)), "127.0.0.1:9747",
        "address of metrics, page and API; one beyond loopback needs insecure = true"),
    Key("insecure", FLAG, False, "allow an address beyond loopback without TLS"),
    Key("allowed_hosts", list_of(WORD), [], "further Host names that browsers may use"),
    Key("token_file", Reader(path_or_none, "path"), "", "bearer token, needed for every write over TCP"),
    later("tls_cert", Reader(path_or_none, "path"), "", "certificate"),
    later("tls_key", Reader(path_or_none, "path"), "", "its key"),
)  # fmt: skip
METRICS = Table(
    later("sample_interval", duration(0.1), "5s", "how often resources are sampled"),
    later("max_series", integer(0, 10**9), 100_000, "most series that are exposed"),
)
TRACING = Table(
    later("exporter", choice(("off", "file", "otlp")), "off", "where spans go"),
    later("endpoint", TEXT, "http://127.0.0.1:4318", "OTLP endpoint"),
    later("file", Reader(path_or_none, "path"), "", "file of spans"),
    later("child_context", choice(("jobs", "all", "off")), "jobs", "who gets TRACEPARENT"),
)
FEEDBACK = Table(
    later("mode", choice(("off", "observe", "recommend", "approve", "auto")), "recommend", "what the loop may do"),
    later("source", choice(("embedded", "webhook", "poll")), "embedded", "where alerts come from"),
    later("time_scale", number(1e-6, 1e6), 1, "divides windows, soaks and cooldowns"),
    later("drill", FLAG, False, "whether this is an exercise"),
)

#: The file as a whole. `service` and `group` hold a table for each name, read one by one.
TOP = Table(
    Key("include", list_of(PATH, single=True), [], "patterns of further files; a broken one costs its own services"),
    nested("daemon", DAEMON, "the daemon itself"),
    nested("http", HTTP, "the HTTP port"),
    nested("metrics", METRICS, "metrics"),
    nested("tracing", TRACING, "traces"),
    nested("feedback", FEEDBACK, "the feedback loop"),
    nested("defaults", SERVICE, "any key of a service, for those without it; tables merge, depends_on does not"),
    nested("service", SERVICE, "one table a service: [service.NAME]"),
    nested("group", GROUP, "one table a group: [group.NAME]"),
)  # fmt: skip
#: What may stand in an include.
INCLUDED = frozenset({"defaults", "service", "group"})
