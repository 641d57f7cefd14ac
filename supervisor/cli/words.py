"""Numbers as people read them, and tables."""

from __future__ import annotations

from collections.abc import Collection, Sequence

_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def span(seconds: float) -> str:
    """A duration in at most two units: "0.3s", "42s", "3m12s", "2d4h"."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f}s"
    left = int(seconds)
    for number, (length, unit) in enumerate(_UNITS):
        if left >= length:
            rest = left % length
            smaller, name = _UNITS[number + 1] if number + 1 < len(_UNITS) else (1, "s")
            return f"{left // length}{unit}" + (f"{rest // smaller}{name}" if rest // smaller and length > 1 else "")
    return "0s"


def ago(seconds: float) -> str:
    """How long ago something was."""
    return f"{span(seconds)} ago"


def size(count: int) -> str:
    """Bytes in binary units, with three digits that say something."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{value:.0f}{unit}" if value >= 10 or unit == "B" else f"{value:.1f}{unit}"
        value /= 1024
    return f"{value:.1f}TiB"


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """The rows with their cells aligned; columns in `right` to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
