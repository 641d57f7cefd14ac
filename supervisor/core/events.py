"""What happened: frozen facts, each posted once, in the order of precedence in which one turn takes them.

Precedence, and why: launch results, readiness, exits, commands, deadlines. A child that says READY and dies at once was
ready; an exit that raced its kill deadline is an exit.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import Consumed, LaunchError, Trigger


@frozen
class Origin:
    """Who gave a command.

    `who` is for people ("uid 0 over the control socket"); `trace` is the asker's own W3C traceparent, or "".
    """

    who: str
    trace: str = ""


@frozen
class Launched:
    """Exec was confirmed.

    `at` is monotonic, `wall` wall time; `spent` is the seconds from the call to the confirmation, `method` the road
    that was taken.
    """

    key: UnitKey
    life: int
    pid: int
    at: float
    wall: float
    spent: float = 0.0
    method: str = ""


@frozen
class LaunchFailed:
    """No life came of the launch. `draw` is a number from 0 to 1 for the jitter of a delay."""

    key: UnitKey
    life: int
    error: LaunchError
    draw: float = 0.5


@frozen
class Ready:
    """The life says, or a probe found, that it does its work."""

    key: UnitKey
    life: int


@frozen
class Exited:
    """The main process is dead and reaped. `left` tells that others of its session, group or tag still live.

    `woke` is the moment at which the loop woke with the news: `at` less it is what noticing took.
    """

    key: UnitKey
    life: int
    code: int | None
    signal: int | None
    at: float
    wall: float
    core: bool = False
    oom: bool = False
    left: bool = False
    draw: float = 0.5
    woke: float | None = None
    consumed: Consumed | None = None


@frozen
class Gone:
    """The last straggler of a dead life is gone."""

    key: UnitKey
    life: int


@frozen
class Unhealthy:
    """A liveness check failed often enough."""

    key: UnitKey
    life: int
    detail: str = ""


@frozen
class Adopted:
    """A life of an earlier daemon was found and is ours again."""

    key: UnitKey
    life: int
    pid: int
    at: float
    wall: float


@frozen
class Start:
    """An operator, or the boot, wants these up. An operator's start clears streak and budget."""

    keys: tuple[UnitKey, ...]
    origin: Origin | None = None


@frozen
class Stop:
    """An operator wants these down; dependents among them first."""

    keys: tuple[UnitKey, ...]
    origin: Origin | None = None


@frozen
class RestartAsked:
    """These are to be stopped and started again, for `trigger`."""

    keys: tuple[UnitKey, ...]
    trigger: Trigger = Trigger.MANUAL
    origin: Origin | None = None


@frozen
class Reconfigured:
    """A new configuration was accepted whole: the services it has, by name."""

    specs: Mapping[str, UnitSpec]


@frozen
class Shutdown:
    """Everything is to stop, in reverse order, then the daemon ends with `code`. A second one hurries: kill now."""

    code: int = 0
    hurry: bool = False
    origin: Origin | None = None


@frozen
class DependencyLost:
    """A dependency of this unit no longer holds its condition."""

    key: UnitKey
    service: str


@frozen
class DependencyBack:
    """What this unit waited for may have come: look again."""

    key: UnitKey


@frozen
class ConfigChanged:
    """This unit has a new specification; `replace` tells that the present life cannot go on under it."""

    key: UnitKey
    spec: UnitSpec
    replace: bool


@frozen
class Quarantined:
    """Deciding for this unit raised an error; it is set aside, the rest goes on."""

    key: UnitKey
    text: str


@frozen
class DeadlineReached:
    """The unit's own deadline is due."""

    key: UnitKey


UnitEvent = (
    Launched | LaunchFailed | Ready | Exited | Gone | Unhealthy | Adopted | DependencyLost | DependencyBack
    | ConfigChanged | Quarantined | DeadlineReached
)  # fmt: skip
FleetEvent = Start | Stop | RestartAsked | Reconfigured | Shutdown
Event = UnitEvent | FleetEvent

#: Lower goes first within one turn.
PRECEDENCE: dict[type, int] = {
    Launched: 0, LaunchFailed: 0, Adopted: 0, Ready: 1, Exited: 2, Gone: 2, Unhealthy: 3, Start: 4, Stop: 4,
    RestartAsked: 4, Reconfigured: 4, Shutdown: 4,
}  # fmt: skip
