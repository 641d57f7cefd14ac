"""The page about the command line says what the commands say."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.cli.main import COMMANDS
from supervisor.cli.reference import BEGIN, END, main, refreshed, sections

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"


def test_the_page_is_fresh() -> None:
    """docs/cli.md has the commands as they are; `python -m supervisor.cli.reference docs/cli.md` writes them."""
    text = PAGE.read_text(encoding="utf-8")
    assert refreshed(text) == text


def test_every_command_is_there() -> None:
    """With its usage and its options."""
    text = sections()
    assert [f"### {name}" for name in COMMANDS] == [line for line in text.splitlines() if line.startswith("### ")]
    assert "    respawnd status [OPTIONS] [NAME]...\n" in text
    assert "| `--timeout` DURATION | `60s` | How long to wait for the result. |" in text
    assert "| `--json` |  | Print JSON. |" in text


def test_a_page_is_refreshed_in_place(tmp_path: Path) -> None:
    """What stands around the marks is left alone; a page without them is refused."""
    path = tmp_path / "cli.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    main(str(path))
    assert f"before\n{BEGIN}\n\n{sections()}\n{END}\nafter\n" == path.read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="it needs the lines"):
        refreshed("no marks")
