"""What log_target may name, turned into targets: stderr | file:PATH | syslog[:ADDRESS] | journal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from supervisor.host import diary_lines as lines
from supervisor.host.diary_sockets import DEV_LOG, Journal, LocalSyslog, RemoteSyslog
from supervisor.host.diary_streams import File, Stderr

if TYPE_CHECKING:
    from supervisor.host.diary_target import Target

_SYSLOG_PORT = 514


def make_target(spec: str, form: str, stderr: int = 2) -> Target:
    """The target that log_target names: stderr | file:PATH | syslog[:PATH or :HOST[:PORT]] | journal.

    form is log_format: auto gives text to a terminal and to syslog, else JSON. Raises ValueError for any other spec.
    """
    kind, _, where = spec.partition(":")
    if kind == "stderr" and not where:
        as_json = form == "json" or (form == "auto" and not os.isatty(stderr))
        return Stderr(spec, _line(as_json), stderr)
    if kind == "file" and where:
        return File(spec, _line(form != "text"), where)
    if kind == "syslog":
        return _syslog(spec, where or DEV_LOG, as_json=form == "json")
    if spec == "journal":
        return Journal(spec)
    raise ValueError(f"cannot log to {spec!r}: not stderr, file:PATH, syslog, syslog:ADDRESS or journal")


def _line(as_json: bool) -> lines.Render:
    return lines.json_line if as_json else lines.text


def _syslog(spec: str, where: str, *, as_json: bool) -> Target:
    if where.startswith("/"):
        return LocalSyslog(spec, lines.syslog(lines.local_head, as_json=as_json), where)
    host, port = _address(spec, where)
    return RemoteSyslog(spec, lines.syslog(lines.remote_head, as_json=as_json), host, port)


def _address(spec: str, where: str) -> tuple[str, int]:
    """HOST, HOST:PORT, [V6] or [V6]:PORT."""
    head, bracket, tail = where.removeprefix("[").partition("]")
    host, colon, port = (head, tail[:1], tail[1:]) if bracket else where.partition(":")
    if not host or (colon and not (port.isdecimal() and 0 < int(port) < 65536)) or (bracket and colon not in {"", ":"}):
        raise ValueError(f"cannot log to {spec!r}: the address is HOST, HOST:PORT or a path")
    return host, int(port) if colon else _SYSLOG_PORT
