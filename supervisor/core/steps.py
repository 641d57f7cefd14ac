"""The small moves of the unit machine: entering a state, the gate before a launch, and why a life ended."""

from __future__ import annotations

from attrs import frozen

from supervisor.core.effects import Effect
from supervisor.core.events import Exited
from supervisor.core.model import UnitSpec
from supervisor.core.state import Reason, State, Unit

Step = tuple[Unit, tuple[Effect, ...]]

#: Seconds after which a launch without an answer is warned of, and warned of again.
OVERDUE = 10.0
#: Seconds that stragglers have between TERM and KILL (product.md section 3, `stop`).
SWEEP_GRACE = 2.0
#: Seconds between one SIGKILL and the next.
LATE = 1.0


@frozen
class Gate:
    """Whether the fleet lets a unit be launched now, and if not, what it waits for.

    `dependencies` are conditions that do not hold, in words; `queue` is what the host's limits hold back ("rate",
    "parallelism"), which applies to a launch only after the dependencies do not.
    """

    dependencies: tuple[str, ...] = ()
    queue: tuple[str, ...] = ()

    @property
    def waiting_for(self) -> tuple[str, ...]:
        """All that is in the way; empty when the launch may go."""
        return self.dependencies or self.queue


OPEN = Gate()


def enter(unit: Unit, state: State, now: float, deadline: float | None = None) -> Unit:
    """The only way a state changes: its deadline replaces the old one, and what it no longer licenses is revoked."""
    alive = state in (State.STARTING, State.RUNNING, State.STOPPING, State.KILLING)
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


def reconfigured(unit: Unit, spec: UnitSpec, now: float) -> Unit:
    """The unit under its new specification; what it has lived through stays."""
    return unit._replace(spec=spec)
