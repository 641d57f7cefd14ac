"""A file in the middle of an edit still tells where its daemon is."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.config import places
from supervisor.config.salvage import salvaged
from tests.config.files import ENVIRON, USER, write


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x.toml", "[daemon]\nstate_dir = \"/s\" # here\nruntime_dir = '/r'\n[service.web\n"),
        ("x.toml", 'daemon = { state_dir = "/s", runtime_dir = "/r" }\ncommand = [\n'),
        ("x.toml", 'daemon.state_dir = "/s"\ndaemon.runtime_dir = "/r"\n= 1\n'),
        ("x.yaml", "daemon:\n  state_dir: /s   # here\n  runtime_dir: /r\n service: [\n"),
        ("x.json", '{"daemon": {"state_dir": "/s", "runtime_dir": "/r"}, "service": {'),
        ("x.ini", "[respawnd]\nstate_dir = /s ; here\ndaemon.runtime_dir = /r\n[program:x]\ncommand\n"),
    ],
)
def test_a_file_that_cannot_be_parsed(tmp_path: Path, name: str, text: str) -> None:
    """Whatever its format, the two keys are found by their looks."""
    assert ("/s", "/r") == places(write(tmp_path / name, text), environ=ENVIRON, euid=USER)


def test_values_are_read_as_ever(tmp_path: Path) -> None:
    """Relative paths start at the file, variables are expanded, the environment comes first."""
    path = write(tmp_path / "x.toml", '[daemon]\nstate_dir = "${HOME}/s"\nruntime_dir = "r"\n[')
    assert ("/home/ann/s", f"{tmp_path}/r") == places(path, environ=ENVIRON, euid=USER)
    environ = {**ENVIRON, "RESPAWND_STATE_DIR": "/other"}
    assert ("/other", f"{tmp_path}/r") == places(path, environ=environ, euid=USER)
    here = write(tmp_path / "x.ini", "[respawnd]\nstate_dir = %(here)s/s\nno value\n")
    assert (f"{tmp_path}/s", f"{tmp_path}/s/run") == places(here, environ=ENVIRON, euid=USER)


def test_what_is_no_key_is_no_key() -> None:
    """Comments, other words and values that have no end say nothing; the first hit counts."""
    assert {} == salvaged('# state_dir = "/x"\n; state_dir = /x\nmy_state_dir = 1\nstate_dir = "open\nstate_dir =\n')
    assert {"state_dir": "/a"} == salvaged("state_dir = /a\nstate_dir = /b\n")
