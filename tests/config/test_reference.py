"""The pages on configuration hold what the schema holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.config.formats import ini_file, ini_program, ini_servers
from supervisor.config.page import END, Page
from supervisor.config.reference import PAGE, tables
from supervisor.config.schema import TOP
from supervisor.config.table import Table

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_fresh() -> None:
    """docs/configuration.md has the tables of the schema; `python -m supervisor.config.reference` writes them."""
    page = (DOCS / "configuration.md").read_text(encoding="utf-8")
    assert PAGE.refreshed(page) == page


def test_a_page_is_refreshed_in_place(tmp_path: Path) -> None:
    """What stands around the marks stays; a page without marks is refused, and left alone."""
    page, path = Page("some.module", "docs/x.md", lambda: "new"), tmp_path / "x.md"
    assert "<!-- generated: python -m some.module docs/x.md -->" == page.begin
    path.write_text(f"before\n{page.begin}\nold\n{END}\nafter\n", encoding="utf-8")
    page.refresh(str(path))
    assert f"before\n{page.begin}\n\nnew\n{END}\nafter\n" == path.read_text(encoding="utf-8")
    path.write_text("no marks", encoding="utf-8")
    with pytest.raises(ValueError, match="cannot refresh the page: it needs the lines"):
        page.refresh(str(path))
    assert "no marks" == path.read_text(encoding="utf-8")


def test_every_key_has_a_meaning() -> None:
    """No key is without a word on what it is for."""

    def mute(table: Table) -> list[str]:
        inner = [name for key in table.keys.values() if key.table for name in mute(key.table)]
        return [key.name for key in table.keys.values() if not key.says or not key.reader.says] + inner

    assert [] == mute(TOP)
    assert "`stop.scope`" in tables()


def test_every_key_of_supervisord_is_on_its_page() -> None:
    """docs/supervisord.md says of each key what becomes of it."""
    page = (DOCS / "supervisord.md").read_text(encoding="utf-8").replace("*_", "stdout_")
    ours = {key.replace("stderr_", "stdout_") for key in ini_program.KEYS}
    known = ours | ini_servers.KNOWN | ini_servers.UNIX | ini_servers.INET | set(ini_file.SECTIONS)
    assert set() == {key for key in known if key not in page}
