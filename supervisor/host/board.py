"""The board: where the loop hangs its newest picture of the fleet and others read it, or wait for one they need."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from supervisor.core.view import FleetView


class Board:
    """One writer, the loop, which never waits for a reader; reading takes no lock."""

    def __init__(self) -> None:
        self.view = FleetView()
        self._changed = threading.Condition()
        self._waiting = 0

    def publish(self, view: FleetView) -> None:
        """Hang up a new picture.

        The lock is taken only when somebody waits, and a waiter holds it for one comparison at most.
        """
        self.view = view
        if self._waiting:
            with self._changed:
                self._changed.notify_all()

    def wait(self, until: Callable[[FleetView], bool], timeout: float) -> FleetView | None:
        """The first picture, from now, for which `until` holds; None when `timeout` seconds passed.

        `until` runs outside the lock, so that it cannot hold up the loop however long it takes.
        """
        end = time.monotonic() + timeout
        with self._changed:
            self._waiting += 1
        try:
            while not until(view := self.view):
                left = end - time.monotonic()
                if left <= 0:
                    return None
                with self._changed:
                    if self.view is view:
                        self._changed.wait(left)
            return view
        finally:
            with self._changed:
                self._waiting -= 1
