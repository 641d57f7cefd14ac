"""The sampler on real processes, with psutil and the processes' own words as referees."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.core.model import UnitKey
from supervisor.core.state import Consumed
from tests.leaks import wait_for_exit
from tests.metrics.sampling_host import ACTOR, WEB, Host, referee

TICK = 1 / os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


@pytest.fixture
def host() -> Iterator[Host]:
    """A daemon's worth of lives."""
    with Host() as one:
        yield one


def test_the_whole_tree_is_counted(host: Host) -> None:
    """Children, grandchildren in other sessions, and a daemon that left in the old manner: all are the replica's."""
    main = host.launch()
    child = main.do("fork()")
    grandchild = main.do(f"at({child}, 'fork(session=True)')")
    daemon = main.do("leave()")
    other = host.launch(UnitKey("other"))
    main.do(f"at({child}, 'threads(4)')")
    tree = referee(main.pid, child, grandchild, daemon)
    usage = host.look()
    assert 4 == usage.processes
    assert sum(one.num_threads() for one in tree) == usage.threads == 8
    assert sum(one.memory_info().rss for one in tree) == pytest.approx(usage.resident, abs=4 * MIB)
    assert sum(one.num_fds() for one in tree) == usage.open_fds
    assert 1 == host.look(UnitKey("other")).processes
    assert {} == host.errors()
    assert other.pid != main.pid


def test_what_left_main_stays_in_the_tree_when_it_hides(host: Host) -> None:
    """A process seen in a life stays in it, whatever becomes of its parents and sessions; one never seen is found."""
    main = host.launch()
    middle = main.do("fork()")
    hidden = main.do(f"at({middle}, 'fork(session=True)')")
    assert 3 == host.look().processes
    main.do(f"end({middle})")
    usage = host.look()
    assert 2 == usage.processes
    main.do("burn(0.05)")
    assert host.look().processes == 2
    host.bury(hidden)
    assert 1 == host.look().processes


@pytest.mark.slow
def test_processor_time_is_what_the_processes_say(host: Host) -> None:
    """Sampled, it is right to a tick a process; when all is over, to the microsecond."""
    main = host.launch()
    child = main.do("fork()")
    main.do("burn(0.1)")
    main.do(f"at({child}, 'burn(0.15)')")
    said = [main.do("used()"), main.do(f"at({child}, 'used()')")]
    usage = host.look()
    for kind in ("user", "system"):
        true = sum(one[kind] for one in said)
        assert true - 2 * TICK <= getattr(usage, kind) <= true + 2 * TICK
    main.do(f"end({child})")
    last = host.look()
    assert last.user >= usage.user
    os.kill(main.pid, signal.SIGTERM)
    consumed = host.reap()
    ended = host.look()
    assert (consumed.user, consumed.system) == pytest.approx((ended.user, ended.system), abs=1e-6)
    assert (0, 0, 0) == (ended.processes, ended.threads, ended.resident)
    assert ended.user + ended.system > 0.25


@pytest.mark.slow
def test_the_share_of_a_processor(host: Host) -> None:
    """What a burner uses between two samples, as a percentage of one processor."""
    main = host.launch()
    main.do("burn(0.6)")
    first = host.look()
    main.do("burn(0.6)")
    second = host.look()
    used = second.user + second.system - first.user - first.system
    assert 100 * used / (second.at - first.at) == pytest.approx(second.cpu_share, abs=0.1)


def test_memory(host: Host) -> None:
    """What a program eats is resident, as psutil sees it; the kernel's two counts differ by some pages a processor."""
    main = host.launch()
    before = host.look().resident
    main.do("eat(32)")
    after = host.look().resident
    assert 32 * MIB <= after - before <= 34 * MIB
    assert referee(main.pid)[0].memory_info().rss == pytest.approx(after, abs=MIB)


def test_the_process_nearest_to_its_limit_is_told(host: Host) -> None:
    """One child about to run out is not hidden by a parent with room."""
    main = host.launch()
    child = main.do("fork()")
    main.do("open_files(20, 1000)")
    number = main.do(f"at({child}, 'open_files(36, 40)')")
    usage = host.look()
    assert (36, 0.9) == (number, usage.worst_fd_ratio)
    assert 1000 == usage.max_fds
    assert 36 + 20 == usage.open_fds


@pytest.mark.slow
def test_bytes_on_the_disk(host: Host, tmp_path: Path) -> None:
    """What is written for good is counted, by a child too, and stays counted when the child is gone."""
    main = host.launch()
    child = main.do("fork()")
    main.do(f"write('{tmp_path}/one', 2)")
    main.do(f"""at({child}, "write('{tmp_path}/two', 3)")""")
    usage = host.look()
    assert sum(one.io_counters().write_bytes for one in referee(main.pid, child)) == usage.written
    assert usage.written is not None
    assert usage.written >= 5 * MIB
    main.do(f"end({child})")
    assert usage.written == host.look().written
    os.kill(main.pid, signal.SIGKILL)
    assert usage.written == host.reap().written == host.look().written


@pytest.mark.slow
def test_lives_too_short_to_be_sampled_are_counted_exactly(host: Host) -> None:
    """A crash loop between two samples shows all that it burnt."""
    burning = ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exit 1"]
    total: list[Consumed] = []
    for _ in range(5):
        host.launch(argv=burning)
        total.append(host.reap())
    usage = host.look()
    assert sum(one.user for one in total) == pytest.approx(usage.user, abs=1e-5)
    assert sum(one.system for one in total) == pytest.approx(usage.system, abs=1e-5)
    assert usage.user + usage.system > 0


@pytest.mark.slow
def test_a_killed_subtree_is_not_forgotten(host: Host) -> None:
    """What children burnt stays in the counters when they are killed, waited for by nobody, or by a deaf parent."""
    main = host.launch()
    daemon = main.do("leave()")
    assert main.do("deaf()")
    child = main.do("fork()")
    main.do(f"at({child}, 'burn(0.1)')")
    main.do("burn(0.01)")
    before = host.look()
    assert before.user + before.system >= 0.1
    host.bury(daemon)
    os.kill(child, signal.SIGKILL)
    wait_for_exit(child, 10.0)
    after = host.look()
    assert 1 == after.processes
    assert (after.user, after.system) >= (before.user, before.system)
    os.kill(main.pid, signal.SIGKILL)
    host.reap()
    ended = host.look()
    assert ended.user >= after.user
    assert ended.system >= after.system


def test_what_vanishes_during_a_pass_is_no_error(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may go between any two readings: nothing is counted as failed, and its final figures settle it."""
    main = host.launch()
    host.look()
    proc = host.sampler._census._proc
    reading = proc.reading
    seen: list[Consumed] = []

    def dying(pid: int) -> object:
        if pid == main.pid and not seen:
            os.kill(pid, signal.SIGKILL)
            seen.append(host.reap())
        return reading(pid)

    monkeypatch.setattr(proc, "reading", dying)
    usage = host.look()
    assert (0, 1) == (usage.processes, len(seen))
    assert {} == host.errors()
    ended = host.look()
    assert seen[0].user + seen[0].system == pytest.approx(ended.user + ended.system, abs=1e-6)


@pytest.mark.parametrize("name", [")) (x) R 1", "a b\\nc", "(", ") Z 0 0"])
def test_hostile_names(host: Host, name: str) -> None:
    """A process is read right whatever it calls itself."""
    main = host.launch()
    main.do(f"named({name!r})")
    assert 1 == host.look().processes
    assert {} == host.errors()


def test_a_pid_given_anew_is_nobodys(host: Host) -> None:
    """A process that started after the life did is not its main process, whatever its pid."""
    main = host.launch(argv=["env", "-i", sys.executable, "-SE", ACTOR])
    main.do("1")
    host.units[WEB] = host.units[WEB]._replace(started_at=main.started_at - 5)
    usage = host.look()
    assert (0, 0.0) == (usage.processes, usage.user)
    host.units[WEB] = host.units[WEB]._replace(started_at=main.started_at)
    assert 1 == host.look().processes


def test_a_unit_that_leaves_is_forgotten(host: Host) -> None:
    """No account is kept of what is not in the picture; one that comes back begins anew."""
    main = host.launch()
    main.do("burn(0.03)")
    assert host.look().user > 0
    kept = host.units.pop(WEB)
    host.recorder.sync(host.view())
    host.sampler.sample()
    assert {} == host.sampler._census._series
    host.units[WEB] = kept
    host.recorder.sync(host.view())
    assert host.look().processes == 1


def test_what_left_and_came_back_between_two_looks_owes_nothing(host: Host) -> None:
    """A service is removed and configured again before the next pass: what its last life used is not the new one's."""
    host.launch().do("burn(0.1)")
    assert host.look().user > 0
    host.actors[WEB].do("burn(0.3)")
    os.kill(host.actors[WEB].pid, signal.SIGKILL)
    host.reap()
    host.units.pop(WEB)
    host.recorder.sync(host.view())
    host.launch()
    usage = host.look()
    assert 1 == usage.processes
    assert usage.user + usage.system < 0.3


def test_counters_go_on_over_a_change_of_daemon(host: Host) -> None:
    """With the accounts of the predecessor nothing is lost; without, nothing is counted twice."""
    main = host.launch()
    main.do("burn(0.05)")
    first = host.look()
    carried = host.sampler.export_state()
    for state in (carried, None):
        with Host() as successor:
            successor.units, successor.lives = host.units, host.lives
            successor.recorder.sync(successor.view())
            successor.recorder.replicas[WEB].usage = first
            if state is not None:
                successor.sampler.import_state(state)
            again = successor.look()
            assert (first.user, first.system) <= (again.user, again.system)
            assert again.user + again.system - first.user - first.system <= 2 * TICK
            successor.units = {}
    os.kill(main.pid, signal.SIGKILL)
    host.reap()
