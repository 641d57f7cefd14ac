"""What the control surfaces (HTTP API, Unix socket) may know and ask of the running daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from metrics.recorder.store import Usage
    from supervisor.core.events import Event, Origin
    from supervisor.core.model import UnitKey
    from supervisor.core.view import FleetView


@frozen
class About:
    """The daemon itself. `started_wall` is Unix time; `http` is "host:port" or None where it is off."""

    pid: int
    version: str
    started_wall: float
    generation: int
    config: str
    socket: str
    http: str | None


class Daemon(Protocol):
    """The running daemon as seen by its control surfaces; every method may be called from any thread but the loop's."""

    @property
    def about(self) -> About:
        """Who is running here."""

    def view(self) -> FleetView:
        """The present picture of the fleet."""

    def groups(self) -> Mapping[str, tuple[str, ...]]:
        """The configured groups, with the services of each."""

    def wait(self, until: Callable[[FleetView], bool], timeout: float) -> FleetView | None:
        """Block until a picture satisfies `until`; None when `timeout` seconds passed first."""

    def ask(self, call: Callable[[], Event | None], timeout: float = 10.0) -> FleetView:
        """Run `call` in the loop's turn; what it returns goes to the fleet as an event. The first picture after it.

        Raises what `call` raised, and TimeoutError when the loop did not take it in time.
        """

    def signal(self, keys: tuple[UnitKey, ...], signum: int) -> Mapping[UnitKey, str]:
        """Signal the main process of each; what could not be done, in words, by unit."""

    def reload(self, origin: Origin | None = None) -> tuple[str, ...]:
        """Read the configuration again and take it whole; the problems in words, empty when it was taken."""

    def log_path(self, key: UnitKey, stream: str) -> str | None:
        """The file that captures "stdout" or "stderr" of a unit; None where it is not captured to a file."""

    def usage(self, keys: Iterable[UnitKey]) -> Mapping[UnitKey, Usage]:
        """What the processes of each use, as of a moment ago; one that was never looked at is missing."""

    def exposition(
        self, accept: str, encoding: str, names: tuple[str, ...], budget: float | None
    ) -> tuple[bytes, tuple[tuple[str, str], ...]]:
        """The metrics page for an Accept and an Accept-Encoding header, with the headers that describe it.

        `budget` is the seconds that the scraper still waits, None where it does not say.
        """

    def alive(self) -> bool:
        """Whether the loop turned within the last 10 s."""
