"""`[supervisord]`, `[unix_http_server]` and `[inet_http_server]` as our `[daemon]`, `[http]` and `[defaults]`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

from supervisor.config.formats import ini_text as ini
from supervisor.config.formats.document import Place
from supervisor.config.problem import Refused, nearest, quoted
from supervisor.config.quantity import format_umask, parse_umask
from supervisor.config.readers import unknown

_LEVELS = {
    "critical": "error",
    "error": "error",
    "warn": "warning",
    "info": "info",
    "debug": "debug",
    "trace": "debug",
    "blather": "debug",
}
#: Keys of [supervisord] that mean nothing here, with what to know about those that may be missed.
_IGNORED = {
    "nodaemon": "",
    "silent": "",
    "nocleanup": "",
    "identifier": "",
    "logfile_maxbytes": "",
    "logfile_backups": "",
    "pidfile": "no pid file is written: respawnd.lock in the state directory holds the pid",
    "childlogdir": "captured output goes below the state directory",
    "strip_ansi": "captured output keeps its escape sequences",
    "minprocs": "",
}
KNOWN = frozenset({*_IGNORED, "logfile", "loglevel", "umask", "directory", "environment", "user", "minfds"})
UNIX = frozenset({"file", "chmod", "chown", "username", "password"})
INET = frozenset({"port", "username", "password"})
#: Where everybody may create files; a control socket does not belong there.
_SHARED = frozenset({"/tmp", "/var/tmp", "/dev/shm", "/run/lock", "/var/lock"})  # noqa: S108 - to keep out of them
#: Values of chmod that mean what is so anyway.
_OWN_ALONE = frozenset({"0700", "0600", "700", "600"})
_DESCRIPTORS = 1024
_PORTS = 65535


def supervisord(values: ini.Values, place: Place, tree: dict[str, Any]) -> dict[str, str]:
    """Map `[supervisord]` to daemon and defaults; return the environment that every program gets."""
    for key in values.values:
        if key not in KNOWN:
            values.findings.problem("supervisord", key, unknown(key, KNOWN))
        elif _IGNORED.get(key):
            values.note(key, f"is ignored: {_IGNORED[key]}")
    daemon: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    if values.given("loglevel"):
        daemon["log_level"] = values.get("loglevel", _level, "info")
    logfile = values.get("logfile", str, "")
    if logfile and not logfile.startswith("/dev/") and logfile.lower() not in {"none", "off"}:
        daemon["log_target"] = "file:" + os.path.join(place.base, os.path.expanduser(logfile))
    if values.given("umask"):
        defaults["umask"] = format_umask(values.get("umask", parse_umask, 0o022))
    if values.given("directory"):
        defaults["directory"] = os.path.join(place.base, os.path.expanduser(values.get("directory", str, ".")))
    _user(values, place, defaults)
    _descriptors(values, defaults)
    environment: dict[str, str] = values.get("environment", lambda text: ini.environment(_again(text, values)), {})
    if environment:
        defaults["environment"] = environment
    tree.update({name: found for name, found in (("daemon", daemon), ("defaults", defaults)) if found})
    return environment


def _again(text: str, values: ini.Values) -> str:
    """supervisord expands this one key twice, so that a percent sign is %%%% in it; what is none of that stays."""
    try:
        return ini.expand(text, values.names)
    except Refused:
        return text


def _level(text: str) -> str:
    if text.lower() not in _LEVELS:
        raise Refused(f"must be one of {', '.join(_LEVELS)}, not {quoted(text)}{nearest(text, _LEVELS)}")
    return _LEVELS[text.lower()]


def _user(values: ini.Values, place: Place, defaults: dict[str, Any]) -> None:
    """supervisord would become that user, and its programs with it; ours stays root and gives each program the user."""
    user = values.get("user", str, "")
    if place.host.euid == 0 and user not in {"", "root", "0"}:
        defaults["user"] = user
        values.note("user", f"the daemon stays root; programs run as {user} unless they have a user of their own")


def _descriptors(values: ini.Values, defaults: dict[str, Any]) -> None:
    count = values.get("minfds", ini.integer(1, 2**30), _DESCRIPTORS)
    if count > _DESCRIPTORS:
        defaults["limits"] = {"open_files": count}
        values.note("minfds", f"every program gets limits.open_files = {count}; the daemon takes what it may have")


def servers(
    sections: Mapping[str, Mapping[str, str]], names: Mapping[str, Any], findings: ini.Findings, tree: dict[str, Any]
) -> None:
    """Map both servers; the keys of [respawnd] come later and override."""
    for section, known in (("unix_http_server", UNIX), ("inet_http_server", INET)):
        if section not in sections:
            continue
        values = ini.Values(section, sections[section], names, findings)
        for key in values.values:
            if key not in known:
                findings.problem(section, key, unknown(key, known))
        if values.given("username") or values.given("password"):
            values.note(
                "username", "passwords are not in this version: the socket takes its owner, HTTP a bearer token"
            )
        _socket(values, tree) if section == "unix_http_server" else _port(values, sections, tree)


def _socket(values: ini.Values, tree: dict[str, Any]) -> None:
    for key in ("chmod", "chown"):
        if values.given(key) and values.values[key] not in _OWN_ALONE:
            values.note(key, "is ignored: the socket belongs to the daemon's user alone, with mode 0600")
    file = values.get("file", str, "").strip()
    directory = os.path.dirname(os.path.expanduser(file))
    if not directory:
        return
    if os.path.normpath(directory) in _SHARED:
        values.note("file", f"{directory} is open to everybody: the socket stays in daemon.runtime_dir")
        return
    tree.setdefault("daemon", {})["runtime_dir"] = directory
    values.note("file", f"the control socket is {os.path.join(directory, 'respawnd.sock')}")


def _port(values: ini.Values, sections: Mapping[str, Mapping[str, str]], tree: dict[str, Any]) -> None:
    """An address beyond loopback needs a word of our own in [respawnd]; without it the port is kept on loopback."""
    if not values.given("port"):
        values.findings.problem("inet_http_server", "port", "is missing")
        return
    host, port = values.get("port", _address, ("127.0.0.1", 9747))
    own = sections.get("respawnd", {})
    insecure = (own.get("http.insecure") or own.get("insecure", "")).lower() == "true"
    if not insecure and host not in {"localhost", "::1"} and not host.startswith("127."):
        values.note("port", f"listens on 127.0.0.1:{port} alone: more needs insecure = true in [respawnd]")
        host = "127.0.0.1"
    tree.setdefault("http", {})["listen"] = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.strip().rpartition(":")
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= _PORTS:
        raise Refused(f"must be HOST:PORT, not {quoted(text)}")
    host = host.strip("[]").lower()
    return ("0.0.0.0" if host in {"", "*"} else host), int(port)  # noqa: S104 - what supervisord means by *
