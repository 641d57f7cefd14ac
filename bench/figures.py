"""The figures of a run: values side by side, targets, verdicts, and how they are printed.

A row holds one measured quantity for every subject. Its ratio is respawnd's value over the C program's, or over that of
whatever else the row is held against; a target bounds either that ratio or the value itself. Units: seconds are stored
and shown in a readable scale.
"""

from __future__ import annotations

import math
from enum import Enum

from attrs import asdict, field, frozen

REFERENCE = "C"
OURS = "respawnd"


class Bound(Enum):
    """What a target bounds."""

    RATIO_AT_MOST = "≤ {ratio}"
    RATIO_AT_LEAST = "≥ {ratio}"
    AT_MOST = "≤ {limit}"
    AT_LEAST = "≥ {limit}"
    NEAR_ONE = "1 ± {plain}"


@frozen
class Target:
    """One number of the issue."""

    bound: Bound
    limit: float

    def text(self, unit: str) -> str:
        """Give the target for people, in the unit of its row."""
        return self.bound.value.format(limit=show(self.limit, unit), ratio=f"{self.limit:g}x", plain=f"{self.limit:g}")

    def met(self, ours: float, ratio: float) -> bool:
        """Tell whether the figure keeps the target."""
        judged = ratio if self.bound in {Bound.RATIO_AT_MOST, Bound.RATIO_AT_LEAST} else ours
        if self.bound is Bound.NEAR_ONE:
            return abs(ours - 1) <= self.limit
        upwards = self.bound in {Bound.AT_LEAST, Bound.RATIO_AT_LEAST}
        return judged >= self.limit if upwards else judged <= self.limit


@frozen
class Row:
    """One quantity, measured on each subject in the same run."""

    what: str
    unit: str  # s | MB/s | /s | % | MiB | KiB | count | x
    values: dict[str, float]
    target: Target | None = None
    note: str = ""
    against: str = REFERENCE

    @property
    def ratio(self) -> float:
        """Respawnd's value over that of ``against``; NaN where one of them is missing or the other's is zero."""
        ours, theirs = self.values.get(OURS, math.nan), self.values.get(self.against, math.nan)
        return ours / theirs if theirs else math.nan

    @property
    def verdict(self) -> str:
        """PASS or over where there is a target and a figure, else nothing."""
        ours = self.values.get(OURS)
        if self.target is None or ours is None:
            return ""
        return "PASS" if self.target.met(ours, self.ratio) else "over"


@frozen
class Table:
    """What one benchmark found."""

    name: str
    title: str
    rows: list[Row]
    seconds: float = 0.0
    failures: list[str] = field(factory=list)
    disturbance: str = ""

    def document(self) -> dict[str, object]:
        """Give the table as values that JSON can hold, ratio and verdict included."""
        rows = [_row_document(row) for row in self.rows]
        return {**asdict(self, recurse=False), "rows": rows}


def quantile(values: list[float], share: float) -> float:
    """Give the smallest value that at least ``share`` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def median(values: list[float]) -> float:
    """Give the middle value, or the mean of the middle two."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def show(value: float, unit: str) -> str:
    """Give a value in a scale that reads well, three digits or so."""
    if math.isnan(value):
        return "-"
    if unit == "s":
        for scale, name in ((1e-6, "µs"), (1e-3, "ms")):
            if abs(value) < scale * 1000:
                return f"{value / scale:.3g} {name}" if value < scale * 99.95 else f"{value / scale:.0f} {name}"
        return f"{value:.3g} s"
    if unit == "count":
        return f"{value:.0f}"
    number = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number}{unit}" if unit in {"%", "x", "/s"} else f"{number} {unit}"


def render(table: Table) -> str:
    """Give the table as text: a title, a line a row, then notes and failures."""
    names = _subjects(table.rows)
    head = ["", *names, _ratio_head(table.rows), "target", ""]
    lines = [head] + [_cells(row, names) for row in table.rows]
    widths = [max(len(line[at]) for line in lines) for at in range(len(head))]
    body = ["  ".join(_pad(cell, widths[at], left=at == 0) for at, cell in enumerate(line)).rstrip() for line in lines]
    notes = [f"  {row.what}: {row.note}" for row in table.rows if row.note]
    extra = [*table.failures, *filter(None, [table.disturbance])]
    return "\n".join([f"{table.name}: {table.title}  ({table.seconds:.0f} s)", *body, *notes, *extra, ""])


def _subjects(rows: list[Row]) -> list[str]:
    seen = {name for row in rows for name in row.values}
    first = [name for name in (REFERENCE, OURS) if name in seen]
    return first + sorted(seen - set(first))


def _ratio_head(rows: list[Row]) -> str:
    """Name what ratios are over, where that is one other than the C program."""
    others = {row.against for row in rows if not math.isnan(row.ratio)}
    return "ratio" if len(others) != 1 or REFERENCE in others else f"over {others.pop()}"


def _cells(row: Row, names: list[str]) -> list[str]:
    values = [show(row.values.get(name, math.nan), row.unit) for name in names]
    ratio = "-" if math.isnan(row.ratio) else f"{row.ratio:.2f}"
    return [f"  {row.what}", *values, ratio, "" if row.target is None else row.target.text(row.unit), row.verdict]


def _pad(cell: str, width: int, *, left: bool) -> str:
    return cell.ljust(width) if left else cell.rjust(width)


def _row_document(row: Row) -> dict[str, object]:
    ratio = None if math.isnan(row.ratio) else row.ratio
    target = None if row.target is None else row.target.text(row.unit)
    return {**asdict(row, recurse=False), "ratio": ratio, "target": target, "verdict": row.verdict}
