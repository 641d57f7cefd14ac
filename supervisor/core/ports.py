"""What the loop needs of the world, as protocols: the layers above fill them, tests fake them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen

from supervisor.core.effects import Forget, Launch, Notice, Signal, Sweep, Transition, Wanted
from supervisor.core.events import Event

#: What observers are told.
Fact = Transition | Wanted | Notice | Forget
Observer = Callable[[Fact], None]


@frozen
class Ask:
    """A request of another thread.

    `call` runs in the loop's turn and may return an event for the fleet; `done` gets None when all is taken, or the
    exception that `call` raised.
    """

    call: Callable[[], Event | None]
    done: Callable[[BaseException | None], None]


class Edge(Protocol):
    """Where effects are carried out and events come from."""

    def wait(self, timeout: float) -> Sequence[Event | Ask]:
        """Block until something happened or `timeout` seconds passed; events in order of precedence."""

    def launch(self, effect: Launch, *, alone: bool) -> Event | None:
        """Start a life; the answer at once, or later as an event. `alone`: nothing else is to be done in this turn."""

    def signal(self, effect: Signal) -> None:
        """Signal a life; one that is dead already is passed over."""

    def sweep(self, effect: Sweep) -> Event | None:
        """Signal all that is left of a life; Gone at once where nothing is."""

    def forget(self, effect: Forget) -> None:
        """Close what is kept for a unit that is no more."""
