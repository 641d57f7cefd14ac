"""Which file is meant, and where its daemon is."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.config import ConfigError, find, here, load, places
from tests.config.files import ENVIRON, USER, write


def test_the_order(tmp_path: Path) -> None:
    """The working directory first, then XDG's; what is named is taken as it is."""
    environ = {"XDG_CONFIG_HOME": f"{tmp_path}/xdg", "HOME": f"{tmp_path}/home"}
    cwd = str(tmp_path / "here")
    xdg = write(tmp_path / "xdg/respawnd/respawnd.toml", "")
    assert xdg == find(None, environ, USER, cwd)
    here = write(tmp_path / "here/respawnd.toml", "")
    assert here == find(None, environ, USER, cwd)
    assert "some.toml" == find("some.toml", environ, USER, cwd)


def test_root_does_not_look_where_it_stands(tmp_path: Path) -> None:
    """A file that somebody put into a directory does not run as root because root works there; root is told so."""
    write(tmp_path / "here/respawnd.toml", "")
    with pytest.raises(ConfigError, match=r"\(root does not take ./respawnd.toml by itself\)"):
        find(None, {"HOME": str(tmp_path)}, 0, str(tmp_path / "here"))
    xdg = write(tmp_path / "xdg/respawnd/respawnd.toml", "")
    assert xdg == find(None, {"XDG_CONFIG_HOME": f"{tmp_path}/xdg"}, 0, str(tmp_path / "here"))


def test_a_working_directory_that_was_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holds no configuration, and is no obstacle to one elsewhere."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    assert str(gone) == here()
    gone.rmdir()
    assert here() is None
    environ = {"XDG_CONFIG_HOME": f"{tmp_path}/xdg", "HOME": "/"}
    for euid in (0, USER):
        with pytest.raises(ConfigError, match="no configuration: looked for"):
            find(None, environ, euid, here())
    xdg = write(tmp_path / "xdg/respawnd/respawnd.toml", "")
    assert xdg == find(None, environ, USER, here())
    assert {} == load(xdg, environ=environ, euid=USER).services


def test_home_without_xdg(tmp_path: Path) -> None:
    """Where XDG_CONFIG_HOME is not set, ~/.config is meant."""
    path = write(tmp_path / ".config/respawnd/respawnd.toml", "")
    assert path == find(None, {"HOME": str(tmp_path)}, USER, "/nowhere")


def test_nothing_found(tmp_path: Path) -> None:
    """The refusal says where was looked, and what to do."""
    with pytest.raises(ConfigError) as error:
        find(None, {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}, USER, "/srv")
    line = str(error.value)
    assert f"/srv/respawnd.toml, {tmp_path}/.config/respawnd/respawnd.toml, /etc/respawnd/respawnd.toml" in line
    assert "-c FILE" in line


def test_places_of_a_configuration(tmp_path: Path) -> None:
    """Where the daemon of a file is, with what the environment sets above it."""
    path = write(tmp_path / "x.toml", '[daemon]\nstate_dir = "state"\n')
    assert (f"{tmp_path}/state", f"{tmp_path}/state/run") == places(path, environ=ENVIRON, euid=USER)
    environ = {**ENVIRON, "RESPAWND_RUNTIME_DIR": "/run/x"}
    assert (f"{tmp_path}/state", "/run/x") == places(path, environ=environ, euid=USER)


@pytest.mark.parametrize(
    "text",
    [
        '[daemon]\nstate_dir = "/s"\nlog_level = "loud"\n[service.web]\ncomand = 1\n',
        '[daemon]\nstate_dir = "/s"\nruntime_dir = 1\n',
    ],
)
def test_places_of_a_broken_file(tmp_path: Path, text: str) -> None:
    """A daemon is still where it was while somebody breaks its file."""
    assert ("/s", "/s/run") == places(write(tmp_path / "x.toml", text), environ=ENVIRON, euid=USER)


def test_places_without_a_file(tmp_path: Path) -> None:
    """Without a file, or with one that says nothing, the defaults hold."""
    default = "/home/ann/.local/state/respawnd"
    assert (default, f"{default}/run") == places(None, environ=ENVIRON, euid=USER)
    assert (default, f"{default}/run") == places(str(tmp_path / "missing.toml"), environ=ENVIRON, euid=USER)
    assert (default, f"{default}/run") == places(write(tmp_path / "x.toml", "daemon = 1"), environ=ENVIRON, euid=USER)
    assert ("/var/lib/respawnd", "/run/respawnd") == places(None, environ={}, euid=0)
    long = {**ENVIRON, "RESPAWND_RUNTIME_DIR": "/" + "x" * 200}
    assert (default, f"{default}/run") == places(None, environ=long, euid=USER)
