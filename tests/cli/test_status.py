"""`respawnd status`: for people, for programs, and for people in a hurry."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.core import events as ev
from supervisor.core.events import Shutdown
from supervisor.core.model import Condition
from supervisor.core.state import Exit, Reason
from tests.cli.rig import RESPAWND, environment, respawnd
from tests.control.fakes import FIRST_PID, FakeDaemon, daemon, key_of, serving, spec


@pytest.fixture
def fake() -> FakeDaemon:
    """Two replicas that run, a service that was killed and is back, and one that waits."""
    one = daemon(
        spec("web", replicas=2),
        spec("db"),
        spec("app", depends_on={"slow": Condition.READY}),
        spec("slow"),
        held=("slow",),
    )
    one.dies("db", None, 9)
    return one


def test_the_table(fake: FakeDaemon, tmp_path: Path) -> None:
    """A heading and a line for each replica, however long; no colours where a program reads."""
    with serving(fake, tmp_path) as site:
        ran = respawnd("status", "--socket", site.socket)
    heading, *lines = ran.out.splitlines()
    assert (0, "") == (ran.code, ran.err)
    assert "SERVICE STATE PID UPTIME RESTARTS CPU MEMORY LAST EXIT NOTE" == " ".join(heading.split())
    assert ["web:0", "web:1", "db", "app", "slow"] == [line.split()[0] for line in lines]
    assert f"web:0 running {FIRST_PID + 1} 10s 0 - - -" == " ".join(lines[0].split())
    assert f"db running {FIRST_PID + 4} 10s 1 - - SIGKILL, 0.0s ago failure 1/10 lately" == " ".join(lines[2].split())
    assert "app waiting - - 0 - - - waits for slow ready (0.0s)" == " ".join(lines[3].split())
    assert "\x1b" not in ran.out


def test_names_choose(fake: FakeDaemon, tmp_path: Path) -> None:
    """Globs, replicas, several; one that means nothing is exit status 1."""
    with serving(fake, tmp_path) as site:
        chosen = respawnd("status", "--socket", site.socket, "--json", "w*", "db")
        assert ["web:0", "web:1", "db"] == [row["name"] for row in chosen.json()["services"]]
        wrong = respawnd("status", "--socket", site.socket, "wbe")
        empty = respawnd("status", "--socket", site.socket, "")
    assert (1, "", "respawnd: no service wbe (did you mean web?)\n") == (wrong.code, wrong.out, wrong.err)
    assert 2 == empty.code


def test_only_problems(fake: FakeDaemon, tmp_path: Path) -> None:
    """What is not as it should be, as a table or as JSON; a word where all is well."""
    with serving(fake, tmp_path) as site:
        ran = respawnd("status", "--socket", site.socket, "--problems")
        assert ["db", "app", "slow"] == [line.split()[0] for line in ran.out.splitlines()[1:]]
        data = respawnd("status", "--socket", site.socket, "-p", "--json").json()
        assert ["db", "app", "slow"] == [row["name"] for row in data["services"]]
        well = respawnd("status", "--socket", site.socket, "-p", "web")
    assert (0, "", "respawnd: all is well\n") == (well.code, well.out, well.err)


def test_what_is_not_in_the_table(tmp_path: Path) -> None:
    """No services, and a shutdown: told beside it."""
    empty = daemon(spec("gone"))
    empty.step(ev.Reconfigured({}))
    with serving(empty, tmp_path) as site:
        ran = respawnd("status", "--socket", site.socket)
    assert (0, "", "respawnd: no services in /etc/respawnd.toml\n") == (ran.code, ran.out, ran.err)
    closing = daemon(spec("web"))
    closing.held.add("web")
    closing.step(Shutdown())
    with serving(closing, tmp_path) as site:
        ran = respawnd("status", "--socket", site.socket)
    assert (0, "respawnd: the daemon is shutting down\n") == (ran.code, ran.err)
    assert "stopping" in ran.out


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Exit(3, None, Reason.ERROR, 0.0), "exit 3"),
        (Exit(0, None, Reason.OK, 0.0), "exit 0"),
        (Exit(None, 11, Reason.SIGNAL, 0.0), "SIGSEGV"),
        (Exit(None, 9, Reason.OOM, 0.0), "SIGKILL (oom)"),
        (Exit(None, 9, Reason.KILLED, 0.0), "SIGKILL (killed)"),
        (Exit(143, None, Reason.STOPPED, 0.0), "exit 143 (stopped)"),
        (Exit(None, None, Reason.UNKNOWN, 0.0), "unknown"),
    ],
)
def test_last_exits(tmp_path: Path, how: Exit, said: str) -> None:
    """How the last life ended, in as many words as it needs."""
    fake = daemon(spec("web"))
    fake.fleet.units[key_of("web")] = fake.unit("web")._replace(exit=how)
    fake._publish()
    with serving(fake, tmp_path) as site:
        out = respawnd("status", "--socket", site.socket).out
    assert f" {said}, " in out


# --- on a terminal ----------------------------------------------------------------------------------------------------


@pytest.fixture
def terminal(fake: FakeDaemon, tmp_path: Path) -> Callable[..., list[str]]:
    """A function that gives the lines of a command as a terminal of some width gets them."""

    def run(width: int, *arguments: str, daemon: FakeDaemon = fake, **variables: str) -> list[str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("4H", 24, width, 0, 0))
        with serving(daemon, tmp_path) as site:
            command = [*RESPAWND, "status", "--socket", site.socket, *arguments]
            with subprocess.Popen(command, stdout=theirs, env=environment(**variables)) as process:
                os.close(theirs)
                shown = b"".join(iter(lambda: _read(ours), b""))
                assert 0 == process.wait()
        os.close(ours)
        return shown.decode().replace("\r\n", "\n").splitlines()

    return run


def _read(descriptor: int) -> bytes:
    """What the terminal shows next; nothing at its end, which Linux tells as EIO."""
    try:
        return os.read(descriptor, 1 << 16)
    except OSError:
        return b""


Terminal = Callable[..., list[str]]


@pytest.mark.slow
def test_colours_are_for_terminals(terminal: Terminal) -> None:
    """The states bear them, unless NO_COLOR or a dumb terminal is there."""
    shown = "\n".join(terminal(200))
    assert "\x1b[32mrunning\x1b[0m" in shown
    assert "\x1b[36mwaiting\x1b[0m" in shown
    assert "\x1b" not in "\n".join(terminal(200, NO_COLOR="1"))
    assert "\x1b" not in "\n".join(terminal(200, TERM="dumb"))


@pytest.mark.slow
def test_a_narrow_terminal(terminal: Terminal) -> None:
    """Nothing wraps: notes stand below their service."""
    for width in (110, 60, 30):
        shown = terminal(width, NO_COLOR="1")
        assert width >= max(map(len, shown))
        assert (width < 110) == ("\n    waits for slow ready" in "\n".join(shown))
    assert "    last exit: SIGKILL, " in "\n".join(terminal(30))


@pytest.mark.slow
def test_many_services_are_summed_up(terminal: Terminal) -> None:
    """Below a table that no longer fits in a glance."""
    many = daemon(spec("web", replicas=298), spec("slow", replicas=2), held=("slow",))
    assert "300 processes: 298 running, 2 starting" == terminal(200, daemon=many)[-1]
    before = time.monotonic()
    terminal(80, daemon=many)
    assert 5 > time.monotonic() - before
