"""What the daemon tells of itself: its threads, its queues, its lock, and what it leaves behind."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from tests.system.rig import Daemon, eventually

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]
SLEEPER = '[service.web]\ncommand = ["sleep", "600"]\n'
BEAT = 'respawnd_thread_last_heartbeat_time_seconds{thread="%s"}'


def test_the_page_tells_of_threads_and_queues(daemon: Make) -> None:
    """Each long-lived thread is up with a heartbeat of now; each queue has a depth and a capacity."""
    one = daemon(SLEEPER).start()
    one.until("web", state="running")
    page = one.metrics()
    for thread in ("loop", "output", "diary", "http", "http-worker", "launch"):
        assert 1 == page[f'respawnd_thread_up{{thread="{thread}"}}']
        assert 0 == page[f'respawnd_thread_restarts_total{{thread="{thread}"}}']
        assert 5 > time.time() - page[BEAT % thread]
    for queue in ("mailbox", "respawn", "launch", "output", "compress", "http", "http_connections", "diary"):
        assert (
            0 <= page[f'respawnd_queue_depth{{queue="{queue}"}}'] < page[f'respawnd_queue_capacity{{queue="{queue}"}}']
        )
    assert 0 == page['respawnd_queue_dropped_total{queue="diary"}']
    assert float("inf") == page["respawnd_start_parallelism_limit"]
    assert 0 == one.end()


def test_the_limit_of_launches_is_told(daemon: Make) -> None:
    """As it was configured."""
    one = daemon(f"[daemon]\nstart_parallelism = 3\n{SLEEPER}").start()
    assert 3 == one.metrics()["respawnd_start_parallelism_limit"]
    assert 0 == one.end()


def test_a_stray_is_named_at_the_end(daemon: Make) -> None:
    """A child that dropped environment and session is nobody's to signal; it is named when the daemon ends."""
    script = "env -i setsid sleep 654 & echo $!; exec sleep 600"
    one = daemon(f'[service.web]\ncommand = ["sh", "-c", "{script}"]\n').start()
    log = one.directory / "state/log/web/0/stdout.log"
    stray = int(eventually(lambda: log.read_text().strip() if log.exists() else None, what="its pid"))
    eventually(lambda: os.path.exists(f"/proc/{stray}") and os.getsid(stray) == stray, what="setsid")
    try:
        assert 0 == one.end()
        assert f"Leaving pid {stray} (sleep) behind" in one.log()
    finally:
        os.kill(stray, signal.SIGKILL)


def test_a_lock_that_was_removed_is_taken_again(daemon: Make) -> None:
    """Within some seconds; until then another daemon could start, which the log says."""
    one = daemon(SLEEPER).start()
    lock = one.directory / "state/respawnd.lock"
    lock.unlink()
    eventually(lock.exists, what="the lock")
    eventually(lambda: "respawnd.lock again" in one.log(), what="word of it")
    assert "was removed or replaced: another respawnd could start here" in one.log()
    other = one.run("run", "--set", "http.listen=off")
    assert other.returncode != 0
    assert f"held by pid {one.pid}" in other.stderr
    assert 0 == one.end()
