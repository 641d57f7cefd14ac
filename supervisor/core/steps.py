"""The small moves of the unit machine: entering a state, the gate before a launch, and why a life ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from supervisor.core.effects import Effect
from supervisor.core.state import ALIVE, Reason, State, Trigger, Unit

if TYPE_CHECKING:
    from supervisor.core.events import Exited

Step = tuple[Unit, tuple[Effect, ...]]

#: Seconds after which a launch without an answer is warned of, and warned of again.
OVERDUE = 10.0
#: Seconds that stragglers have between TERM and KILL.
SWEEP_GRACE = 2.0
#: Seconds between one SIGKILL and the next.
LATE = 1.0
#: Launches that an operator, the configuration or a schedule asked for do not draw on the respawn rate.
FREE = frozenset({None, Trigger.MANUAL, Trigger.CONFIG, Trigger.SCHEDULE})


@frozen
class Gate:
    """Whether the fleet lets a unit be launched now, and if not, what it waits for.

    `dependencies` are conditions that do not hold, in words. `slots` and `tokens` are the host's limits, asked only
    where the dependencies are met: `slots` holds every launch back ("parallelism"), `tokens` only respawns ("rate").
    """

    dependencies: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    tokens: tuple[str, ...] = ()

    def in_the_way(self, trigger: Trigger | None) -> tuple[str, ...]:
        """What a launch for `trigger` has to wait for; empty when it may go."""
        return self.dependencies or self.slots or (() if trigger in FREE else self.tokens)


OPEN = Gate()


def enter(unit: Unit, state: State, now: float, deadline: float | None = None) -> Unit:
    """The only way a state changes: its deadline replaces the old one, and what it no longer licenses is revoked."""
    alive = state in ALIVE
    return unit._replace(
        state=state,
        since=now if state is not unit.state else unit.since,
        deadline=deadline,
        pid=unit.pid if alive else None,
        ready_early=unit.ready_early and state is State.LAUNCHING,
        ready_at=unit.ready_at if alive else None,
        waiting_for=(),
    )


def why_died(unit: Unit, event: Exited) -> Reason:
    """The reason of an exit, by what we did to the life before what it says of itself."""
    if unit.state is State.KILLING:
        return Reason.KILLED if event.signal == 9 else unit.blame or Reason.STOPPED
    if unit.state is State.STOPPING:
        return unit.blame or Reason.STOPPED
    if event.oom:
        return Reason.OOM
    if event.code is None and event.signal is None:
        return Reason.UNKNOWN
    if unit.spec.success_exit.holds(event.code, event.signal):
        return Reason.OK
    return Reason.SIGNAL if event.signal is not None else Reason.ERROR
