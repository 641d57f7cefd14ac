"""Tables on terminals of every width, and where there is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.cli.table import Column, lay_out

COLUMNS = (Column("NAME"), Column("PID", right=True, goes=1), Column("CPU", right=True, goes=2))
ROWS = [("web", "1234", "0.5%"), ("a-long-name", "-", "12.0%")]
NOTES = ["", "next start in 4.1s; failure 3/10"]


def text(width: int | None, notes: list[str] | None = None) -> list[str]:
    """The lines of the table."""
    lines = lay_out(COLUMNS, ROWS, NOTES if notes is None else notes, width).lines
    return [part for line in lines for part in line.text().split("\n")]


@pytest.mark.parametrize("width", [None, 200, 58])
def test_what_fits_is_one_line_a_row(width: int | None) -> None:
    """The note is the last column; nothing trails."""
    assert [
        "NAME          PID    CPU  NOTE",
        "web          1234   0.5%",
        "a-long-name     -  12.0%  next start in 4.1s; failure 3/10",
    ] == text(width)


def test_a_note_that_does_not_fit_stands_below() -> None:
    """On lines of its own, wrapped, behind an indent; the heading says nothing of it."""
    assert [
        "NAME          PID    CPU",
        "web          1234   0.5%",
        "a-long-name     -  12.0%",
        "    next start in 4.1s;",
        "    failure 3/10",
    ] == text(24)


def test_columns_go_when_there_is_no_room() -> None:
    """Those that matter least first, the ones that never go stay however narrow it is."""
    assert ["NAME          PID", "web          1234", "a-long-name     -"] == text(20, ["", ""])
    assert ["NAME", "web", "a-long-name"] == text(5, ["", ""])


def test_what_a_column_had_to_say_may_move_into_the_note() -> None:
    """In the words of its heading, unless it was nothing."""
    columns = (Column("NAME"), Column("LAST EXIT", goes=1, moves=True))
    lines = lay_out(columns, [("web", "SIGKILL, 3m ago"), ("db", "-")], ["failure 1/10", "waits"], 20).lines
    assert ["NAME", "web\n    last exit:\n    SIGKILL, 3m ago;\n    failure 1/10", "db\n    waits"] == [
        line.text().replace("  \n", "\n").replace(" \n", "\n") for line in lines
    ]


def test_without_notes_there_is_no_heading_for_them() -> None:
    """The last column is the last one that has something."""
    assert "NAME          PID    CPU" == text(None, ["", ""])[0]


def test_a_long_word_in_a_note_is_broken() -> None:
    """A path that is longer than the terminal is wide does not overflow it."""
    assert 24 >= max(map(len, text(24, ["", "/srv/" + "x" * 60])))


@given(st.integers(1, 120), st.lists(st.text("ab /", max_size=90), min_size=2, max_size=2))
def test_nothing_is_wider_than_the_terminal(width: int, notes: list[str]) -> None:
    """Except what can be made no narrower: the columns that never go, and a note in twenty columns."""
    lines = text(width, [" ".join(note.split()) for note in notes])
    assert max(map(len, lines)) <= max(width, len("a-long-name"), 20)
