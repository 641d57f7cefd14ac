"""The page about the command line says what the commands say."""

from __future__ import annotations

from pathlib import Path

from supervisor.cli.main import COMMANDS
from supervisor.cli.reference import PAGE, sections

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_fresh() -> None:
    """docs/cli.md has the commands as they are; `python -m supervisor.cli.reference docs/cli.md` writes them."""
    text = (ROOT / PAGE.path).read_text(encoding="utf-8")
    assert PAGE.refreshed(text) == text


def test_every_command_is_there() -> None:
    """With its usage and its options."""
    text = sections()
    assert [f"### {name}" for name in COMMANDS] == [line for line in text.splitlines() if line.startswith("### ")]
    assert "    respawnd status [OPTIONS] [NAME]...\n" in text
    assert "| `--timeout` DURATION | `60s` | How long to wait for the result. |" in text
    assert "| `--json` |  | Print JSON. |" in text
