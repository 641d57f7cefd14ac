"""How a long-lived thread of the metrics is attended and shows that it works; these rooms may not enter the host's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Pulse(Protocol):
    """Where a thread shows it (supervisor.host.pulse)."""

    def busy(self) -> None:
        """A piece of work begins."""

    def idle(self) -> None:
        """The thread is about to wait."""


class Unwatched:
    """A pulse that nobody feels."""

    def busy(self) -> None:
        """Nothing."""

    def idle(self) -> None:
        """Nothing."""


#: A thread's life around its body, by name: priority, pulse, what becomes of a failure (supervisor.host.thread). The
#: body may be called again after one, so it has to find its way from any state.
Attend = Callable[[str, Callable[[Pulse], None]], None]


def unattended(name: str, body: Callable[[Pulse], None]) -> None:
    """Run the thread's body as it is."""
    body(Unwatched())
