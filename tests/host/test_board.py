"""The board, the mailbox, the lock and the descriptor limit: small things that everything leans on."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

import pytest

from supervisor.core.view import FleetView
from supervisor.host import descriptors
from supervisor.host.board import Board
from supervisor.host.lock import Held, Lock, read
from supervisor.host.mailbox import Mailbox


def test_a_reader_waits_for_the_picture_that_suits_it() -> None:
    """A waiter wakes for a later picture, whichever thread hangs it up, and gets that very picture."""
    board = Board()
    found: list[FleetView | None] = []
    waiting = threading.Event()

    def until(view: FleetView) -> bool:
        waiting.set()
        return view.number == 3

    thread = threading.Thread(target=lambda: found.append(board.wait(until, 10)))
    thread.start()
    waiting.wait(10)
    for number in (1, 2, 3):
        board.publish(FleetView(number=number))
    thread.join(10)
    assert 3 == (found[0].number if found[0] else None)


def test_a_wait_ends_at_its_timeout() -> None:
    """None, when no picture suits in time."""
    assert Board().wait(lambda view: view.number == 1, 0.01) is None


def test_mail_comes_in_order_and_wakes_once() -> None:
    """All that was posted is taken in one go, in order; the descriptor is quiet afterwards."""
    box: Mailbox[int] = Mailbox()
    for number in range(5):
        box.post(number)
    assert [0, 1, 2, 3, 4] == box.take()
    assert [] == box.take()
    box.close()


def test_no_mail_is_lost_between_threads() -> None:
    """Four writers, one reader: every item comes exactly once."""
    box: Mailbox[int] = Mailbox()

    def write() -> None:
        for number in range(500):
            box.post(number)

    writers = [threading.Thread(target=write) for _ in range(4)]
    got: list[int] = []
    for writer in writers:
        writer.start()
    while len(got) < 2000:
        got.extend(box.take())
    for writer in writers:
        writer.join()
    box.close()
    assert sorted(list(range(500)) * 4) == sorted(got)


def test_one_daemon_for_one_state_directory(tmp_path: os.PathLike[str]) -> None:
    """A second lock is refused and tells who holds the first; once let go it can be had again."""
    lock = Lock(str(tmp_path))
    lock.tell({"pid": 4711, "socket": "/run/x"})
    with pytest.raises(Held, match="pid 4711"):
        Lock(str(tmp_path))
    assert {"pid": 4711, "socket": "/run/x"} == read(str(tmp_path))
    lock.release()
    Lock(str(tmp_path)).release()
    assert read(str(tmp_path)) is None


def test_a_lock_that_was_removed_is_taken_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Told at error, with what follows from it; afterwards another daemon is refused as before, and told by whom."""
    lock = Lock(str(tmp_path))
    lock.tell({"pid": 4711})
    lock.look()
    assert [] == caplog.records
    (tmp_path / "respawnd.lock").unlink()
    lock.look()
    lock.look()
    assert [
        f"The lock file {lock.path} was removed or replaced: another respawnd could start here",
        f"Holding {lock.path} again",
    ] == [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    with pytest.raises(Held, match="pid 4711"):
        Lock(str(tmp_path))
    lock.release()
    Lock(str(tmp_path)).release()


def test_a_lock_that_another_has_now_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is taken from it; once it has let go, the place is ours again."""
    lock = Lock(str(tmp_path))
    (tmp_path / "respawnd.lock").unlink()
    other = Lock(str(tmp_path))
    other.tell({"pid": 815})
    for _ in range(3):
        lock.look()
    assert 2 == len(caplog.records)
    assert "another respawnd runs on this state directory" in caplog.records[1].getMessage()
    assert "by pid 815" in caplog.records[1].getMessage()
    other.release()
    lock.look()
    assert f"Holding {lock.path} again" == caplog.records[-1].getMessage()
    lock.release()


def test_a_state_directory_that_was_removed_is_not_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who removed it may not be done; the lock is taken again when it is there again."""
    directory = tmp_path / "state"
    directory.mkdir()
    lock = Lock(str(directory))
    (directory / "respawnd.lock").unlink()
    directory.rmdir()
    for _ in range(2):
        lock.look()
    assert not directory.exists()
    assert "No such file or directory" in caplog.records[1].getMessage()
    assert 2 == len(caplog.records)
    directory.mkdir()
    lock.look()
    with pytest.raises(Held):
        Lock(str(directory))
    lock.release()


def test_a_lock_that_is_a_link_is_refused(tmp_path: os.PathLike[str]) -> None:
    """A symbolic link in the place of the lock could make root truncate another file."""
    target = os.path.join(tmp_path, "precious")
    with open(target, "w", encoding="ascii") as file:
        file.write("data")
    os.symlink(target, os.path.join(tmp_path, "respawnd.lock"))
    with pytest.raises(OSError, match="symbolic link"):
        Lock(str(tmp_path))
    with open(target, encoding="ascii") as file:
        assert "data" == file.read()


def test_the_limit_is_raised_only_where_it_is_needed() -> None:
    """Few replicas leave the soft limit alone; many raise it, and the original is told for the children."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
        assert descriptors.raise_limit(10) is None
        assert (1024, hard) == descriptors.raise_limit(1000)
        assert hard == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        with pytest.raises(descriptors.TooFew, match="hard limit"):
            descriptors.raise_limit(hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
