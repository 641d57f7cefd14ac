"""What a service is: the specification an operator writes, as frozen values that cannot be wrong.

Rules: durations are seconds, sizes bytes, signals numbers, moments come from one monotonic clock unless a name says
wall. Every value validates itself in its constructor (ValueError), so that illegal specifications cannot be built by
any loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from attrs import field, frozen


class UnitKey(NamedTuple):
    """One replica of one service; what everything is keyed by."""

    service: str
    replica: int = 0

    def __str__(self) -> str:
        return f"{self.service}:{self.replica}"


class Kind(Enum):
    """How a service lives: for ever, or until it has done its work."""

    SERVICE = "service"
    ONESHOT = "oneshot"


class Restart(Enum):
    """When an exit that nobody asked for is answered by a respawn (systemd.service(5), `Restart=`)."""

    ALWAYS = "always"
    ON_FAILURE = "on-failure"
    ON_SUCCESS = "on-success"
    ON_ABNORMAL = "on-abnormal"
    NEVER = "never"


class Condition(Enum):
    """What a dependency must have reached before a dependent may start."""

    STARTED = "started"
    READY = "ready"
    COMPLETED = "completed"
    COMPLETED_OK = "completed-ok"


class OnDependencyFailure(Enum):
    """What a running dependent does when a dependency dies."""

    WAIT = "wait"
    RESTART = "restart"
    STOP = "stop"
    IGNORE = "ignore"


class GiveUpThen(Enum):
    """What follows when the restart intensity is exceeded."""

    COOLDOWN = "cooldown"
    STAY = "stay"
    SHUTDOWN = "shutdown"


class ExitAction(Enum):
    """What an exit rule asks for."""

    RESTART = "restart"
    STOP = "stop"
    FAIL = "fail"
    SHUTDOWN = "shutdown"


class Scope(Enum):
    """Whom the stop signal goes to first; the sweep that follows reaches everything in any case."""

    MAIN = "main"
    GROUP = "group"


@frozen
class Backoff:
    """Delays between failures in a row, in seconds: none before the first respawn, then `initial * factor**n` to `max`.

    `jitter` is the share of the delay that is drawn at random, both ways (0 to 1); `reset_after` is the time of
    unbroken running after which the streak is forgiven.
    """

    initial: float = 0.25
    factor: float = 2.0
    max: float = 60.0
    jitter: float = 0.1
    reset_after: float = 60.0

    def __attrs_post_init__(self) -> None:
        if self.initial < 0 or self.max < 0 or self.reset_after < 0:
            raise ValueError("backoff: times must not be negative")
        if self.factor < 1:
            raise ValueError("backoff: factor must be at least 1")
        if self.factor > 1000:
            raise ValueError("backoff: factor must be at most 1000")  # whose powers no float would hold
        if not 0 <= self.jitter <= 1:
            raise ValueError("backoff: jitter must be from 0 to 1")


@frozen
class GiveUp:
    """Restart intensity: more than `failures` failures within `within` seconds are too many; None is never too many."""

    failures: int | None = 10
    within: float = 600.0
    then: GiveUpThen = GiveUpThen.COOLDOWN
    cooldown: float = 600.0

    def __attrs_post_init__(self) -> None:
        if self.failures is not None and self.failures < 0:
            raise ValueError("give_up: failures must not be negative")
        if self.within <= 0 or self.cooldown <= 0:
            raise ValueError("give_up: within and cooldown must be above 0")


@frozen
class ExitSet:
    """A set of exits, by code (0 to 255) and by signal number."""

    codes: frozenset[int] = frozenset({0})
    signals: frozenset[int] = frozenset()

    def __attrs_post_init__(self) -> None:
        if any(not 0 <= code <= 255 for code in self.codes):
            raise ValueError("exit codes are from 0 to 255")

    def holds(self, code: int | None, signal: int | None) -> bool:
        """Whether an exit by `code`, or by `signal` when that is given, is one of these."""
        return signal in self.signals if signal is not None else code in self.codes


@frozen
class ExitRule:
    """The first rule whose set holds an exit says what follows it."""

    exits: ExitSet
    action: ExitAction


@frozen
class StopPolicy:
    """How a service is asked to end: the signal, the seconds it has before SIGKILL, and whom the signal goes to."""

    signal: int = 15
    timeout: float = 10.0
    scope: Scope = Scope.MAIN

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.signal <= 64:
            raise ValueError("stop: signal must be from 1 to 64")
        if self.timeout < 0:
            raise ValueError("stop: timeout must not be negative")


@frozen
class LogPolicy:
    """Where output goes and how its files are kept.

    `stdout` and `stderr` are "capture", "null", "inherit", an absolute path, or for stderr also "stdout". `max_size` is
    in bytes, `keep` counts rotated files, `rate` is bytes a second or None for no limit.
    """

    stdout: str = "capture"
    stderr: str = "capture"
    max_size: int = 50 * 1024 * 1024
    keep: int = 10
    compress: bool = True
    rate: float | None = None

    def __attrs_post_init__(self) -> None:
        if self.stdout == "stdout":
            raise ValueError('logs: only stderr can be "stdout"')
        if self.max_size < 0 or self.keep < 0:
            raise ValueError("logs: max_size and keep must not be negative")


class Limit(NamedTuple):
    """One resource limit that holds from exec: `resource` as in RLIMIT_NAME without the prefix, None for unlimited."""

    resource: str
    soft: int | None
    hard: int | None


@frozen
class UnitSpec:
    """One service as configured. `command` is the argument vector, of a shell where one was asked for.

    `metrics_port` and `metrics_path` are where it exposes metrics of its own; port 0 is nowhere.
    """

    name: str
    command: tuple[str, ...]
    kind: Kind = Kind.SERVICE
    directory: str | None = None
    environment: Mapping[str, str] = field(factory=dict)
    env_files: tuple[str, ...] = ()
    inherit_environment: bool = True
    user: str | None = None
    group: str | None = None
    umask: int | None = None
    nice: int = 0
    oom_score_adj: int | None = None
    limits: tuple[Limit, ...] = ()
    replicas: int = 1
    autostart: bool = True
    priority: int = 999
    restart: Restart = Restart.ALWAYS
    start_grace: float = 0.0
    success_exit: ExitSet = ExitSet()
    exit_rules: tuple[ExitRule, ...] = ()
    backoff: Backoff = Backoff()
    give_up: GiveUp = GiveUp()
    depends_on: Mapping[str, Condition] = field(factory=dict)
    on_dependency_failure: OnDependencyFailure = OnDependencyFailure.WAIT
    stop: StopPolicy = StopPolicy()
    logs: LogPolicy = LogPolicy()
    metrics_port: int = 0
    metrics_path: str = "/metrics"
    criticality: str = "medium"
    groups: tuple[str, ...] = ()
    source: str = field(default="", eq=False)

    def __attrs_post_init__(self) -> None:
        if not self.command or not self.command[0]:
            raise ValueError("command must not be empty")
        if self.replicas < 0:
            raise ValueError("replicas must not be negative")
        if self.start_grace < 0:
            raise ValueError("start_grace must not be negative")
        if not 0 <= self.metrics_port <= 65535 or not self.metrics_path.startswith("/"):
            raise ValueError("metrics: port must be from 0 to 65535, and path begin with a slash")
        if self.kind is Kind.ONESHOT and self.restart in (Restart.ALWAYS, Restart.ON_SUCCESS):
            raise ValueError(f'restart = "{self.restart.value}" would run a oneshot for ever')

    def keys(self) -> tuple[UnitKey, ...]:
        """The units this service consists of."""
        return tuple(UnitKey(self.name, replica) for replica in range(self.replicas))


# What takes effect only in a new process; all else holds at once.
_FROM_EXEC = ("command", "directory", "environment", "env_files", "inherit_environment", "user", "group", "umask",
              "nice", "oom_score_adj", "limits", "kind")  # fmt: skip


def needs_restart(old: UnitSpec, new: UnitSpec) -> bool:
    """Whether a life launched under `old` must be replaced for `new` to hold."""
    outputs = (old.logs.stdout, old.logs.stderr) != (new.logs.stdout, new.logs.stderr)
    return outputs or any(getattr(old, name) != getattr(new, name) for name in _FROM_EXEC)
