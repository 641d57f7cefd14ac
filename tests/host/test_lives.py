"""Lives and their stragglers, on real processes: what died is reaped exactly, what it left is found, no other hit."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.core.model import Scope, UnitKey
from supervisor.host import kernel
from supervisor.host.lives import Death, Life, Lives

WEB = UnitKey("web")


class World:
    """An epoll with lives on it, and processes in sessions of their own that are tagged as ours are."""

    def __init__(self) -> None:
        kernel.become_subreaper()
        self.epoll = select.epoll()
        self.lives = Lives(self.epoll, lambda key, number: f"test-{os.getpid()}-{key}-{number}")
        self.number = 0

    def spawn(self, script: str, key: UnitKey = WEB) -> int:
        """Begin a life that runs `script`; returns once the script has said that it is set up."""
        self.number += 1
        read, write = os.pipe()
        environment = {**os.environ, "RESPAWND_LIFE": f"test-{os.getpid()}-{key}-{self.number}"}
        actions = [(os.POSIX_SPAWN_DUP2, write, 1)]
        argv = ["sh", "-c", script]
        pid = os.posix_spawn("/bin/sh", argv, environment, file_actions=actions, setsid=True)
        os.close(write)
        self.lives.begin(key, self.number, pid)
        self.said = os.read(read, 100)
        os.close(read)
        return pid

    def next(self) -> Death | Life | None:
        """The next news, within 10 s."""
        for _ in range(100):
            fired = self.epoll.poll(10)
            assert fired, "nothing happened"
            self.lives.new_turn()
            news = self.lives.fired(fired[0][0])
            if news is not None:
                return news
        return None

    def death(self) -> Death:
        """The next news, which must be a death."""
        news = self.next()
        assert isinstance(news, Death)
        return news

    def finish(self) -> None:
        """Reap what a test left to be reaped; who was killed may take a moment to be a zombie."""
        for _ in range(200):
            self.lives.reap_strays()
            if not kernel.children(self.lives._children):
                break
            select.select([], [], [], 0.01)
        self.lives.close()
        self.epoll.close()


@pytest.fixture
def world() -> Iterator[World]:
    """A world of its own for a test, whose processes are reaped at the end."""
    made = World()
    yield made
    made.finish()


def alive(pid: int) -> bool:
    """Whether a process runs, zombies not counted."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")
    except FileNotFoundError:
        return False


def test_an_exit_code_is_told_exactly(world: World) -> None:
    """A life that exits with 37 is reaped as 37, and nothing is left of it."""
    world.spawn("echo; exit 37")
    death = world.death()
    assert (37, None, False, False) == (death.code, death.signal, death.core, death.left)


def test_a_signal_is_told_exactly(world: World) -> None:
    """A life ended by a signal is told by that signal and has no code."""
    pid = world.spawn("echo; exec sleep 60")
    assert world.lives.signal(WEB, 1, signal.SIGKILL, Scope.MAIN) is None
    death = world.death()
    assert (None, signal.SIGKILL) == (death.code, death.signal)
    assert not alive(pid)


def test_a_signal_to_an_older_life_goes_nowhere(world: World) -> None:
    """A signal names its life: another number is passed over in silence."""
    pid = world.spawn("echo; exec sleep 60")
    assert world.lives.signal(WEB, 99, signal.SIGKILL, Scope.MAIN) is None
    assert alive(pid)
    world.lives.signal(WEB, 1, signal.SIGKILL, Scope.MAIN)
    assert signal.SIGKILL == world.death().signal


def test_a_group_that_outlives_its_leader_is_found_and_swept(world: World) -> None:
    """The main process dies and leaves a child in its group: the death says so, a sweep ends it, the end is told."""
    world.spawn("sleep 60 & echo $!; exit 3")
    straggler = int(world.said)
    death = world.death()
    assert death.left
    assert world.lives.sweep(WEB, 1, signal.SIGTERM)
    gone = world.next()
    assert isinstance(gone, Life)
    assert WEB == gone.key
    assert not alive(straggler)


def test_a_double_fork_into_a_session_of_its_own_is_found_by_its_tag(world: World) -> None:
    """A daemonised grandchild has another session, group and parent; its environment still names its life."""
    world.spawn("(setsid sh -c 'echo $$; exec >&-; sleep 60' &) ; sleep 0.2; exit 0")
    straggler = int(world.said)
    death = world.death()
    assert death.left
    assert world.lives.sweep(WEB, 1, signal.SIGTERM)
    assert isinstance(world.next(), Life)
    assert not alive(straggler)


def test_an_orphan_without_a_tag_is_nobodys(world: World) -> None:
    """What cannot be attributed with certainty is never signalled: it is reaped when it dies, no more."""
    world.spawn("(env -u RESPAWND_LIFE setsid sh -c 'echo $$; exec >&-; exec sleep 60' &) ; sleep 0.2; exit 0")
    stranger = int(world.said)
    death = world.death()
    assert not death.left
    assert not world.lives.sweep(WEB, 1, signal.SIGKILL)
    assert alive(stranger)
    pidfd = os.pidfd_open(stranger)
    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    select.select([pidfd], [], [], 10)
    os.close(pidfd)
    assert world.lives.reap_strays()
    assert 1 == world.lives.orphans_reaped


def test_a_sweep_kills_the_whole_tree_of_a_living_main(world: World) -> None:
    """KILL reaches children in other sessions too, through the main process they descend from."""
    pid = world.spawn("trap '' TERM; setsid sh -c 'echo $$; exec >&-; sleep 60' & wait; wait")
    child = int(world.said)
    assert world.lives.sweep(WEB, 1, signal.SIGKILL)
    death = world.death()
    assert signal.SIGKILL == death.signal
    if death.left and world.lives.sweep(WEB, 1, signal.SIGKILL):
        assert isinstance(world.next(), Life)
    assert not alive(pid)
    assert not alive(child)


def test_two_units_do_not_hit_each_other(world: World) -> None:
    """A sweep of one unit leaves the other's processes alone."""
    other = UnitKey("db")
    world.spawn("echo; exec sleep 60")
    kept = world.spawn("sleep 60 & echo; wait", other)
    world.lives.sweep(WEB, 1, signal.SIGKILL)
    assert WEB == world.death().life.key
    assert alive(kept)
    world.lives.sweep(other, 2, signal.SIGKILL)
    assert other == world.death().life.key


def test_zombies_that_come_to_us_are_reaped(world: World) -> None:
    """A subreaper inherits orphans; the dead among them do not stay."""
    world.spawn("for i in 1 2 3 4 5; do (true &) ; done; echo; exec sleep 60")
    for _ in range(200):
        world.lives.reap_strays()
        if world.lives.orphans_reaped == 5:
            break
        select.select([], [], [], 0.01)
    assert 5 == world.lives.orphans_reaped
    world.lives.sweep(WEB, 1, signal.SIGKILL)
    assert signal.SIGKILL == world.death().signal


TRACER = """
import ctypes, sys
assert ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), 0, 0) == 0  # PTRACE_SEIZE
print(flush=True)
sys.stdin.read()
"""


def test_a_death_that_a_tracer_holds_back_wakes_nobody_until_it_is_ours(world: World) -> None:
    """A tracer keeps a dead child from being reaped: no event repeats meanwhile; afterwards the exit is told."""
    pid = world.spawn("echo; exec sleep 60")
    with subprocess.Popen(
        [sys.executable, "-c", TRACER, str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as tracer:
        assert tracer.stdout is not None
        tracer.stdout.readline()
        os.kill(pid, signal.SIGKILL)
        fired = world.epoll.poll(10)
        assert [None] == [world.lives.fired(fd) for fd, _ in fired]
        assert [] == world.epoll.poll(0.05)
        assert [] == world.lives.let_go()
        tracer.kill()
    deaths: list[Death] = []
    while not deaths:
        deaths = world.lives.let_go()
        select.select([], [], [], 0.01)
    assert [signal.SIGKILL] == [death.signal for death in deaths]
