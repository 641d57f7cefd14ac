"""Reading logs back while they are written, rotated and compressed."""

from __future__ import annotations

import gzip
import os
import random
import threading
from typing import TYPE_CHECKING

import pytest

from supervisor.core.model import LogPolicy
from supervisor.host.compress import Compressor
from supervisor.host.logcache import LogCache
from supervisor.host.logread import Follower, tail, tail_and_follow

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Writer:
    """Writes as the output thread does: through the cache, rotated at 100 bytes, compressed when told."""

    def __init__(self, path: str, keep: int = 10) -> None:
        self.compressor = Compressor()
        self.cache = LogCache(4, self.compressor)
        self.policy = LogPolicy(max_size=100, keep=keep)
        self.file = self.cache.claim(path, self.policy)
        self.now = 0.0
        self.lines = 0

    def write(self, count: int = 1) -> bytes:
        """Write lines of 20 bytes, numbered; return them."""
        data = b"".join(b"%019d\n" % n for n in range(self.lines, self.lines + count))
        self.lines += count
        for start in range(0, len(data), 20):
            self.now += 2
            self.cache.ready(self.file, self.now)
            self.file.position += os.pwrite(self.file.fd, data[start : start + 20], self.file.position)
        return data

    def settle(self) -> None:
        """Have all that is rotated compressed."""
        assert self.compressor.wait(20)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    """A writer of tmp_path/log."""
    writer = Writer(f"{tmp_path}/log")
    yield writer
    writer.cache.close()
    assert writer.compressor.stop(20)


def numbered(start: int, stop: int) -> bytes:
    """The lines that a writer writes."""
    return b"".join(b"%019d\n" % n for n in range(start, stop))


def test_no_log_is_an_empty_log(tmp_path: Path) -> None:
    """Neither tail nor following minds that nothing is there yet."""
    path = f"{tmp_path}/no/log"
    assert tail(path, 10) == b""
    with Follower(path) as follower:
        assert follower.read_available() == b""


def test_a_log_that_appears_is_followed_from_its_first_byte(tmp_path: Path, writer: Writer) -> None:
    """Also if it has been rotated and compressed before the first look."""
    with Follower(f"{tmp_path}/log") as follower:
        assert follower.read_available() == b""
        written = writer.write(17)
        writer.settle()
        assert written == follower.read_available()


@pytest.mark.parametrize(
    ("text", "lines", "want"),
    [
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\nc\n", 9, b"a\nb\nc\n"),
        (b"a\n\n\n", 2, b"\n\n"),
        (b"\n", 1, b"\n"),
        (b"", 1, b""),
        (b"a\r\nb\x0bc\n", 1, b"b\x0bc\n"),
        (b"a\n", 0, b""),
    ],
)
def test_the_last_lines(tmp_path: Path, text: bytes, lines: int, want: bytes) -> None:
    """Lines end at a line feed only; an unfinished one counts; more than there are gives all."""
    (tmp_path / "log").write_bytes(text)
    assert want == tail(f"{tmp_path}/log", lines)


def test_the_last_lines_of_a_large_file(tmp_path: Path) -> None:
    """Read back in blocks until there are enough, and never more than max_bytes."""
    (tmp_path / "log").write_bytes(numbered(0, 50000))
    assert numbered(40000, 50000) == tail(f"{tmp_path}/log", 10000)
    assert numbered(0, 50000) == tail(f"{tmp_path}/log", 50000)
    assert numbered(49995, 50000) == tail(f"{tmp_path}/log", 50000, max_bytes=100)


def test_the_last_lines_reach_into_rotated_files(tmp_path: Path, writer: Writer) -> None:
    """Plain or compressed, as far back as asked; lines cut by rotation are whole again."""
    writer.write(23)
    assert numbered(10, 23) == tail(f"{tmp_path}/log", 13)
    writer.settle()
    assert numbered(3, 23) == tail(f"{tmp_path}/log", 20)
    assert numbered(0, 23) == tail(f"{tmp_path}/log", 100)
    assert numbered(18, 23) == tail(f"{tmp_path}/log", 100, max_bytes=100)


def test_a_line_cut_by_rotation_is_one(tmp_path: Path) -> None:
    """A flood may be cut anywhere."""
    (tmp_path / "log.1").write_bytes(b"one\ntw")
    (tmp_path / "log").write_bytes(b"o\nthree\n")
    assert tail(f"{tmp_path}/log", 2) == b"two\nthree\n"


def test_a_file_that_gzip_made_or_that_is_damaged_is_read_too(tmp_path: Path) -> None:
    """What others compressed is read; where one is damaged, what comes after it is."""
    (tmp_path / "log").write_bytes(b"four\n")
    (tmp_path / "log.1.gz").write_bytes(b"\x1f\x8b\x08nonsense")
    (tmp_path / "log.2.gz").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert tail(f"{tmp_path}/log", 10) == b"one\ntwo\nfour\n"


def test_the_log_is_told_when_only_rotated_files_are_left(tmp_path: Path, writer: Writer) -> None:
    """Someone removed the current file: tail shows what there is, and a follower goes on with the next one."""
    writer.write(7)
    writer.settle()
    (tmp_path / "log").unlink()
    data, follower = tail_and_follow(f"{tmp_path}/log", 3)
    with follower:
        assert numbered(2, 5) == data
        assert follower.read_available() == b""
        assert writer.write(9) == follower.read_available()


def test_following_goes_on_where_tail_ended(tmp_path: Path, writer: Writer) -> None:
    """Together they give each byte once."""
    writer.write(8)
    data, follower = tail_and_follow(f"{tmp_path}/log", 4)
    with follower:
        assert numbered(4, 8) == data
        assert follower.read_available() == b""
        assert writer.write(1) == follower.read_available()
        assert follower.read_available() == b""


def test_following_from_a_byte(tmp_path: Path, writer: Writer) -> None:
    """An offset of the current file; one past its end means that it was truncated meanwhile."""
    writer.write(3)
    for offset, first in ((20, 1), (60, 3), (61, 0)):
        with Follower(f"{tmp_path}/log", offset) as follower:
            assert numbered(first, 3) == follower.read_available()


def test_no_line_is_lost_across_rotations(tmp_path: Path, writer: Writer) -> None:
    """One rotation between two reads, then many; plain, then compressed; read in small pieces."""
    with Follower(f"{tmp_path}/log", 0) as follower:
        assert writer.write(4) == follower.read_available()
        assert writer.write(3) == follower.read_available()
        assert writer.write(20) == follower.read_available()
        written = writer.write(22)
        writer.settle()
        assert written == b"".join(iter(lambda: follower.read_available(7), b""))


def test_what_keep_has_dropped_is_gone_and_nothing_else(tmp_path: Path, writer: Writer) -> None:
    """A follower that slept too long goes on with the oldest file there is; the one it was in it finishes."""
    with Follower(f"{tmp_path}/log", 0) as follower:
        writer.write(2)
        assert numbered(0, 1) == follower.read_available(20)
        writer.write(100)
        writer.settle()
        assert numbered(1, 5) + numbered(50, 102) == follower.read_available()


def test_keep_nothing_loses_no_line_of_a_follower(tmp_path: Path) -> None:
    """With keep = 0 the file is replaced, not cut: who has it open finishes it."""
    writer = Writer(f"{tmp_path}/log", keep=0)
    with Follower(f"{tmp_path}/log") as follower:
        assert writer.write(4) == follower.read_available()
        assert writer.write(3) == follower.read_available()
    writer.cache.close()


def test_a_truncated_log_is_read_from_its_start(tmp_path: Path, writer: Writer) -> None:
    """`> stdout.log` by an operator."""
    writer.write(3)
    with Follower(f"{tmp_path}/log") as follower:
        os.truncate(tmp_path / "log", 0)
        assert writer.write(1) == follower.read_available()


def test_a_number_that_is_missing_does_not_hold_a_follower_up(tmp_path: Path, writer: Writer) -> None:
    """Somebody removed a rotated file: the follower looks twenty times, then gives what is left."""
    writer.write(1)
    with Follower(f"{tmp_path}/log", 0) as follower:
        writer.write(22)
        writer.settle()
        (tmp_path / "log.2.gz").unlink()
        assert numbered(0, 5) == follower.read_available()
        pieces = [follower.read_available() for _ in range(20)]
        assert numbered(15, 23) == b"".join(pieces)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_any_order_of_writing_compressing_and_reading(tmp_path: Path, writer: Writer, seed: int) -> None:
    """Whatever happens between two reads, a follower gives each byte once and in order."""
    chance = random.Random(seed)
    writer.file.policy = LogPolicy(max_size=100, keep=1000)
    wanted, found = [], []
    with Follower(f"{tmp_path}/log") as follower:
        for _ in range(20):
            wanted.append(writer.write(chance.choice((1, 2, 7, 30))))
            if chance.random() < 0.3:
                writer.settle()
            if chance.random() < 0.7:
                found.append(follower.read_available(chance.choice((10, 1 << 20))))
            else:
                found.extend(iter(follower.read_available, b""))
        found.extend(iter(follower.read_available, b""))
    assert b"".join(wanted) == b"".join(found)


@pytest.mark.slow
def test_a_reader_races_a_writer_that_rotates(tmp_path: Path) -> None:
    """200 rotations, each compressed, under a follower and a tail in other threads: no line lost, none twice."""
    writer = Writer(f"{tmp_path}/log", keep=200)
    ended = threading.Event()

    def write() -> None:
        for _ in range(200):
            writer.write(5)
        ended.set()

    found: list[bytes] = []
    thread = threading.Thread(target=write)
    with Follower(f"{tmp_path}/log") as follower:
        thread.start()
        while not ended.is_set():
            found.append(follower.read_available())
            last = tail(f"{tmp_path}/log", 3)
            numbers = [int(line) for line in last.split()]
            assert numbers == list(range(numbers[0], numbers[0] + 3)) if len(numbers) == 3 else True
        thread.join(20)
        found.append(follower.read_available(1 << 30))
    writer.cache.close()
    assert writer.compressor.stop(20)
    assert numbered(0, 1000) == b"".join(found)
