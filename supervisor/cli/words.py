"""Numbers as people read them."""

from __future__ import annotations

import signal
from collections.abc import Sequence

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span(seconds: float) -> str:
    """A duration in at most two units: "0.3s", "42s", "3m12s", "2d4h"."""
    if seconds < 9.95:
        return f"{max(seconds, 0):.1f}s"
    left = round(seconds)
    at = next(number for number, (length, _) in enumerate(_UNITS) if left >= length)
    length, unit = _UNITS[at]
    if length == 1:
        return f"{left}s"
    smaller, name = _UNITS[at + 1]
    rest = left % length // smaller
    return f"{left // length}{unit}" + (f"{rest}{name}" if rest else "")


def size(count: int) -> str:
    """Bytes in binary units, with the digits that say something."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1023.5:
            return f"{value:.0f}{unit}" if value >= 9.95 or unit == "B" else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}TiB"


def plural(count: int, word: str) -> str:
    """Count something: 1 service, 2 services."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def listed(names: Sequence[str], most: int = 10) -> str:
    """The first few, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def signal_name(number: int) -> str:
    """A signal as people call it."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
