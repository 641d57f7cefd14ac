"""The fork server as a process: what it holds, how it dies, and what a launch then sees."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from supervisor.core.events import Launched, LaunchFailed
from supervisor.host import kernel
from tests.host.launching import STAGED, Rig, gone, helpers, rig, spec

TRUE = spec("true", **STAGED)
_NOT_SUBREAPER = (36, 0, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER


@pytest.fixture
def host() -> Iterator[Rig]:
    """A launcher whose fork server runs, with all its spares waiting."""
    with rig() as one:
        one.wait(one.pid(TRUE))
        yield one


def kill(pids: frozenset[int]) -> None:
    """Kill children of ours and see them dead; they stay zombies."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert gone(*pids)


def test_what_it_holds(host: Rig) -> None:
    """Nothing of the daemon but its socket; its directory is the root, its environment empty, its name its own."""
    for pid in helpers(host):
        held = {os.readlink(f"/proc/{pid}/fd/{fd}").partition(":")[0] for fd in os.listdir(f"/proc/{pid}/fd")}
        assert {"/dev/null", "socket", "pipe"} >= held
        assert "/" == os.readlink(f"/proc/{pid}/cwd")
        with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            assert b"" == environ.read()
            assert b"respawnd-forkserver" in cmdline.read().split(b"\0")
        with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
            assert "respawnd-fork\n" == comm.read()


def test_a_plain_launch_needs_none() -> None:
    """It is started at first need only."""
    with rig() as host:
        host.wait(host.pid(spec("true")))
        assert frozenset() == host.launcher.helper_pids()


def test_the_next_launch_after_its_death(host: Rig) -> None:
    """Killed, spares and all: the next launch starts a new one and knows nothing of it."""
    before = helpers(host)
    kill(before)
    assert isinstance(host.launch(TRUE), Launched)
    assert before.isdisjoint(host.launcher.helper_pids() - before)
    for pid in before:
        os.waitpid(pid, 0)
        assert host.launcher.reaped(pid)
    assert not host.launcher.reaped(os.getpid())
    assert isinstance(host.launch(TRUE), Launched)


def test_spares_outlive_it_for_a_launch_each(host: Rig) -> None:
    """Killed alone: what its spares can do is done, then a new one is started."""
    server = host.launcher._server._servers.copy()
    helpers(host)
    kill(frozenset(server))
    answers = [host.launch(TRUE) for _ in range(5)]
    assert [Launched] * 5 == [type(one) for one in answers], answers


def test_killed_in_mid_flight(host: Rig) -> None:
    """Launches that no spare has taken are given to the next server, each once."""
    stopped = helpers(host)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    for _ in range(10):
        assert host.start(TRUE) is None
    kill(stopped)
    answers = [host.answer() for _ in range(10)]
    pids = [answer.pid for answer in answers if isinstance(answer, Launched)]
    assert 10 == len(set(pids))
    assert stopped.isdisjoint(pids)
    assert {0} == {host.wait(pid) for pid in pids}


def test_more_than_the_socket_holds(host: Rig) -> None:
    """Launches wait for room while the server is slow, and none is lost."""
    stopped = helpers(host)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    what = spec("true", environment={"LONG": "x" * 60_000}, **STAGED)
    for _ in range(12):
        assert host.start(what) is None
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    assert all(isinstance(host.answer(), Launched) for _ in range(12))


@pytest.mark.slow
def test_it_dies_with_the_daemon() -> None:
    """The daemon is killed outright: server and spares end by themselves."""
    script = (
        "import signal; from tests.host.launching import STAGED, helpers, rig, spec\n"
        "with rig() as host:\n"
        "    host.wait(host.pid(spec('true', **STAGED)))\n"
        "    print(*helpers(host), flush=True); signal.pause()\n"
    )
    daemon = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    with daemon, daemon.stdout:
        pids = [int(word) for word in daemon.stdout.readline().split()]
        daemon.kill()
        assert 3 == len(pids)
        assert gone(*pids)


def test_without_clone_it_forks_twice(host: Rig) -> None:
    """On a machine whose clone(2) is not known, spares fall to the daemon as grandchildren, since it is a subreaper."""
    kernel.become_subreaper()
    try:
        with rig() as other:
            server = other.launcher._server
            server._program = server._program.replace(b"os.uname().machine", b"'abacus'")
            pid = other.pid(spec("sleep", "600", **STAGED))
            with open(f"/proc/{pid}/stat", encoding="ascii") as file:
                assert str(os.getpid()) == file.read().rsplit(")", 1)[1].split()[1]
            assert isinstance(other.launch(TRUE), Launched)
    finally:
        ctypes.CDLL(None).prctl(*_NOT_SUBREAPER)


@pytest.mark.slow
def test_a_server_that_cannot_work(host: Rig) -> None:
    """A broken program is told with each launch, and does not fork for ever."""
    server = host.launcher._server
    kill(helpers(host))
    program = server._program
    server._program = program.replace(b"def serve_one(", b"def broken(")
    broken = host.launch(TRUE)
    assert isinstance(broken, LaunchFailed)
    assert ("forkserver", errno.EPIPE) == (broken.error.stage, broken.error.errno)
    server._program = program
    assert 0 == host.wait(host.pid(TRUE))
    while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG):  # the loop's duty: spares that never said who they are
        pass
