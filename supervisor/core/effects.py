"""What is to be done: frozen requests that the host carries out, and what observers are told. Nothing here acts."""

from __future__ import annotations

from attrs import field, frozen

from supervisor.core.events import Event
from supervisor.core.model import Scope, UnitKey, UnitSpec
from supervisor.core.state import Unit


@frozen
class Launch:
    """Start life number `life` of a unit; answered by exactly one Launched or LaunchFailed."""

    key: UnitKey
    life: int
    spec: UnitSpec


@frozen
class Signal:
    """Send `signal` to the main process of a life, or to its whole group."""

    key: UnitKey
    life: int
    signal: int
    scope: Scope


@frozen
class Sweep:
    """Send `signal` to all of a life: its main process if that lives, its group, its session, what carries its tag.

    Once the main process is dead, answered by Gone when none of the others lives.
    """

    key: UnitKey
    life: int
    signal: int


@frozen
class Forget:
    """The unit has left the configuration and is at rest: close what is kept for it."""

    key: UnitKey


@frozen
class Notice:
    """Something an operator should read; `level` is a word of the daemon's log, `unit` the one it is about."""

    unit: Unit
    level: str
    text: str


@frozen
class ShutdownAsked:
    """A service asks for the shutdown of everything, with the daemon's exit status `code`; `text` says why."""

    code: int
    text: str


@frozen
class Finish:
    """All is at rest after a shutdown: the daemon ends with `code`."""

    code: int


Effect = Launch | Signal | Sweep | Forget | Notice | ShutdownAsked | Finish


@frozen
class Transition:
    """A change of state, for observers, and the event that caused it."""

    was: Unit
    unit: Unit
    at: float
    cause: Event

    @property
    def event(self) -> str:
        """The name of the event's class."""
        return type(self.cause).__name__


@frozen
class Wanted:
    """The want changed and the state did not, for observers: a start while stopping, a stop while launching."""

    was: Unit
    unit: Unit
    at: float
    cause: Event


@frozen
class Turn:
    """What came of one event; `inner` are the events that the fleet gave to its units by itself."""

    effects: list[Effect] = field(factory=list)
    transitions: list[Transition | Wanted] = field(factory=list)
    inner: list[Event] = field(factory=list)
