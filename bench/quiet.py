"""Waits until nobody else uses the machine, because other work does not slow both sides alike.

The C program does one thing at a time and loses a time slice wherever another process competes with it; a supervisor
with several threads loses less. So on a busy machine the ratios flatter, and each turn begins when the machine is at
rest, as far as patience goes; how many did not is printed under the table.
"""

from __future__ import annotations

import time

from attrs import define

_BUSY = 0.15  # share of all processors
_LOOK = 0.1  # seconds
_PATIENCE = 60.0  # seconds of waiting in one benchmark


@define
class Quiet:
    """The patience of one benchmark, and how its turns began."""

    patience: float = _PATIENCE
    turns: int = 0
    disturbed: int = 0

    def wait(self) -> None:
        """Return when the processors are at rest, or patience is spent."""
        self.turns += 1
        begin = time.monotonic()
        while _busy_share() > _BUSY:
            if time.monotonic() - begin > self.patience:
                self.disturbed += 1
                break
        self.patience -= max(0.0, time.monotonic() - begin - _LOOK)

    def text(self) -> str:
        """Say how many turns began on a busy machine; nothing if none did."""
        return f"  {self.disturbed} of {self.turns} turns began on a busy machine" if self.disturbed else ""


def _busy_share() -> float:
    """Give the share of processor time (0 to 1) that was not idle, over a short look."""
    before = _ticks()
    time.sleep(_LOOK)
    busy, idle = (after - earlier for after, earlier in zip(_ticks(), before, strict=True))
    return busy / max(1, busy + idle)


def _ticks() -> tuple[int, int]:
    """Give busy and idle ticks of all processors since boot: proc(5), the first line of /proc/stat."""
    with open("/proc/stat", encoding="ascii") as file:
        ticks = [int(word) for word in file.readline().split()[1:9]]
    idle = ticks[3] + ticks[4]
    return sum(ticks) - idle, idle
