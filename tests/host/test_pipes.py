"""Pipes that are lent to children, and the scratch pipe that looks at them without waiting."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import subprocess
from typing import TYPE_CHECKING

import pytest

from supervisor.host import pipes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pipe() -> Iterator[int]:
    """A pipe as a child gets it."""
    fd = pipes.create()
    assert pipes.enlarge(fd) >= 1 << 18
    yield fd
    os.close(fd)


@pytest.fixture
def scratch() -> Iterator[pipes.Scratch]:
    """A scratch pipe."""
    scratch = pipes.Scratch()
    yield scratch
    scratch.close()


def test_one_descriptor_reads_and_writes_and_blocks(pipe: int) -> None:
    """It is close-on-exec, blocking, read-write, and once enlarged as large as was granted."""
    assert os.O_RDWR == fcntl.fcntl(pipe, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_NONBLOCK)
    assert fcntl.fcntl(pipe, fcntl.F_GETFD) == fcntl.FD_CLOEXEC
    assert pipes.enlarge(pipe) in pipes.CAPACITIES
    assert pipes.capacity(pipe) == pipes.enlarge(pipe)
    os.write(pipe, b"hello")
    assert pipes.pending(pipe) == 5


def test_room_for_descriptors_is_made_in_one_go() -> None:
    """The table has room for as many, and none is left open, whatever the limit says."""
    pipes.reserve(3000)
    with open("/proc/self/status", encoding="ascii") as status:
        assert int(next(line for line in status if line.startswith("FDSize")).split()[1]) >= 3000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    try:
        pipes.reserve(3000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_smaller_pipe_is_taken_where_the_large_one_is_refused(pipe: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """EPERM for 1 MiB, then for 256 KiB: 64 KiB it is, and nobody hears of it."""
    real = fcntl.fcntl

    def stingy(fd: int, command: int, size: int = 0) -> int:
        if command == fcntl.F_SETPIPE_SZ and size > 1 << 16:
            raise PermissionError(errno.EPERM, "over fs.pipe-user-pages-soft")
        return real(fd, command, size)

    monkeypatch.setattr(fcntl, "fcntl", stingy)
    assert pipes.enlarge(pipe) == 1 << 16


def test_nothing_is_left_open_when_the_owner_cannot_be_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """EPERM is raised, and the leak guard finds no pipe."""

    def refuse(fd: int, uid: int, gid: int) -> None:
        raise PermissionError(errno.EPERM, "not root")

    monkeypatch.setattr(os, "fchown", refuse)
    with pytest.raises(PermissionError) as raised:
        pipes.create(uid=1)
    assert raised.value.errno == errno.EPERM


def test_a_child_gets_no_sigpipe_and_sees_no_end(pipe: int) -> None:
    """It holds a read end itself: with our descriptor gone it still writes."""
    script = "read go; echo one && echo two"
    child = subprocess.Popen(["sh", "-c", script], stdin=subprocess.PIPE, stdout=pipe)
    with open("/dev/null", "rb") as null:
        os.dup2(null.fileno(), pipe, inheritable=False)
    child.communicate(b"\n", timeout=20)
    assert child.returncode == 0


def test_an_empty_pipe_is_never_waited_for(pipe: int, scratch: pipes.Scratch, tmp_path: Path) -> None:
    """Though its description blocks: dropping and reading say nothing is there, splicing EAGAIN."""
    with open(tmp_path / "file", "wb") as file:
        assert scratch.discard(pipe, 100) == (0, 0)
        assert scratch.read(pipe, 100) == b""
        with pytest.raises(BlockingIOError):
            os.splice(pipe, file.fileno(), 100, offset_dst=0, flags=os.SPLICE_F_NONBLOCK)
    assert (tmp_path / "file").read_bytes() == b""


def test_what_is_dropped_is_counted(pipe: int, scratch: pipes.Scratch) -> None:
    """Bytes and line ends, at most as many bytes as asked for."""
    os.write(pipe, b"one\ntwo\nthree" * 20000)
    assert scratch.discard(pipe, 9) == (9, 2)
    assert scratch.discard(pipe, 1 << 20) == (259991, 39998)
    assert pipes.pending(pipe) == 0
