"""The workers: started late, bounded, ended early."""

from __future__ import annotations

import sys
import threading
from functools import partial

import pytest

from supervisor.control.pool import Pool
from supervisor.host.pulse import Pulses
from tests.control.serving import PATIENCE_S


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


def test_one_thread_stays_from_the_beginning() -> None:
    """It is there before it is needed, does the first job, and outlives its patience; a second one does not."""
    pool = Pool("pool", size=2, queue=10, idle_s=0.01)
    gate, inside = threading.Event(), threading.Semaphore(0)
    pool.begin()
    assert ["pool-1"] == worker_names()

    def job() -> None:
        inside.release()
        gate.wait(PATIENCE_S)

    for _ in range(2):
        assert pool.submit(job)
        assert inside.acquire(timeout=PATIENCE_S)
    second = next(thread for thread in threading.enumerate() if thread.name == "pool-2")
    gate.set()
    second.join(PATIENCE_S)
    assert ["pool-1"] == worker_names()
    assert [] == pool.close(PATIENCE_S)


def test_at_the_limit_of_processes_the_first_thread_serves(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was begun while threads could be had; later ones cannot, and jobs wait for it."""
    pool = Pool("pool", size=4, queue=10, idle_s=0.01)
    pool.begin()
    done = threading.Semaphore(0)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):
            assert pool.submit(done.release)
        for _ in range(3):
            assert done.acquire(timeout=PATIENCE_S)
    assert [] == pool.close(PATIENCE_S)


def test_without_any_thread_it_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts the daemon hears of it before the first service."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    pool = Pool("pool", size=4, queue=10, idle_s=0.01)
    with pytest.raises(RuntimeError, match="cannot start pool-1"):
        pool.begin()


def test_a_job_cannot_end_its_thread(caplog: pytest.LogCaptureFixture) -> None:
    """SystemExit is a fault like any other: logged, counted, and the place of the thread is not lost."""
    pulses = Pulses()
    pool = Pool("respawnd-pool", size=1, queue=4, idle_s=PATIENCE_S, pulses=pulses)
    done = threading.Event()
    assert pool.submit(sys.exit)
    assert pool.submit(done.set)
    assert done.wait(PATIENCE_S)
    assert [("pool-worker", True, 1)] == [(beat.name, beat.up, beat.restarts) for beat in pulses.beats()]
    assert "respawnd-pool-1: a job failed" in caplog.text
    assert [] == pool.close(PATIENCE_S)


def test_a_full_queue_is_counted() -> None:
    """Each job that found no place; one that comes while the pool closes is not."""
    pool = Pool("pool", size=1, queue=1, idle_s=PATIENCE_S)
    gate, inside = threading.Event(), threading.Event()

    def job() -> None:
        inside.set()
        gate.wait(PATIENCE_S)

    assert pool.submit(job)
    assert inside.wait(PATIENCE_S)
    assert [True, False, False] == [pool.submit(gate.set) for _ in range(3)]
    assert 2 == pool.refused
    gate.set()
    assert [] == pool.close(PATIENCE_S)
    assert not pool.submit(gate.set)
    assert 2 == pool.refused
