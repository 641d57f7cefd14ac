"""Which file a command means, and what is launched inline."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from supervisor.host.programs import QUICK, Program, Programs, candidates, is_remote, look_up
from supervisor.host.refusal import Refusal


def test_quick_until_it_was_slow() -> None:
    """One quick launch is enough at first; after a slow one it takes a row of them."""
    program = Program("/bin/true")
    assert (False, False) == (program.quick, program.slow)
    program.took(0.001)
    assert (True, False) == (program.quick, program.slow)
    program.took(QUICK)
    assert (False, True) == (program.quick, program.slow)
    for _ in range(5):
        program.took(0.001)
        assert not program.quick
    program.took(0.001)
    assert (True, False) == (program.quick, program.slow)


def test_places_along_a_path() -> None:
    """An empty element is the working directory; a slash means no search."""
    assert ["/a/x", "./x", "b/x"] == candidates("x", "/a::b")
    assert ["./x"] == candidates("./x", "/a")


def test_directories_and_other_files_are_passed_over(tmp_path: Path) -> None:
    """A directory of that name is no program; a file without the x bit is told if there is no better one."""
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    (tmp_path / "a" / "x").mkdir()
    (tmp_path / "b" / "x").touch()
    path = f"{tmp_path}/a:{tmp_path}/b:{tmp_path}/c"
    with pytest.raises(Refusal) as caught:
        look_up("x", path, None)
    assert ("exec", errno.EACCES) == (caught.value.error.stage, caught.value.error.errno)
    (tmp_path / "c" / "x").touch(mode=0o755)
    assert f"{tmp_path}/c/x" == look_up("x", path, None)
    assert f"{tmp_path}/c/x" == look_up("x", "a:c", str(tmp_path))


def test_what_was_lost_is_looked_for_again(tmp_path: Path) -> None:
    """Findings are kept until the program is said to be gone."""
    (tmp_path / "x").touch(mode=0o755)
    programs = Programs()
    assert programs.known("x", str(tmp_path), None) is None
    found = programs.find("x", str(tmp_path), None)
    assert found is programs.known("x", str(tmp_path), None)
    assert found is programs.find("x", str(tmp_path), None)
    programs.lost(found)
    assert programs.known("x", str(tmp_path), None) is None


def test_a_local_disk_is_not_remote() -> None:
    """The root file system here; what is not there is not remote either."""
    assert not is_remote("/bin/true")
    assert not is_remote("/none/at/all")
