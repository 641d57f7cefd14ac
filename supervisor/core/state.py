"""What a unit is now: its state, its want, its life and its history, as one frozen value.

Want (what the operator asked for) and state (what is) are two fields; each unit has at most one deadline, which its
state owns, so that a stale timer cannot exist; each life has a number, so that news of an older life can be told apart.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from attrs import frozen

if TYPE_CHECKING:
    from supervisor.core.model import UnitKey, UnitSpec


class Want(Enum):
    """What the operator, or the configuration, asks for."""

    UP = "up"
    DOWN = "down"


class State(Enum):
    """What is. Outsiders see `word` and `code`, eight of each."""

    STOPPED = "stopped"
    WAITING = "waiting"
    LAUNCHING = "launching"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    KILLING = "killing"
    BACKOFF = "backoff"
    FATAL = "fatal"
    EXITED = "exited"
    SCHEDULED = "scheduled"

    # By identity, which is equality here: the library's own hashes the name, in Python, at each look into a set.
    __hash__ = object.__hash__

    @property
    def word(self) -> str:
        """The state as users see it (docs/state-machine.md)."""
        return _WORDS.get(self, self.value)

    @property
    def code(self) -> int:
        """supervisord's number of the state, with 5 for waiting, which it lacks."""
        return CODES[self.word]


_WORDS = {State.LAUNCHING: "starting", State.KILLING: "stopping", State.SCHEDULED: "waiting"}
CODES = {
    "stopped": 0,
    "waiting": 5,
    "starting": 10,
    "running": 20,
    "backoff": 30,
    "stopping": 40,
    "exited": 100,
    "fatal": 200,
}

#: A process of ours exists, or its stragglers do.
ALIVE = frozenset({State.STARTING, State.RUNNING, State.STOPPING, State.KILLING})
#: Nothing will happen until somebody asks.
RESTING = frozenset({State.STOPPED, State.EXITED, State.FATAL})
#: Nothing lives and nothing is on its way to live in this turn.
LIFELESS = frozenset({State.STOPPED, State.EXITED, State.FATAL, State.BACKOFF, State.WAITING, State.SCHEDULED})


class Reason(Enum):
    """Why a life ended (label `reason` of respawnd_service_exits_total)."""

    OK = "ok"
    ERROR = "error"
    SIGNAL = "signal"
    OOM = "oom"
    TIMEOUT = "timeout"
    STOPPED = "stopped"
    KILLED = "killed"
    UNKNOWN = "unknown"


class Trigger(Enum):
    """What caused a respawn (label `trigger` of respawnd_service_restarts_total)."""

    CRASH = "crash"
    EXIT = "exit"
    HEALTH = "health"
    OOM = "oom"
    DEPENDENCY = "dependency"
    CONFIG = "config"
    MANUAL = "manual"
    FEEDBACK = "feedback"
    LIMIT = "limit"
    SCHEDULE = "schedule"


@frozen
class Exit:
    """How a life ended. `code` is None when a signal ended it, both when nobody can know; `at` is wall time."""

    code: int | None
    signal: int | None
    reason: Reason
    at: float
    core: bool = False


@frozen
class LaunchError:
    """Why no life came of a launch: the stage that failed, its errno and a text for people."""

    stage: str
    errno: int
    text: str


class Consumed(NamedTuple):
    """What a dead life used, with the children that it waited for (getrusage(2)): seconds, bytes of storage, bytes."""

    user: float
    system: float
    read: int
    written: int
    peak: int


class Unit(NamedTuple):
    """One replica of a service: everything that is known of it, changed only by `supervisor.core.decide`.

    A named tuple and not an attrs class, because every decision makes a changed copy: `_replace` takes 2.5 us where
    `attrs.evolve` takes 17 for as many fields.

    Moments are monotonic seconds except `started_wall`. `streak` counts failures in a row, `failures` holds the moments
    of those within the give-up window. `died_at` and `delay` describe the respawn under way, for its latency.
    `launched_as` is the specification that the present life was launched under, where `spec` is the newest. `aside` is
    the state in which quarantine found the unit, kept while something of that life may remain.
    """

    key: UnitKey
    spec: UnitSpec
    want: Want = Want.DOWN
    state: State = State.STOPPED
    since: float = 0.0
    deadline: float | None = None
    life: int = 0
    pid: int | None = None
    started_at: float | None = None
    started_wall: float | None = None
    ready_at: float | None = None
    ready_early: bool = False
    exit: Exit | None = None
    error: LaunchError | None = None
    streak: int = 0
    failures: tuple[float, ...] = ()
    half_open: bool = False
    restarts: int = 0
    trigger: Trigger | None = None
    blame: Reason | None = None
    died_at: float | None = None
    delay: float = 0.0
    waiting_for: tuple[str, ...] = ()
    completed: bool = False
    completed_ok: bool = False
    main_gone: bool = False
    launched_as: UnitSpec | None = None
    aside: State | None = None
    draw: float = 0.5

    @property
    def name(self) -> str:
        """The unit as people write it: the service alone where it has one replica."""
        return self.spec.name if self.spec.replicas == 1 else str(self.key)

    @property
    def up(self) -> bool:
        """Whether the main process exists and passed its start grace."""
        return self.state is State.RUNNING
