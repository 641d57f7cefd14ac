"""The leak guard itself: what it must see, and what it must let go."""

from __future__ import annotations

import os
import subprocess
import threading

from tests.leaks import Census, clear


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
    running = subprocess.Popen(["sleep", "600"])
    assert [f"child {running.pid} (sleep 600)"] == before.leftover()
    clear(before)
    assert [] == before.leftover()
    running.returncode = 0  # reaped behind its back: Popen must not look for the pid again

    dead = subprocess.Popen(["true"])
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)
    assert [f"child {dead.pid} (true, a zombie)"] == before.leftover()
    assert 0 == dead.wait()
