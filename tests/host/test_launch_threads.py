"""The launcher threads: stuck jobs delay no others, and threads come and stay as needed."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator

import pytest

from supervisor.host.launch_threads import LaunchThreads

BASE = 2 * (os.cpu_count() or 1)


class Gate:
    """Jobs that wait until they are let go, and say when they have begun."""

    def __init__(self, threads: LaunchThreads) -> None:
        self.threads = threads
        self.open = threading.Event()
        self.begun: queue.SimpleQueue[str] = queue.SimpleQueue()

    def stuck(self, *, slow: bool = False) -> None:
        """Submit a job that is stuck until the gate opens."""
        self.threads.submit(self._run, slow=slow)

    def _run(self) -> None:
        self.begun.put(threading.current_thread().name)
        self.open.wait()

    def passes(self, *, slow: bool = False) -> bool:
        """Whether a job that ends at once does so."""
        done = threading.Event()
        self.threads.submit(done.set, slow=slow)
        return done.wait(10)


@pytest.fixture(params=[64])
def gate(request: pytest.FixtureRequest) -> Iterator[Gate]:
    """A gate before launcher threads, as many as the parameter says."""
    threads = LaunchThreads(request.param)
    one = Gate(threads)
    yield one
    one.open.set()
    assert threads.stop(10)


def test_one_thread_does_for_one_job(gate: Gate) -> None:
    """Threads are started when they are needed, named, and kept."""
    assert gate.passes()
    assert gate.passes()
    names = {thread.name for thread in threading.enumerate()} - {"MainThread"}
    assert {"respawnd-launch-1"} == {name for name in names if name.startswith("respawnd-launch")}


@pytest.mark.slow
def test_stuck_jobs_delay_no_other(gate: Gate) -> None:
    """However many launches of unknown programs are stuck, the next one finds a thread."""
    for _ in range(5 * BASE):
        gate.stuck()
    assert gate.passes()
    assert 5 * BASE <= len(gate.threads._threads)


@pytest.mark.parametrize("gate", [5], indirect=True)
def test_slow_ones_never_have_all(gate: Gate) -> None:
    """What is known to be slow leaves one thread to the others, and waits for its own kind."""
    for _ in range(7):
        gate.stuck(slow=True)
    assert 4 == len({gate.begun.get(timeout=10) for _ in range(4)})
    assert gate.passes()
    assert gate.begun.empty()
    gate.open.set()
    assert 3 == len([gate.begun.get(timeout=10) for _ in range(3)])


def test_slow_ones_get_a_thread_at_once(gate: Gate) -> None:
    """A known slow program counts on none of the usual threads: nobody waits to find out."""
    for _ in range(3 * BASE):
        gate.stuck(slow=True)
    assert 3 * BASE == len({gate.begun.get(timeout=10) for _ in range(3 * BASE)})
    assert gate.threads._watcher is None


def test_a_job_that_raises_costs_itself_alone(gate: Gate, caplog: pytest.LogCaptureFixture) -> None:
    """Its thread goes on, for children may have asked to die with it; logged with its stack, and counted."""

    def die() -> None:
        raise SystemExit("on purpose")

    assert gate.passes()
    before = set(gate.threads._threads)
    for _ in range(3 * BASE):
        gate.threads.submit(die, slow=False)
    assert gate.passes()
    assert before <= {thread for thread in gate.threads._threads if thread.is_alive()}
    assert gate.threads.stop(10)
    assert 0 == gate.threads._load
    assert 3 * BASE == caplog.text.count("SystemExit: on purpose")
    assert 3 * BASE == gate.threads._pulses._restarts["launch"]


def test_a_failure_of_the_watcher_leaves_none_waiting(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """It begins again where it was: jobs behind stuck ones still find a thread."""
    relieve, faults = gate.threads._relieve_once, iter([LookupError("on purpose")])

    def once(before: float) -> None:
        for fault in faults:
            raise fault
        relieve(before)

    monkeypatch.setattr(gate.threads, "_relieve_once", once)
    for _ in range(2 * BASE):
        gate.stuck()
    assert gate.passes()
    assert 1 == gate.threads._pulses._restarts["launch"]


def test_no_thread_for_the_watcher(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the limit of processes jobs wait for those that are there, and the next one asks for a watcher again."""
    for _ in range(BASE):
        gate.stuck()
        gate.begun.get(timeout=10)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        gate.stuck()
    assert 1 == gate.threads.waiting
    assert gate.passes()


def test_the_pool_shows_its_oldest_job(gate: Gate) -> None:
    """One name for all threads; what waits is counted until it is taken."""
    gate.stuck()
    gate.begun.get(timeout=10)
    [stuck] = gate.threads._pulses.beats()
    assert gate.passes()
    [beat] = gate.threads._pulses.beats()
    assert ("launch", True) == (beat.name, beat.up)
    assert stuck.at == pytest.approx(beat.at, abs=0.01)
    assert 0 == gate.threads.waiting


def test_when_no_thread_can_be_started(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any, the job is refused; with one, that does it all."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start"):
            gate.threads.submit(gate.open.set, slow=False)
    assert gate.passes()
    gate.stuck()
    gate.begun.get(timeout=10)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        gate.stuck()
    gate.open.set()
    assert gate.passes()


def test_signals_go_to_others(gate: Gate) -> None:
    """A launcher thread has all signals blocked, and its name is seen in /proc."""
    told: queue.SimpleQueue[str] = queue.SimpleQueue()

    def look() -> None:
        with open("/proc/thread-self/status", encoding="ascii") as file:
            told.put(file.read())

    gate.threads.submit(look, slow=False)
    lines = dict(line.split(":\t", 1) for line in told.get(timeout=10).splitlines())
    assert "respawnd-launch" == lines["Name"]
    term, hup = 1 << 14, 1 << 0
    assert term | hup == int(lines["SigBlk"], 16) & (term | hup)
