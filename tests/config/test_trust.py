"""As root, only what nobody else could have written is believed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.config.files import check_trust, distrust, read_text
from supervisor.config.problem import Refused
from tests.config.files import loaded, refused, write

ROOT = pytest.mark.needs("root")
TEXT = '[service.web]\ncommand = "x"\n'


@pytest.mark.parametrize(
    ("expected", "owner", "mode"),
    [
        ("", 0, 0o100644),
        ("", 0, 0o100600),
        ("", 0, 0o100555),
        ("it is owned by uid 1000", 1000, 0o100600),
        ("others can write it (mode 0664)", 0, 0o100664),
        ("others can write it (mode 0646)", 0, 0o100646),
    ],
)
def test_who_could_have_written_it(expected: str, owner: int, mode: int) -> None:
    """A file is believed if it belongs to root and only root can write it."""
    assert expected == distrust(owner, mode)


def test_root_refuses_a_file_of_somebody_else(tmp_path: Path) -> None:
    """The same file that its owner may load is refused for root."""
    path = write(tmp_path / "respawnd.toml", TEXT)
    if os.geteuid() == 0:
        os.chown(path, 65534, -1)
    assert [] == refused(tmp_path, TEXT)
    (line,) = refused(tmp_path, TEXT, euid=0)
    assert "refused as root: it is owned by uid" in line


@ROOT
def test_root_refuses_what_others_own(tmp_path: Path) -> None:
    """A configuration that belongs to somebody else is refused, for root alone."""
    os.chown(write(tmp_path / "x.toml", TEXT), 65534, -1)
    with pytest.raises(Refused, match="refused as root: it is owned by uid 65534"):
        read_text(str(tmp_path / "x.toml"), 0)
    assert TEXT == read_text(str(tmp_path / "x.toml"), 1000)


@ROOT
def test_root_refuses_a_directory_that_everybody_can_write(tmp_path: Path) -> None:
    """Who can write a directory can exchange what is in it, unless the sticky bit keeps them from it."""
    path = write(tmp_path / "open/inner/x.toml", TEXT)
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(Refused, match=r"refused as root: everybody can write its directory .*/open$"):
        read_text(path, 0)
    (tmp_path / "open").chmod(0o1777)
    assert TEXT == read_text(path, 0)


@ROOT
def test_a_link_is_as_good_as_what_it_leads_to(tmp_path: Path) -> None:
    """The directories of the file itself are looked at, not only those of a link to it."""
    write(tmp_path / "open/x.toml", TEXT)
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "link.toml").symlink_to(tmp_path / "open/x.toml")
    with pytest.raises(Refused, match="everybody can write its directory"):
        read_text(str(tmp_path / "link.toml"), 0)


@ROOT
def test_root_refuses_environment_and_token_files_of_others(tmp_path: Path) -> None:
    """An environment file is as good as a command, a token as good as a password; others may not write them."""
    for name in ("env", "token"):
        write(tmp_path / name, "x")
        (tmp_path / name).chmod(0o666)
    text = f'{TEXT}env_file = ["missing", "env"]\n[http]\ntoken_file = "token"\n'
    assert [
        f"respawnd.toml: service.web.env_file: {tmp_path}/env: refused as root: others can write it (mode 0666)",
        "respawnd.toml: http.token_file: refused as root: others can write it (mode 0666)",
    ] == refused(tmp_path, text, euid=0)
    assert [] == refused(tmp_path, text)


@ROOT
def test_root_writes_traces_where_nobody_can_redirect_them(tmp_path: Path) -> None:
    """A file that others own or can exchange is refused; one that is not there yet, or a pipe or device, is fine."""
    text = '[tracing]\nexporter = "file"\nfile = "spans/new/x.jsonl"\n'
    assert [] == refused(tmp_path, text, euid=0)
    path = write(tmp_path / "spans/new/x.jsonl", "")
    assert [] == refused(tmp_path, text, euid=0)
    os.chown(path, 65534, -1)
    assert ["respawnd.toml: tracing.file: refused as root: it is owned by uid 65534"] == refused(tmp_path, text, euid=0)
    os.unlink(path)
    (tmp_path / "spans").chmod(0o777)
    (line,) = refused(tmp_path, text, euid=0)
    assert f"tracing.file: refused as root: everybody can write its directory {tmp_path}/spans" in line
    assert [] == refused(tmp_path, text)
    assert [] == refused(tmp_path, '[tracing]\nexporter = "file"\nfile = "/dev/null"\n', euid=0)


@ROOT
def test_an_include_of_somebody_else_is_broken(tmp_path: Path) -> None:
    """It costs its own services, as every broken include does."""
    os.chown(write(tmp_path / "conf.d/db.toml", '[service.db]\ncommand = "x"\n'), 65534, -1)
    config = loaded(tmp_path, f'include = ["conf.d/*.toml"]\n{TEXT}', euid=0)
    assert ["web"] == list(config.services)
    assert ["refused as root: it is owned by uid 65534"] == [problem.text for problem in config.broken]


def test_nobody_else_is_asked(tmp_path: Path) -> None:
    """Other users may run whatever they can read."""
    write(tmp_path / "x", "")
    (tmp_path / "x").chmod(0o666)
    check_trust(str(tmp_path / "x"), 1000)
    assert "" == read_text(str(tmp_path / "x"), 1000)
