"""How a record of the daemon's own log looks: a line of text, a line of JSON, a syslog message, a journal entry.

Rules: one record, one line (the journal excepted): what could break a line or steer a terminal is escaped. Whatever a
record holds, rendering it never fails for its encoding. Structured extras (`extra={"service": "web", "pid": 123}`) are
keys of JSON and fields of the journal; text shows those that the message does not say already.
"""

from __future__ import annotations

import json
import logging
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Render = Callable[[logging.LogRecord], bytes]

# What every record has, and what the library's own formatters add; all else came by extra=.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_DAEMON = 3 << 3  # syslog(3): facility LOG_DAEMON
_MOST = 8192  # bytes of a syslog message: what receivers commonly take (RFC 5426 asks for 2048 at least)
_PUNCTUATION = str.maketrans(",;:()\"'", "       ")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def text(record: logging.LogRecord) -> bytes:
    """A line for people, in local time; a traceback follows on indented lines."""
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
    line = f"{when}.{_millis(record):03d} {record.levelname:<7} {_said(record)}\n"
    trace = _trace(record)
    return _bytes(line + "".join(f"    {_escape(row)}\n" for row in trace.splitlines()))


def json_line(record: logging.LogRecord) -> bytes:
    """A line for machines: ts (RFC 3339, UTC, milliseconds), level, logger, thread, msg, the extras, exc."""
    row: dict[str, object] = {
        "ts": _rfc3339(record),
        "level": record.levelname.lower(),
        "logger": record.name,
        "thread": record.threadName,
        "msg": record.getMessage(),
    }
    for key, value in _extras(record):
        row.setdefault(key, value)
    if trace := _trace(record):
        row["exc"] = trace
    return _bytes(json.dumps(row, default=str, ensure_ascii=False, separators=(",", ":")) + "\n")


def syslog(head: Callable[[logging.LogRecord], str], *, as_json: bool) -> Render:
    """A syslog message with that head, and a line of text or of JSON for its body; cut at 8 KiB."""

    def render(record: logging.LogRecord) -> bytes:
        body = json_line(record).rstrip(b"\n") if as_json else _bytes(_said(record) + _escape(_trace(record)))
        return (_bytes(head(record)) + body)[:_MOST]

    return render


def local_head(record: logging.LogRecord) -> str:
    """What syslog(3) sends to /dev/log: RFC 3164 without a host, which rsyslog, busybox and journald all read."""
    now = time.localtime(record.created)
    when = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2d} {now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d}"
    return f"<{_DAEMON | _severity(record)}>{when} respawnd[{os.getpid()}]: "


def remote_head(record: logging.LogRecord) -> str:
    """RFC 5424, for a datagram of its own (RFC 5426); neither MSGID nor structured data."""
    host = os.uname().nodename or "-"
    return f"<{_DAEMON | _severity(record)}>1 {_rfc3339(record)} {host} respawnd {os.getpid()} - - "


def journal(record: logging.LogRecord) -> bytes:
    """An entry of the journal's native protocol; extras are fields named RESPAWND_…, upper case."""
    trace = _trace(record)
    fields = {
        "MESSAGE": record.getMessage() + (f"\n{trace}" if trace else ""),
        "PRIORITY": str(_severity(record)),
        "SYSLOG_IDENTIFIER": "respawnd",
        "SYSLOG_FACILITY": str(_DAEMON >> 3),
        "RESPAWND_LOGGER": record.name,
        "RESPAWND_THREAD": str(record.threadName),
    }
    fields |= {f"RESPAWND_{_field(key)}": str(value) for key, value in _extras(record)}
    return b"".join(_field_bytes(key, _bytes(value)) for key, value in fields.items())


def _field(key: str) -> str:
    """A field name as the journal takes it: A-Z, 0-9 and underscore, of 64 bytes at most with our prefix."""
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in key.upper())[:50]


def _field_bytes(key: str, value: bytes) -> bytes:
    if b"\n" not in value:
        return b"%s=%s\n" % (key.encode(), value)
    return b"%s\n%s%s\n" % (key.encode(), len(value).to_bytes(8, "little"), value)


def _extras(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in vars(record).items() if key not in _OWN)


def _said(record: logging.LogRecord) -> str:
    message = record.getMessage()
    words = _words(message)
    more = "".join(f" {key}={value}" for key, value in _extras(record) if _words(value) not in words)
    return _escape(message + more)


def _words(value: object) -> str:
    """Its words between spaces, so that pid 12 is not taken for told by "pid 123"."""
    return f" {' '.join(str(value).translate(_PUNCTUATION).split())} "


def _trace(record: logging.LogRecord) -> str:
    if not record.exc_info and not record.exc_text:
        return ""
    # The library keeps it in exc_text, so that a second target does not read the sources again.
    record.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info or (None, None, None))
    return record.exc_text


def _escape(words: str) -> str:
    if words.isprintable():
        return words
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in words)


def _severity(record: logging.LogRecord) -> int:
    """syslog(3): LOG_CRIT, LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG."""
    bounds = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
    return next((severity for bound, severity in bounds if record.levelno >= bound), 7)


def _millis(record: logging.LogRecord) -> int:
    return int(record.created * 1000) % 1000


def _rfc3339(record: logging.LogRecord) -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{_millis(record):03d}Z"


def _bytes(words: str) -> bytes:
    return words.encode("utf-8", "backslashreplace")
