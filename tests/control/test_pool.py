"""The workers: started late, bounded, ended early."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from supervisor.control.pool import Pool
from tests.control.serving import PATIENCE_S

if TYPE_CHECKING:
    import pytest


def worker_names() -> list[str]:
    """Return the names of the pool's threads."""
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("pool-"))


def fail(why: str) -> None:
    """Raise."""
    raise LookupError(why)


def test_threads_are_started_when_they_are_needed() -> None:
    """No job, no thread; a second thread only while the first is busy; an idle one is used again."""
    pool = Pool("pool", size=2, queue=10, idle_s=PATIENCE_S)
    gate, inside = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        inside.release()
        gate.wait(PATIENCE_S)

    assert [] == worker_names()
    for _ in range(2):
        assert pool.submit(job)
        assert inside.acquire(timeout=PATIENCE_S)
    assert ["pool-1", "pool-2"] == worker_names()
    assert pool.submit(job)
    assert (1, ["pool-1", "pool-2"]) == (pool.depth, worker_names())
    gate.set()
    assert inside.acquire(timeout=PATIENCE_S)
    assert [] == pool.close(PATIENCE_S)


def test_an_idle_thread_ends() -> None:
    """A thread without work goes away, and another comes with the next job."""
    pool = Pool("pool", size=1, queue=1, idle_s=0.01)
    used: list[threading.Thread] = []
    for _ in range(2):
        assert pool.submit(lambda: used.append(threading.current_thread()))
        for thread in threading.enumerate():
            if thread.name == "pool-1":
                thread.join(PATIENCE_S)
    assert (2, 0) == (len(set(used)), pool.threads)


def test_a_job_that_raises_costs_itself_alone(caplog: pytest.LogCaptureFixture) -> None:
    """The thread lives on, and the log tells."""
    pool = Pool("pool", size=1, queue=2, idle_s=PATIENCE_S)
    done = threading.Event()
    assert pool.submit(partial(fail, "on purpose"))
    assert pool.submit(done.set)
    assert done.wait(PATIENCE_S)
    assert [] == pool.close(PATIENCE_S)
    assert "pool-1: a job failed" in caplog.text


def test_closing_drops_what_waits_and_names_what_stays() -> None:
    """A closed pool takes nothing; a job that does not return is named, not waited for."""
    pool = Pool("pool", size=1, queue=2, idle_s=PATIENCE_S)
    gate, inside, second = threading.Event(), threading.Event(), threading.Event()

    def stubborn() -> None:
        inside.set()
        gate.wait(PATIENCE_S)

    assert pool.submit(stubborn)
    assert inside.wait(PATIENCE_S)
    assert pool.submit(second.set)
    assert ["pool-1"] == pool.close(0.01)
    assert not pool.submit(second.set)
    gate.set()
    assert [] == pool.close(PATIENCE_S)
    assert not second.is_set()
