"""The keys of a service: every key of the contract, in its order, with its default and what it means.

Defaults are written here for the reference and for keys of later versions; what is not given is left to the model.
"""

from __future__ import annotations

from typing import Any

from supervisor.config import quantity
from supervisor.config.problem import Refused
from supervisor.config.readers import Reader, choice, duration, integer, list_of, number, or_word
from supervisor.config.service_values import (
    ACCOUNT,
    ANYTHING,
    COMMAND,
    COUNT,
    DEPENDS_ON,
    ENVIRONMENT,
    EXITS,
    FLAG,
    FLOW,
    NAME,
    PATH,
    RULE,
    RULES,
    SECONDS,
    SIGNAL,
    SIZE,
    TEXT,
    UMASK,
    URL_PATH,
    limit,
    stream,
)
from supervisor.config.table import UNSET, Key, Table, later, nested
from supervisor.core.model import GiveUpThen, Kind, OnDependencyFailure, Restart, Scope

#: More replicas or rotated files than any host holds: a slip of the hand.
_MANY = 10_000


def _shorthand(found: dict[str, Any]) -> dict[str, Any]:
    """`max_retries = 3` is `give_up.failures = 3`."""
    if "max_retries" in found:
        give_up = found.get("give_up", {})
        failures = found.pop("max_retries")
        if "failures" in give_up:
            reason = "is give_up.failures in short: give one of the two"
            raise Refused(parts=[(("max_retries",), reason)], partial=found)
        found["give_up"] = {**give_up, "failures": failures}
    return found


BACKOFF = Table(
    Key("initial", duration(), "250ms", "the delay before the second respawn in a row; the first is immediate"),
    Key("factor", number(1, 100), 2.0, "what each further failure multiplies the delay by"),
    Key("max", duration(), "60s", "the longest delay"),
    Key("jitter", number(0, 1), 0.1, "the share of the delay that is drawn at random, both ways"),
    Key("reset_after", duration(), "60s", "unbroken running after which the failures in a row are forgiven"),
)
GIVE_UP = Table(
    Key("failures", or_word(COUNT, "never", None), 10, "more failures than this within the window are too many"),
    Key("within", duration(0.001), "10m", "the sliding window"),
    Key("then", choice(GiveUpThen), "cooldown", "try once more after a while, stay down, or shut the daemon down"),
    Key("cooldown", duration(0.001), "10m", "the while"),
)
STOP = Table(
    Key("signal", SIGNAL, "TERM", "the signal that asks the service to end"),
    Key("timeout", duration(), "10s", "what is left after it gets SIGKILL"),
    later("command", list_of(TEXT), [], "a command that asks instead"),
    Key("scope", choice(Scope), "main", "whom the signal goes to first: the main process or its whole group"),
)
RELOAD = Table(later("signal", SIGNAL, "HUP", "the signal that asks it to reload"))
LIMITS = Table(
    limit("open_files", "NOFILE", integer(0, quantity.LARGEST), "descriptors"),
    limit("core_size", "CORE", SIZE, "size of a core file"),
    limit("stack", "STACK", SIZE, "size of the main thread's stack"),
    limit("file_size", "FSIZE", SIZE, "size of a file it writes"),
    limit("data", "DATA", SIZE, "size of its data segment"),
    limit("locked_memory", "MEMLOCK", SIZE, "memory locked in RAM"),
    limit("address_space", "AS", SIZE, "size of its address space"),
    limit("cpu_time", "CPU", SECONDS, "processor time it may use"),
    limit("pending_signals", "SIGPENDING", integer(0, quantity.LARGEST), "signals queued for its user"),
    limit("message_queues", "MSGQUEUE", SIZE, "POSIX message queues of its user"),
    limit("realtime_priority", "RTPRIO", integer(0, 99), "highest real-time priority"),
    later("memory_max", SIZE, UNSET, "memory of all its processes"),
    later("cpu", number(0, _MANY), UNSET, "processors that all its processes may use"),
    later("processes", integer(1, 2**22), UNSET, "processes and threads it may have"),
)
ROLLING = Table(
    later("max_unavailable", COUNT, 1, "replicas that may be away at once"),
    later("order", choice(("stop-first", "start-first")), "stop-first", "which comes first for each replica"),
)
HOOKS = Table(
    later("pre_start", list_of(TEXT), [], "command before each start"),
    later("post_stop", list_of(TEXT), [], "command after each stop"),
)
METRICS = Table(
    Key("port", integer(0, 65535), 0, "where it exposes metrics of its own, for Prometheus to find at /sd; 0: nowhere"),
    Key("path", URL_PATH, "/metrics", "their path"),
)
LOGS = Table(
    Key("stdout", stream("capture", "null", "inherit"), "capture", "where standard output goes"),
    Key("stderr", stream("capture", "null", "inherit", "stdout"), "capture", "where standard error goes"),
    Key("max_size", or_word(SIZE, "off", 0), "50MiB", "a file is rotated at this size; 0 or off never rotates"),
    Key("keep", integer(0, _MANY), 10, "rotated files that are kept"),
    Key("compress", FLAG, True, "whether rotated files are compressed"),
    Key("rate", or_word(FLOW, "off", None), "off", "more than this is dropped and counted"),
)
_TYPE = choice(Kind, later=("scheduled", "external"))
_ON_FAILURE = choice(OnDependencyFailure)
_BACKOFF = or_word(Reader(BACKOFF.read, "table"), "none", {"initial": 0.0})
_GIVE_UP = or_word(Reader(GIVE_UP.read, "table"), "never", {"failures": None})

SERVICE = Table(
    Key("command", COMMAND, UNSET, "required; text is split like a shell would, but no shell runs"),
    Key("shell", FLAG, False, "command is one text for /bin/sh -c"),
    Key("directory", PATH, UNSET, "working directory; unset: the daemon's"),
    Key("environment", ENVIRONMENT, {}, "variables that are added to the daemon's"),
    Key("env_file", list_of(PATH, single=True), [], "files of variables, read at each start, below environment"),
    Key("user", ACCOUNT, UNSET, "whom to run as, with its primary group and its own groups; unset: the daemon's user"),
    Key("group", ACCOUNT, UNSET, "group to run as; unset: the user's"),
    Key("umask", UMASK, UNSET, "file mode creation mask; unset: the daemon's, 022 nearly everywhere"),
    Key("nice", integer(-20, 19), 0, "scheduling priority; negative needs privilege"),
    Key("type", _TYPE, "service", "it lives for ever, or ends when its work is done"),
    later("schedule", TEXT, "", "cron expression of a scheduled service"),
    Key("replicas", integer(0, _MANY), 1, "how many run"),
    Key("restart", choice(Restart), UNSET, "which exits are answered by a respawn; unset: always for a service, "
        "on-failure for a oneshot, which cannot have always or on-success"),
    Key("start_grace", duration(), "0s", "running means that exec succeeded and this much time was survived"),
    Key("success_exit", EXITS, [0], "codes and signal names that count as clean"),
    Key("exit_rules", RULES, [], "the first rule that holds an exit decides what follows", table=RULE),
    nested("backoff", BACKOFF, "delays between respawns", reader=_BACKOFF),
    nested("give_up", GIVE_UP, "when respawning ends", reader=_GIVE_UP),
    Key("max_retries", COUNT, UNSET, "give_up.failures in short"),
    Key("depends_on", DEPENDS_ON, {}, "what it waits for: started, ready, completed, completed-ok; a list means ready"),
    Key("on_dependency_failure", _ON_FAILURE, "wait", "what it does when a dependency dies while it runs"),
    later("ready", ANYTHING, UNSET, "readiness probe"),
    later("alive", ANYTHING, UNSET, "liveness probe"),
    later("watchdog", or_word(duration(), "off", None), "off", "sd_notify watchdog"),
    nested("stop", STOP, "how it is asked to end"),
    nested("reload", RELOAD, "how it is asked to reload"),
    nested("limits", LIMITS, "resource limits; one value sets soft and hard"),
    later("max_memory", or_word(SIZE, "off", None), "off", "graceful restart above this resident size"),
    later("max_age", or_word(duration(), "off", None), "off", "graceful restart at this age"),
    nested("rolling", ROLLING, "how replicas are replaced"),
    nested("hooks", HOOKS, "commands around a life"),
    Key("oom_score_adj", integer(-1000, 1000), UNSET, "how soon it is killed when memory is short; unset: inherited"),
    nested("metrics", METRICS, "the service's own metrics endpoint"),
    later("timezone", TEXT, "UTC", "timezone of the schedule"),
    later("overlap", choice(("skip", "queue", "kill")), "skip", "what happens when a run is due while one runs"),
    later("timeout", duration(), UNSET, "longest run"),
    later("start_jitter", duration(), "0s", "random delay of a run"),
    later("missed", choice(("skip", "once", "all")), "skip", "runs missed while the daemon was away"),
    later("ping", TEXT, "", "URL that is told of each run"),
    later("sockets", list_of(TEXT), [], "listening sockets that are passed to it"),
    nested("logs", LOGS, "where output goes and how its files are kept"),
    Key("criticality", choice(("critical", "high", "medium", "low")), "medium", "severity of its alerts"),
    Key("inherit_environment", FLAG, True, "whether it gets the daemon's environment"),
    later("tune", ANYTHING, {}, "what the feedback loop may move"),
    Key("autostart", FLAG, True, "whether it starts with the daemon"),
    Key("priority", integer(-1_000_000, 1_000_000), 999, "lower starts first, among those that depend on nothing more"),
    finish=_shorthand,
)  # fmt: skip

_STRATEGY = choice(("one-for-one",), later=("rest-for-one", "one-for-all"))
GROUP = Table(
    Key("services", list_of(NAME), [], "its members; the name of another group stands for that group's"),
    Key("strategy", _STRATEGY, "one-for-one", "who restarts with whom"),
    later("give_up", ANYTHING, UNSET, "when the group gives up"),
)
