"""Rotated files, moved and compressed, whatever comes between."""

from __future__ import annotations

import gzip
import logging
import os
import threading
from typing import TYPE_CHECKING

import pytest

from supervisor.core.model import LogPolicy
from supervisor.host import compress
from supervisor.host.compress import Compressor
from supervisor.host.logcache import LogCache
from supervisor.host.logfile import shift
from tests.host.disk import mounted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def compressor() -> Iterator[Compressor]:
    """A compressor; it must end."""
    compressor = Compressor()
    yield compressor
    assert compressor.stop(20)


def names(path: Path) -> list[str]:
    """What is in a directory."""
    return sorted(entry.name for entry in path.iterdir())


def filled(path: Path, **contents: bytes) -> None:
    """Make rotated files: log_1=b"…" is log.1."""
    for name, content in contents.items():
        (path / name.replace("_", ".")).write_bytes(content)


def between(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Have act happen while a file is being compressed, before its last byte."""
    write = compress._write
    done: list[bool] = []

    def first(fd: int, data: bytes) -> None:
        if not done:
            done.append(True)
            act()
        write(fd, data)

    monkeypatch.setattr(compress, "_write", first)


def test_numbers_move_up_and_the_last_is_dropped(tmp_path: Path) -> None:
    """Plain or packed; what a larger keep had left goes too."""
    filled(tmp_path, log=b"0", log_1=b"1", log_2_gz=b"2", log_3=b"3", log_4_gz=b"4")
    shift(f"{tmp_path}/log", 2)
    assert ["log.1", "log.2"] == names(tmp_path)
    assert [b"0", b"1"] == [(tmp_path / name).read_bytes() for name in names(tmp_path)]


def test_a_gap_costs_nothing(tmp_path: Path) -> None:
    """A crash between two moves left no number 2."""
    filled(tmp_path, log=b"0", log_1=b"1", log_3=b"3")
    shift(f"{tmp_path}/log", 5)
    assert ["log.1", "log.2", "log.4"] == names(tmp_path)


def test_what_a_former_daemon_left_plain_is_compressed(tmp_path: Path, compressor: Compressor) -> None:
    """At the first output; its unfinished file is overwritten, and one that is done but not removed is done again."""
    filled(tmp_path, log_1=b"one", log_2=b"two", log_2_gz=b"old", log_compressing=b"half")
    LogCache(4, compressor).claim(f"{tmp_path}/log", LogPolicy())
    assert compressor.wait(20)
    assert ["log.1.gz", "log.2.gz"] == names(tmp_path)
    assert [b"one", b"two"] == [gzip.decompress((tmp_path / name).read_bytes()) for name in names(tmp_path)]


def test_nothing_is_compressed_where_that_is_not_wanted(tmp_path: Path, compressor: Compressor) -> None:
    """compress = false, and no thread is started for it."""
    filled(tmp_path, log_1=b"one")
    LogCache(4, compressor).claim(f"{tmp_path}/log", LogPolicy(compress=False))
    assert compressor.wait(0)
    assert ["log.1"] == names(tmp_path)


def test_a_file_that_rotation_moves_meanwhile_is_found_again(
    tmp_path: Path, compressor: Compressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun as number 1, finished as number 3."""
    filled(tmp_path, log=b"b", log_1=b"a" * 1000)

    def rotate() -> None:
        with compressor.lock:
            shift(f"{tmp_path}/log", 5)
            filled(tmp_path, log=b"c")
            shift(f"{tmp_path}/log", 5)

    between(monkeypatch, rotate)
    compressor.request(f"{tmp_path}/log")
    assert compressor.wait(20)
    assert ["log.1.gz", "log.2.gz", "log.3.gz"] == names(tmp_path)
    assert gzip.decompress((tmp_path / "log.3.gz").read_bytes()) == b"a" * 1000


def test_a_file_that_is_dropped_meanwhile_is_given_up(
    tmp_path: Path, compressor: Compressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flood rotates faster than it can be compressed."""
    filled(tmp_path, log_1=b"a" * 1000)
    between(monkeypatch, (tmp_path / "log.1").unlink)
    compressor.request(f"{tmp_path}/log")
    assert compressor.wait(20)
    assert names(tmp_path) == []


def test_a_stop_leaves_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is under way is given up within a chunk, and nothing of it is left."""
    filled(tmp_path, log_1=os.urandom(1 << 20))
    compressor = Compressor()
    begun, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        go_on.wait(20)

    between(monkeypatch, pause)
    compressor.request(f"{tmp_path}/log")
    assert begun.wait(20)
    assert not compressor.stop(0.01)
    go_on.set()
    assert compressor.stop(20)
    assert ["log.1"] == names(tmp_path)
    compressor.request(f"{tmp_path}/log")
    assert ["log.1"] == names(tmp_path)


def test_a_full_disk_leaves_the_original(
    tmp_path: Path, compressor: Compressor, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, tidied, and the next rotation tries again."""
    with mounted(tmp_path / "disk", "128k") as disk:
        filled(disk, log_1=os.urandom(100 << 10))
        compressor.request(f"{disk}/log")
        assert compressor.wait(20)
        assert ["log.1"] == names(disk)
        told = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert told == [f"Cannot compress rotated files of {disk}/log: No space left on device"]


def test_it_runs_below_everybody_else(tmp_path: Path, compressor: Compressor) -> None:
    """The thread's own priority is lower; the process keeps its own."""
    filled(tmp_path, log_1=b"one")
    compressor.request(f"{tmp_path}/log")
    assert compressor.wait(20)
    thread = next(thread for thread in threading.enumerate() if thread.name == "respawnd-compress")
    assert os.getpriority(os.PRIO_PROCESS, 0) + 10 == os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)


def test_a_fault_costs_one_log_and_is_told(
    compressor: Compressor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is no trouble of the disk is logged with its stack; the thread compresses what is asked for next."""
    compress_one, faults = compressor._compress, iter([LookupError("on purpose")])

    def once(path: str) -> None:
        for fault in faults:
            raise fault
        compress_one(path)

    monkeypatch.setattr(compressor, "_compress", once)
    filled(tmp_path, log_1=b"one")
    compressor.request(f"{tmp_path}/log")
    compressor.request(f"{tmp_path}/log")
    assert compressor.wait(20)
    assert ["log.1.gz"] == names(tmp_path)
    assert "LookupError: on purpose" in caplog.text
    assert [("compress", True, 1)] == [beat[:2] + beat[3:] for beat in compressor._pulses.beats()]


def test_no_thread_for_it_is_told_and_asked_again(
    compressor: Compressor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At the limit of processes rotation goes on; files stay plain until a thread can be had."""
    filled(tmp_path, log_1=b"one")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        compressor.request(f"{tmp_path}/log")
    assert "Cannot start respawnd-compress: can't start new thread" in caplog.text
    compressor.request(f"{tmp_path}/log")
    assert compressor.wait(20)
    assert ["log.1.gz"] == names(tmp_path)
