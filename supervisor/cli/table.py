"""Rows of cells as lines, for a terminal of some width or for none.

Rules: what is for a program is one line a row, however long. On a terminal a line that would not fit puts its note on
lines of its own below; where that is not enough the columns that matter least are left out.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from attrs import frozen

#: A cell without a value.
NOTHING = "-"
_GAP = "  "
_INDENT = "    "
_NARROWEST = 20


@frozen
class Column:
    """One column: its heading, whether it is aligned to the right, and how soon it goes (0: never, 1: last).

    What `moves` is not lost then: it is said in the note.
    """

    head: str
    right: bool = False
    goes: int = 0
    moves: bool = False


@frozen
class Line:
    """A line of a table: its cells, padded; `note` is what stands behind them, or below."""

    cells: tuple[str, ...]
    note: str = ""
    below: tuple[str, ...] = ()

    def text(self, cells: Sequence[str] | None = None) -> str:
        """The whole of it; `cells` may be the same ones in colour."""
        whole = _GAP.join([*(cells or self.cells), self.note]).rstrip()
        return "\n".join([whole, *self.below])


@frozen
class Layout:
    """The columns that are shown (by number), and the lines, the heading first."""

    shown: tuple[int, ...]
    lines: tuple[Line, ...]


def lay_out(
    columns: Sequence[Column], rows: Sequence[Sequence[str]], notes: Sequence[str], width: int | None
) -> Layout:
    """The table; `notes` has one text a row, the last column, whose heading is NOTE. `width` None is without limit."""
    everything = [[column.head for column in columns], *rows]
    widths = [max(len(row[at]) for row in everything) for at in range(len(columns))]
    said = ["NOTE" if any(notes) else "", *notes]
    shown = tuple(range(len(columns)))
    longest = max(map(len, said))
    if width is None or _total(widths, shown) + (len(_GAP) + longest if longest else 0) <= width:
        return Layout(
            shown, tuple(_line(columns, widths, shown, row, note) for row, note in zip(everything, said, strict=True))
        )
    while _total(widths, shown) > width and any(columns[at].goes for at in shown):
        gone = max(shown, key=lambda at: columns[at].goes)
        shown = tuple(at for at in shown if at != gone)
    said = ["", *(_moved(columns, shown, row, note) for row, note in zip(rows, notes, strict=True))]
    lines = []
    for row, note in zip(everything, said, strict=True):
        line = _line(columns, widths, shown, row, "")
        below = textwrap.wrap(note, max(width, _NARROWEST), initial_indent=_INDENT, subsequent_indent=_INDENT)
        lines.append(Line(line.cells, "", tuple(below)))
    return Layout(shown, tuple(lines))


def _moved(columns: Sequence[Column], shown: Sequence[int], row: Sequence[str], note: str) -> str:
    """The note, and before it what the columns that are gone had to say."""
    gone = [at for at, column in enumerate(columns) if column.moves and at not in shown and row[at] != NOTHING]
    return "; ".join([*(f"{columns[at].head.lower()}: {row[at]}" for at in gone), *filter(None, [note])])


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[at] for at in shown) + len(_GAP) * (len(shown) - 1)


def _line(
    columns: Sequence[Column], widths: Sequence[int], shown: Sequence[int], row: Sequence[str], note: str
) -> Line:
    cells = (row[at].rjust(widths[at]) if columns[at].right else row[at].ljust(widths[at]) for at in shown)
    return Line(tuple(cells), note)
