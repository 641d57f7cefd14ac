"""One `[program:x]` of supervisord as one of our services, key by key.

Rules: supervisord's defaults hold where a key is not given; docs/supervisord.md has the whole table, and every
meaning that changes. What has no counterpart is told as a warning, never dropped in silence.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from supervisor.config.formats import ini_text as ini
from supervisor.config.problem import Refused, quoted
from supervisor.config.quantity import format_duration, format_signal, format_umask, parse_signal, parse_umask

#: Seconds of running after which a crash counts as the first again, at least. supervisord forgives after `startsecs`, 1
#: second by default, and so never slows down a program that dies every 1.2 seconds.
_FORGIVEN_AFTER = 10.0
#: Delays in seconds: none, then 1, 1.5, 2.25, 3.4, 5, 5 … supervisord's are 0, 1, 2, 3, 4 … without an end.
_INITIAL, _FACTOR, _LONGEST = 1.0, 1.5, 5.0
#: Seconds beyond `startsecs` that one quick failure may take, its launch included.
_SLACK = 0.1
#: Nine years, below the longest duration that is taken.
_LONGEST_WINDOW = 3.0e8

_NULL = frozenset({"none", "off", "/dev/null"})
_STDOUT = frozenset({"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"})
_STDERR = frozenset({"/dev/stderr", "/dev/fd/2", "/proc/self/fd/2"})
_LOG_KEYS = ("logfile", "logfile_maxbytes", "logfile_backups", "capture_maxbytes", "events_enabled", "syslog")
#: Every key of a program that is known.
KEYS = frozenset(
    {
        *(
            "command",
            "process_name",
            "numprocs",
            "numprocs_start",
            "priority",
            "autostart",
            "startsecs",
            "startretries",
        ),
        *("autorestart", "exitcodes", "stopsignal", "stopwaitsecs", "stopasgroup", "killasgroup", "user", "directory"),
        *("redirect_stderr", "environment", "umask", "serverurl"),
        *(f"{stream}_{key}" for stream in ("stdout", "stderr") for key in _LOG_KEYS),
    }
)
_RESTARTS = {"unexpected": "on-failure", **dict.fromkeys(("yes", "true", "on", "1"), "always")}
_RESTARTS |= dict.fromkeys(("no", "false", "off", "0"), "never")


def service(values: ini.Values, base: str, environment: Mapping[str, str]) -> dict[str, Any]:
    """The tree of one process of a program; `values` expands with the names of that process."""
    tree: dict[str, Any] = {
        "command": values.get("command", ini.words, ["missing"]),
        "autostart": values.get("autostart", ini.boolean, True),
        "priority": values.get("priority", ini.integer(-1_000_000, 1_000_000), 999),
        "environment": dict(environment),
        "logs": _logs(values, base),
        "stop": _stop(values),
        **_restart(values),
    }
    if not values.given("command"):
        values.findings.problem(values.section, "command", "is missing")
    for key in ("directory", "user"):
        found = values.get(key, str, "")
        if found:
            tree[key] = found
    if values.given("umask"):
        tree["umask"] = format_umask(values.get("umask", parse_umask, 0o022))
    return tree


def _restart(values: ini.Values) -> dict[str, Any]:
    startsecs = values.get("startsecs", ini.integer(0, 10**7), 1)
    failures = max(1, values.get("startretries", ini.integer(0, 10**6), 3))
    within = _window(startsecs, failures)
    return {
        "restart": values.get("autorestart", _autorestart, "on-failure"),
        "success_exit": values.get("exitcodes", ini.exit_codes, [0]),
        "start_grace": format_duration(startsecs),
        "backoff": {
            "initial": format_duration(_INITIAL),
            "factor": _FACTOR,
            "max": format_duration(_LONGEST),
            "jitter": 0.0,
            "reset_after": format_duration(max(startsecs, within if startsecs else 0.0, _FORGIVEN_AFTER)),
        },
        "give_up": {"failures": failures, "within": format_duration(within), "then": "stay"} if startsecs else "never",
    }


def _window(startsecs: int, failures: int) -> float:
    """The seconds that one failure and `failures` more take if each life is over within `startsecs`, and no longer.

    So lives that last longer are never too many: shorter delays would be needed to fit them in, and delays only grow
    until one life lasts as long as the window, which leaves nothing before it inside. supervisord never gives up with
    startsecs = 0. With startretries = 0 ours needs a second quick failure: a crash after a year is not the last.
    """
    within = failures * (startsecs + _SLACK)
    delay, left = _INITIAL, failures - 1
    while left and delay < _LONGEST:
        within, delay, left = within + delay, delay * _FACTOR, left - 1
    return min(round(within + left * _LONGEST, 3), _LONGEST_WINDOW)


def _autorestart(text: str) -> str:
    if text.lower() not in _RESTARTS:
        raise Refused(f"must be true, false or unexpected, not {quoted(text)}")
    return _RESTARTS[text.lower()]


def _stop(values: ini.Values) -> dict[str, Any]:
    as_group = values.get("stopasgroup", ini.boolean, False)
    if as_group and not values.get("killasgroup", ini.boolean, True):
        values.findings.problem(values.section, "killasgroup", "cannot be false where stopasgroup is true")
    return {
        "signal": format_signal(values.get("stopsignal", parse_signal, 15)),
        "timeout": format_duration(values.get("stopwaitsecs", ini.integer(0, 10**7), 10)),
        "scope": "group" if as_group else "main",
    }


def _logs(values: ini.Values, base: str) -> dict[str, Any]:
    """Both streams: ours share size and count of files, supervisord's have their own."""
    stdout, stderr = (_stream(values, stream, base) for stream in ("stdout", "stderr"))
    if values.get("redirect_stderr", ini.boolean, False):
        stderr = "stdout"
    elif stderr == "inherit" and values.get("stderr_logfile", str, "") in _STDOUT:
        stderr = "stdout" if stdout == "inherit" else "inherit"
    sizes = [_sizes(values, stream) for stream in ("stdout", "stderr")]
    if sizes[0] != sizes[1] and _kept(stdout) and _kept(stderr):
        values.note("stderr_logfile_maxbytes", "both streams share one size and count of files: those of stdout hold")
    size, keep = sizes[0] if _kept(stdout) or not _kept(stderr) else sizes[1]
    return {"stdout": stdout, "stderr": stderr, "max_size": size, "keep": keep, "compress": False}


def _kept(stream: str) -> bool:
    return stream not in {"null", "inherit", "stdout"}


def _sizes(values: ini.Values, stream: str) -> tuple[int, int]:
    size = values.get(f"{stream}_logfile_maxbytes", ini.byte_size, 50 * 1024**2)
    return size, values.get(f"{stream}_logfile_backups", ini.integer(0, 10_000), 10)


def _stream(values: ini.Values, stream: str, base: str) -> str:
    """Where one stream goes; what supervisord would send to syslog or to an event listener is told."""
    if values.get(f"{stream}_capture_maxbytes", ini.byte_size, 0):
        values.note(
            f"{stream}_capture_maxbytes", "process communication events are not in this version: nothing captures"
        )
    if values.get(f"{stream}_events_enabled", ini.boolean, False):
        values.note(f"{stream}_events_enabled", "event listeners are not in this version: no events are sent")
    if values.get(f"{stream}_syslog", ini.boolean, False):
        values.note(f"{stream}_syslog", "syslog for a service is not in this version: its output goes to the log file")
    target = values.get(f"{stream}_logfile", str, "AUTO")
    if target.lower() == "syslog":
        values.note(f"{stream}_logfile", "syslog for a service is not in this version: its output is captured")
    if target.lower() in {"auto", "syslog", ""}:
        return "capture"
    if target.lower() in _NULL:
        return "null"
    if target in _STDOUT | _STDERR:
        if stream == "stdout" and target in _STDERR:
            values.note("stdout_logfile", "standard output is inherited: it goes to the daemon's standard output")
        return "inherit"
    return os.path.join(base, os.path.expanduser(target))
