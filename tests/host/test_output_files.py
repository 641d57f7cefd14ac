"""Captured output in its files: rotated, compressed, and what becomes of it when the disk takes no more."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from supervisor.core.model import LogPolicy, UnitKey
from supervisor.host.logfile import LogFile
from supervisor.host.output import OutputThread
from tests.host.capturing import PLAIN, WEB, descriptors, drained, shell, warnings
from tests.host.disk import Clock, mounted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def output(clock: Clock) -> Iterator[OutputThread]:
    """A running output thread; it must end, and leave no descriptor open."""
    before = descriptors()
    thread = OutputThread(max_files=4, clock=clock)
    thread.start()
    yield thread
    assert thread.stop(5)
    assert before == descriptors()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB."""
    with mounted(tmp_path / "disk", "256k") as path:
        yield path


def test_a_full_disk_costs_counted_lines_and_no_child(
    output: OutputThread, clock: Clock, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A child that writes 2 MiB to a disk of 256 KiB ends; each byte and line is in the file or counted; told once."""
    fd = output.open(WEB, "stdout", f"{disk}/log", PLAIN)
    assert shell("yes 1234567 | head -c 2097152", fd) == 0
    drained(output)
    stats = output.stats()[WEB, "stdout"]
    kept = (disk / "log").read_bytes()
    assert 0 < stats.bytes <= 262144
    assert stats.bytes == len(kept)
    assert stats.bytes + stats.dropped_bytes == 2097152
    assert stats.dropped_lines == 262144 - kept.count(b"\n")
    assert {errno.ENOSPC} == set(stats.errors)
    assert [f"Cannot write stdout of web:0 to {disk}/log: No space left on device; dropping it"] == warnings(caplog)


def test_capture_goes_on_when_there_is_room_again(
    output: OutputThread, clock: Clock, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A second later the file is tried again, and what was lost is told."""
    filler = disk / "filler"
    filler.write_bytes(bytes(256 << 10))
    fd = output.open(WEB, "stdout", f"{disk}/log", PLAIN)
    shell("echo lost; echo lost too", fd)
    drained(output)
    filler.unlink()
    shell("echo still within the second", fd)
    drained(output)
    clock.now += 1
    shell("echo back", fd)
    drained(output)
    assert (disk / "log").read_bytes() == b"back\n"
    assert warnings(caplog)[1:] == [f"Writing stdout of web:0 to {disk}/log again: 3 lines were dropped"]
    assert output.stats()[WEB, "stdout"].dropped_lines == 3


def test_a_read_only_disk_is_survived(output: OutputThread, disk: Path, caplog: pytest.LogCaptureFixture) -> None:
    """EROFS: dropped, counted, told."""
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    shell("echo hello", output.open(WEB, "stdout", f"{disk}/log/web/stdout.log", PLAIN))
    drained(output)
    assert output.stats()[WEB, "stdout"].errors == {errno.EROFS: 1}
    assert len(warnings(caplog)) == 1


def test_rotation_keeps_every_byte(output: OutputThread, tmp_path: Path) -> None:
    """Files past max_size are moved aside at the end of a line; together they hold all, in order, the newest last."""
    policy = LogPolicy(max_size=4096, keep=50, compress=False)
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", policy)
    for start in range(0, 3000, 100):
        shell(f"seq {start} {start + 99}", fd)
        drained(output)
    names = sorted(tmp_path.glob("log.*"), key=lambda path: -int(path.suffix[1:]))
    pieces = [path.read_bytes() for path in (*names, tmp_path / "log")]
    assert b"".join(b"%d\n" % n for n in range(3000)) == b"".join(pieces)
    assert len(pieces) > 2
    assert all(piece.endswith(b"\n") and len(piece) <= 8192 for piece in pieces)


def test_only_so_many_rotated_files_are_kept(output: OutputThread, tmp_path: Path) -> None:
    """keep = 2: log, log.1 and log.2; with keep = 0 only log."""
    for keep in (2, 0):
        policy = LogPolicy(max_size=100, keep=keep, compress=False)
        fd = output.open(WEB, "stdout", f"{tmp_path}/log", policy)
        drained(output)
        for _ in range(5):
            os.write(fd, b"x" * 150 + b"\n")
            drained(output)
        assert ["log", "log.1", "log.2"][: keep + 1] == sorted(path.name for path in tmp_path.iterdir())
        assert (tmp_path / "log").read_bytes() == b"x" * 150 + b"\n"


def test_rotated_files_are_compressed(output: OutputThread, tmp_path: Path) -> None:
    """They become gzip files that gzip reads, numbered as they were, with the mode of the log."""
    policy = LogPolicy(max_size=100, keep=5)
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", policy)
    for number in range(4):
        os.write(fd, b"%d" % number * 150 + b"\n")
        drained(output)
    assert output._compressor.wait(20)
    assert ["log", "log.1.gz", "log.2.gz", "log.3.gz"] == sorted(path.name for path in tmp_path.iterdir())
    for number, digit in ((1, b"2"), (2, b"1"), (3, b"0")):
        packed = tmp_path / f"log.{number}.gz"
        assert digit * 150 + b"\n" == gzip.decompress(packed.read_bytes())
        assert 0o640 == packed.stat().st_mode & 0o777


def test_a_rotation_that_fails_costs_nothing(
    output: OutputThread, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the file cannot be moved it grows, and that is told once a minute."""
    (tmp_path / "log.1").mkdir()  # in the way
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", LogPolicy(max_size=100, keep=1, compress=False))
    for _ in range(4):
        os.write(fd, b"x" * 150 + b"\n")
        drained(output)
    assert 604 == (tmp_path / "log").stat().st_size
    assert [f"Cannot rotate {tmp_path}/log: Is a directory"] == warnings(caplog)


def test_over_its_rate_a_child_loses_lines_and_is_not_slowed(
    output: OutputThread, clock: Clock, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """logs.rate lets a second's worth through and drops the rest; a second later there is room for as much again."""
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", LogPolicy(rate=1000.0))
    for second in (1, 2):
        assert shell("yes 123456789 | head -c 100000", fd) == 0
        drained(output)
        assert 1000 * second == output.stats()[WEB, "stdout"].bytes
        assert 9900 * second == output.stats()[WEB, "stdout"].dropped_lines
        clock.now += 1
    assert warnings(caplog) == ["Dropping stdout of web:0: more than logs.rate, 1000 bytes a second"]


def test_a_file_that_was_moved_or_removed_is_made_anew(output: OutputThread, clock: Clock, tmp_path: Path) -> None:
    """Others rotate too: within a second of output, the name leads to a file of ours again."""
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN)
    for act in ("rm log", "mv log aside"):
        os.write(fd, b"one\n")
        drained(output)
        shell(f"cd {tmp_path} && {act}", 1)
        clock.now += 1
    os.write(fd, b"two\n")
    drained(output)
    assert [b"one\n", b"two\n"] == [(tmp_path / name).read_bytes() for name in ("aside", "log")]


def test_a_truncated_file_is_continued_at_its_end(output: OutputThread, clock: Clock, tmp_path: Path) -> None:
    """`> stdout.log` by an operator leaves no hole."""
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN)
    os.write(fd, b"one\n")
    drained(output)
    os.truncate(tmp_path / "log", 0)
    clock.now += 1
    os.write(fd, b"two\n")
    drained(output)
    assert (tmp_path / "log").read_bytes() == b"two\n"


def test_a_fifo_that_nobody_reads_costs_lines_only(output: OutputThread, tmp_path: Path) -> None:
    """A path that is no regular file is never waited for."""
    os.mkfifo(tmp_path / "fifo")
    fd = output.open(WEB, "stdout", f"{tmp_path}/fifo", PLAIN)
    assert shell("yes | head -c 1048576", fd) == 0
    drained(output)
    stats = output.stats()[WEB, "stdout"]
    assert stats.bytes + stats.dropped_bytes == 1048576
    assert {errno.EAGAIN} == set(stats.errors)


def test_a_device_without_splice_is_written_by_hand(output: OutputThread) -> None:
    """/dev/full knows no splice and takes nothing: told as a full disk is."""
    assert shell("echo hello", output.open(WEB, "stdout", "/dev/full", PLAIN)) == 0
    drained(output)
    stats = output.stats()[WEB, "stdout"]
    assert (0, 6, 1) == (stats.bytes, stats.dropped_bytes, stats.dropped_lines)
    assert stats.errors == {errno.ENOSPC: 1}


def test_a_disk_that_hangs_holds_neither_caller_nor_stop(
    clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a write hangs, opening, counters and a bounded stop go on, and `stalled` tells since when."""
    stuck, release = threading.Event(), threading.Event()

    def hang(self: LogFile, now: float) -> None:
        stuck.set()
        release.wait(20)

    monkeypatch.setattr(LogFile, "ready", hang)
    output = OutputThread(clock=clock)
    output.start()
    os.write(output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN), b"hello\n")
    assert stuck.wait(5)
    clock.now += 7
    assert output.stalled() == 7
    output.open(UnitKey("other"), "stdout", f"{tmp_path}/other", PLAIN)
    assert output.stats()[WEB, "stdout"].bytes == 0
    assert not output.stop(0.05)
    monkeypatch.undo()
    release.set()
    output._thread.join(5)
    assert not output._thread.is_alive()


@pytest.mark.slow
def test_while_a_disk_hangs_no_other_child_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After 5 s of hanging, pipes more than half full are emptied and counted; those of quiet ones are left alone."""
    stuck, release = threading.Event(), threading.Event()

    def hang(self: LogFile, now: float) -> None:
        stuck.set()
        release.wait(20)

    clock = Clock()
    output = OutputThread(clock=clock)
    output.start()
    with monkeypatch.context() as patch:
        patch.setattr(LogFile, "ready", hang)
        os.write(output.open(WEB, "stdout", f"{tmp_path}/web", PLAIN), b"hello\n")
        assert stuck.wait(5)
        loud, quiet = UnitKey("loud"), UnitKey("quiet")
        os.write(output.open(quiet, "stdout", f"{tmp_path}/quiet", PLAIN), b"hello\n")
        fd = output.open(loud, "stdout", f"{tmp_path}/loud", PLAIN)
        clock.now += 4.9
        output.tend()
        assert output._relief is None
        clock.now += 0.1
        output.tend()
        output.tend()
        assert shell("yes | head -c 20000000", fd) == 0
    release.set()
    monkeypatch.setattr(LogFile, "ready", LogFile.ready)
    for key in (WEB, quiet, loud):
        drained(output, key)
    stats = {key: output.stats()[key, "stdout"] for key in (WEB, quiet, loud)}
    assert output.stop(20)
    assert (6, 0) == (stats[quiet].bytes, stats[quiet].dropped_bytes)
    assert 20000000 == stats[loud].bytes + stats[loud].dropped_bytes
    assert 0 < stats[loud].dropped_lines
    told = ("Dropping output of all services while a log file does not take it: 5 s so far", "Capturing output again")
    assert all(any(words in line for line in warnings(caplog)) for words in told)
