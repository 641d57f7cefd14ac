"""The page of the state machine is generated from the table, and the committed one is fresh.

`python -m tests.core.test_diagram` writes it anew.
"""

from __future__ import annotations

import re
from pathlib import Path

from supervisor.core.decide import COLUMNS, TABLE
from supervisor.core.diagram import GENERATOR, markdown, mermaid, page
from supervisor.core.state import State

PAGE = Path(__file__).resolve().parents[2] / "docs" / "state-machine.md"


def test_the_committed_page_is_fresh() -> None:
    """Whoever changes the table writes the page anew."""
    assert page() == PAGE.read_text(encoding="utf-8"), f"run: {GENERATOR}"


def test_the_diagram_has_every_arrow_of_the_table_and_no_other() -> None:
    """What is drawn is what the rows declare."""
    drawn = re.findall(r"^    (\w+) --> (\w+)$", mermaid(), re.MULTILINE)
    declared = [(state.value, target.value) for state, row in TABLE.items() for target in row.leads_to]
    assert sorted(declared) == sorted(drawn)
    assert "[*] --> stopped" in mermaid()


def test_the_table_has_every_cell() -> None:
    """A line for each event, a cell for each state; what is impossible is blank, what is ignored a dot."""
    lines = [line.strip("|").split("|") for line in markdown().splitlines()]
    assert [" event ", *(f" {state.value} " for state in State)] == lines[0]
    assert [f" {column.__name__} " for column in COLUMNS] == [line[0] for line in lines[2:]]
    assert {len(State) + 1} == {len(line) for line in lines}
    cells = {
        (line[0].strip(), state): cell.strip()
        for line in lines[2:]
        for state, cell in zip(State, line[1:], strict=True)
    }
    assert "" == cells["Exited", State.STOPPED]
    assert "·" == cells["Stop", State.STOPPED]
    assert "kill_again" == cells["DeadlineReached", State.KILLING]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
