"""Binding: one clear line for each refusal, nothing of others removed, no moment of a wider mode."""

from __future__ import annotations

import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from supervisor.control.listen import ListenError, bind_tcp, bind_unix, inherit

if TYPE_CHECKING:
    from pathlib import Path


def mode_of(path: Path) -> int:
    """Return the permission bits of a file."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_port_in_use_is_one_line() -> None:
    """A second listener on one port is refused in words, with the errno for programs."""
    first = bind_tcp("127.0.0.1", 0)
    port = first.sock.getsockname()[1]
    with pytest.raises(ListenError) as refused:
        bind_tcp("127.0.0.1", port)
    first.close()
    assert f"cannot listen on 127.0.0.1:{port}: address in use" == str(refused.value)


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("192.0.2.1", "cannot listen on 192.0.2.1:80: no such address on this host"),  # TEST-NET-1 (RFC 5737)
        ("2001:db8::1", "cannot listen on [2001:db8::1]:80: no such address on this host"),
        ("no such name", "cannot listen on no such name:80: no such host"),
    ],
)
def test_an_address_that_is_not_ours_is_one_line(host: str, line: str) -> None:
    """An address of another host, or a name of none, is refused in words."""
    with pytest.raises(ListenError) as refused:
        bind_tcp(host, 80)
    assert line == str(refused.value)


@pytest.mark.parametrize(("host", "loopback"), [("127.0.0.1", True), ("::1", True), ("0.0.0.0", False), ("::", False)])
def test_loopback_is_known(host: str, loopback: bool) -> None:
    """A listener knows whether others than this host can reach it."""
    listener = bind_tcp(host, 0)
    inheritable = os.get_inheritable(listener.sock.fileno())
    assert (loopback, False) == (listener.loopback, inheritable)
    listener.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_mode_is_what_was_asked(tmp_path: Path, umask: int) -> None:
    """The umask of the daemon neither widens nor narrows the mode of the socket."""
    before = os.umask(umask)
    try:
        private, shared = bind_unix(str(tmp_path / "a")), bind_unix(str(tmp_path / "b"), 0o660)
    finally:
        os.umask(before)
    assert (0o600, 0o660) == (mode_of(tmp_path / "a"), mode_of(tmp_path / "b"))
    private.close()
    shared.close()


def test_the_file_is_never_wider_than_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between bind and chmod the mode is already right: what the kernel created is looked at, not what came of it."""
    seen = []
    monkeypatch.setattr(os, "chmod", lambda path, _mode: seen.append(stat.S_IMODE(os.stat(path).st_mode)))
    before = os.umask(0)
    try:
        bind_unix(str(tmp_path / "a")).close()
    finally:
        os.umask(before)
    assert [0o600] == seen


def test_a_long_path_is_refused(tmp_path: Path) -> None:
    """107 bytes fit (unix(7)), 108 are refused before anything is made."""
    room = 107 - len(str(tmp_path)) - 1
    bind_unix(str(tmp_path / ("a" * room))).close()
    with pytest.raises(ListenError, match="the path is longer than 107 bytes"):
        bind_unix(str(tmp_path / ("a" * (room + 1))))
    assert [] == os.listdir(tmp_path)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    """A socket file that a dead daemon left is no obstacle."""
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "s"))
    dead.listen()
    dead.close()
    listener = bind_unix(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(tmp_path / "s"))
        assert caller.getpeername() == listener.path
    listener.close()


def test_a_living_socket_is_left_alone(tmp_path: Path) -> None:
    """Where somebody answers we do not listen, nor remove the file."""
    living = bind_unix(str(tmp_path / "s"))
    with pytest.raises(ListenError, match="another process answers there"):
        bind_unix(str(tmp_path / "s"))
    assert (tmp_path / "s").exists()
    living.close()
    assert not (tmp_path / "s").exists()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    """A mistyped path costs nobody a file."""
    (tmp_path / "s").write_text("precious", encoding="utf-8")
    with pytest.raises(ListenError, match="a file that is no socket is in the way"):
        bind_unix(str(tmp_path / "s"))
    assert (tmp_path / "s").read_text(encoding="utf-8") == "precious"


def test_a_missing_directory_is_one_line(tmp_path: Path) -> None:
    """A directory that is not there is named with the path."""
    path = str(tmp_path / "none" / "s")
    with pytest.raises(ListenError) as refused:
        bind_unix(path)
    assert f"cannot listen on {path}: no such directory" == str(refused.value)


def test_closing_removes_only_our_own(tmp_path: Path) -> None:
    """When another socket has taken the place of ours, its file stays."""
    ours = bind_unix(str(tmp_path / "s"))
    (tmp_path / "s").unlink()
    other = bind_unix(str(tmp_path / "s"))
    ours.close()
    assert (tmp_path / "s").exists()
    other.close()


def test_a_listener_is_inherited_by_its_number(tmp_path: Path) -> None:
    """A successor takes over both kinds by descriptor, close-on-exec again, and owns the socket file."""
    tcp, unix = bind_tcp("127.0.0.1", 0), bind_unix(str(tmp_path / "s"))
    heirs = [inherit(os.dup(listener.sock.fileno())) for listener in (tcp, unix)]
    assert [("tcp", ""), ("unix", unix.path)] == [(heir.kind, heir.path) for heir in heirs]
    assert heirs[1].inode == unix.inode
    assert [False, False] == [os.get_inheritable(heir.sock.fileno()) for heir in heirs]
    for listener in (tcp, unix, *heirs):
        listener.close()
    assert not (tmp_path / "s").exists()
