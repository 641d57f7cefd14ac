"""How a long-lived thread of the metrics shows that it works or waits; these rooms may not enter that of the host."""

from __future__ import annotations

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
