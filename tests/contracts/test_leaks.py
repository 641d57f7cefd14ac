"""The leak guard itself: what it must see, and what it must let go."""

from __future__ import annotations

import os
import subprocess
import threading

from tests.leaks import Census, clear


def echoing_child() -> int:
    """Start `cat` between two pipes and see it answer: exec is over then, and its command line is what it will be."""
    child_in, to_child = os.pipe()
    from_child, child_out = os.pipe()
    ends = [(os.POSIX_SPAWN_DUP2, child_in, 0), (os.POSIX_SPAWN_DUP2, child_out, 1)]
    pid = os.posix_spawnp("cat", ["cat"], os.environ, file_actions=ends)
    os.write(to_child, b"!")
    assert b"!" == os.read(from_child, 1)
    return pid


def test_nothing_left_is_nothing_told() -> None:
    """A test that cleans up after itself is not accused."""
    before = Census.take()
    with open(os.devnull, "rb"):
        subprocess.run(["true"], check=True)
    assert [] == before.leftover()


def test_a_descriptor_is_seen() -> None:
    """An open descriptor is named with what it leads to; `clear` closes it."""
    before = Census.take()
    fd = os.open(os.devnull, os.O_RDONLY)
    assert [f"descriptor {fd} (/dev/null)"] == before.leftover()
    clear(before)
    assert [] == before.leftover()


def test_a_thread_is_seen_and_waited_for() -> None:
    """A thread that runs is named; one that ends within the grace is forgiven."""
    before = Census.take()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="forgotten")
    thread.start()
    assert ["thread forgotten"] == before.leftover()
    end.set()
    assert [] == before.leftover(grace=5.0)


def test_a_child_is_seen_also_as_a_zombie() -> None:
    """A child that was not reaped is named by its command, or as a zombie; `clear` kills and reaps it."""
    before = Census.take()
    pid = echoing_child()
    assert f"child {pid} (cat)" in before.leftover()
    clear(before)
    assert [] == before.leftover()

    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    assert [f"child {dead.pid} (true, a zombie)"] == before.leftover()
    assert 0 == dead.wait()
