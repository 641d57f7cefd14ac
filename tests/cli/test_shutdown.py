"""`respawnd shutdown`: returns when the daemon's process has ended, whichever pid anybody wrote down."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from supervisor.cli import link
from supervisor.core.events import Origin, Shutdown
from tests.cli.rig import RESPAWND, environment, respawnd
from tests.control.fakes import FIRST_PID, daemon, serving, spec

WHO = Origin(f"uid {os.getuid()} over the control socket")
#: A daemon that answers every request with 202, and ends when a line comes on its stdin.
ENDS = """
import socket, sys, threading
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1]); listener.listen()
print(flush=True)
def serve():
    while True:
        one, _ = listener.accept()
        if one.recv(65536):
            one.sendall(b"HTTP/1.1 202 Accepted\\r\\nContent-Length: 15\\r\\n")
            one.sendall(b"Connection: close\\r\\n\\r\\n{'services':[]}".replace(b"'", b'"'))
            print(flush=True)
        one.close()
threading.Thread(target=serve, daemon=True).start()
sys.stdin.readline()
"""


@contextmanager
def process(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that listens on a Unix socket."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", ENDS, str(path)], stdin=pipe, stdout=pipe) as one:
        assert one.stdout is not None
        one.stdout.readline()
        yield one


@pytest.mark.slow
def test_it_waits_for_the_end_of_the_process(tmp_path: Path) -> None:
    """Its socket alone says nothing: it is the process that must be gone."""
    with process(tmp_path / "s") as one:
        assert one.stdin is not None
        assert one.stdout is not None
        ran: list[int] = []
        command = threading.Thread(target=lambda: ran.append(respawnd("shutdown", "--socket", tmp_path / "s").code))
        command.start()
        one.stdout.readline()
        (tmp_path / "s").unlink()
        assert [] == ran
        one.stdin.close()
        command.join(20)
    assert [0] == ran


@pytest.mark.slow
def test_it_waits_no_longer_than_it_was_told(tmp_path: Path) -> None:
    """Exit status 1, and what is known."""
    with process(tmp_path / "s") as one:
        ran = respawnd("shutdown", "--timeout", "10ms", "--socket", tmp_path / "s")
        assert one.stdin is not None
        one.stdin.close()
    assert (1, "respawnd: cannot see the end of the daemon within 0.01 s\n") == (ran.code, ran.err)


def test_what_still_lives_is_named(tmp_path: Path) -> None:
    """As far as the daemon says; this one is the test itself, and does not end."""
    fake = daemon(spec("web"), spec("db"))
    fake.held.add("web")
    with serving(fake, tmp_path) as site:
        ran = respawnd("shutdown", "--timeout", "0", "--socket", site.socket)
    assert (1, "respawnd: cannot see the end of the daemon within 0 s: web is stopping\n") == (ran.code, ran.err)
    assert [Shutdown(origin=WHO)] == fake.asked


def test_without_waiting_and_now(tmp_path: Path) -> None:
    """Done when it has begun; --now kills."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        ran = respawnd("shutdown", "--no-wait", "--now", "--socket", site.socket)
    assert (0, "", "") == (ran.code, ran.out, ran.err)
    assert [Shutdown(hurry=True, origin=WHO)] == fake.asked


@pytest.mark.parametrize("pid", [0, FIRST_PID])
def test_a_process_that_cannot_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    """From another pid namespace the end of the socket must do."""
    monkeypatch.setattr(link, "_listener", lambda _: pid)
    with serving(daemon(spec("web")), tmp_path) as site:
        late = respawnd("shutdown", "--timeout", "10ms", "--socket", site.socket)
        post = link.Link.post

        def and_gone(self: link.Link, path: str, body: object) -> object:
            answer = post(self, path, body)  # type: ignore[arg-type]  # passed on as it came
            os.unlink(site.socket)
            return answer

        monkeypatch.setattr(link.Link, "post", and_gone)
        ended = respawnd("shutdown", "--socket", site.socket)
    assert (1, 0) == (late.code, ended.code)


def test_no_daemon(tmp_path: Path) -> None:
    """Nothing to shut down is exit status 3, as for every command."""
    assert 3 == respawnd("shutdown", "--socket", tmp_path / "none").code


@pytest.mark.slow
def test_ctrl_c(tmp_path: Path) -> None:
    """Ends the wait; the shutdown goes on, and that is said."""
    with process(tmp_path / "s") as one:
        command = [*RESPAWND, "shutdown", "--socket", str(tmp_path / "s")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as asked:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdout.readline()
            asked.send_signal(signal.SIGINT)
            _, error = asked.communicate(timeout=20)
        one.stdin.close()
    assert 130 == asked.returncode
    assert error in {"respawnd: waits no longer; the shutdown goes on\n", "\n"}
