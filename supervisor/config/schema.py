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
from supervisor.config.service_values import FLAG, PATH, SIZE, WORD
from supervisor.config.table import UNSET, Key, Table, later, nested

_LISTEN = re.compile(r"(\[[0-9A-Fa-f:.%a-z]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_URL = re.compile(
    r"https?://(?P<user>[^/?#\s]*@)?(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?(?:/[^?#\s]*)?",
    re.IGNORECASE,
)
#: User and password in what may be meant for a URL; they are not repeated in a message.
_SECRET = re.compile(r"//[^/]*@")
_LAST_PORT = 65535
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
    if match is None or int(match[2]) > _LAST_PORT:
        raise Refused(f'must be HOST:PORT such as 127.0.0.1:9747 or [::1]:9747, or "off", not {quoted(found)}')
    return match[1].strip("[]"), int(match[2])


def _target(value: Any, source: Source) -> str:
    found = text(value, source)
    if found.startswith("file:"):
        return "file:" + path(found.removeprefix("file:"), Source(source.base, None))
    if found in {"stderr", "journal", "syslog"} or (found.startswith("syslog:") and found != "syslog:"):
        return found
    raise Refused(f"must be stderr, file:PATH, syslog[:ADDRESS] or journal, not {quoted(found)}")


def _endpoint(value: Any, source: Source) -> str:
    """A URL without user and password: those belong in OTEL_EXPORTER_OTLP_HEADERS, not in a file that is shown."""
    found = text(value, source)
    match = _URL.fullmatch(found)
    if match is None or int(match["port"] or 0) > _LAST_PORT or not found.isprintable():
        raise Refused(f"must be a URL such as http://127.0.0.1:4318, not {quoted(_SECRET.sub('//…@', found))}")
    if match["user"]:
        raise Refused("must not hold a user or password: give them in OTEL_EXPORTER_OTLP_HEADERS")
    return found


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
    Key("sample_interval", duration(0.1, 3600.0), "5s", "how often it is looked at what services use, 100ms to 1h"),
    Key("max_series", or_word(integer(0, 10**9), "off", 0), 100_000,
        "most series on a page; past it the least important are left out and counted; 0 or off: no limit"),
    Key("pressure", FLAG, False, "whether throttling and pressure are read, where a service has a cgroup of its own"),
    Key("pss", FLAG, False, "whether proportional memory is read, which costs 60 times a normal reading"),
)  # fmt: skip
TRACING = Table(
    Key("exporter", choice(("off", "file", "otlp")), "off",
        "where traces of respawns go; otlp needs pip install 'respawnd[otlp]'"),
    Key("endpoint", Reader(_endpoint, "URL"), "http://127.0.0.1:4318",
        "OTLP over HTTP: the collector, to which /v1/traces is added; OTEL_EXPORTER_OTLP_* are honoured"),
    Key("file", Reader(path_or_none, "path"), "", 'JSON lines of spans; needed for exporter = "file"'),
    Key("child_context", choice(("jobs", "all", "off")), "jobs",
        "who gets TRACEPARENT: oneshots, every service, nobody"),
)  # fmt: skip
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
    nested("metrics", METRICS, "what is measured, and how much of it is shown; a reload holds at once"),
    nested("tracing", TRACING, "traces of respawns; a change takes effect when respawnd is started again"),
    nested("feedback", FEEDBACK, "the feedback loop"),
    nested("defaults", SERVICE, "any key of a service, for those without it; tables merge, depends_on does not"),
    nested("service", SERVICE, "one table a service: [service.NAME]"),
    nested("group", GROUP, "one table a group: [group.NAME]"),
)  # fmt: skip
#: What may stand in an include.
INCLUDED = frozenset({"defaults", "service", "group"})
