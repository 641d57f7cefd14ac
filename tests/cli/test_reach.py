"""Which daemon a command means, and what is said when there is none."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.cli import absence, link, reach
from supervisor.cli.absence import holder, stuck
from supervisor.control import client
from supervisor.control.client import Target
from tests.cli.rig import config, lock, respawnd, running
from tests.control.fakes import FIRST_PID, daemon, serving, spec

NOBODY = 65534


def stale(path: Path) -> Path:
    """A socket file on which nobody listens."""
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))
    return path


# --- found ------------------------------------------------------------------------------------------------------------


def test_by_its_configuration(tmp_path: Path) -> None:
    """The state directory of the file leads to the lock, the lock to the socket, wherever that is."""
    with running(daemon(spec("web")), tmp_path) as (_, path):
        ran = respawnd("status", "-c", path)
    assert (0, "") == (ran.code, ran.err)
    assert "web" in ran.out


@pytest.mark.parametrize(
    "broken",
    ['[daemon]\nstate_dir = "state"\n[service.web', '[daemon]\nstate_dir = "state"\n[service.web]\ncomand = 1\n'],
)
def test_by_a_broken_configuration(tmp_path: Path, broken: str) -> None:
    """A daemon can be reached, and told to do things, while somebody is half way through an edit of its file."""
    fake = daemon(spec("web"))
    with running(fake, tmp_path) as (_, path):
        path.write_text(broken)
        assert 0 == respawnd("status", "-c", path).code
        stopped = respawnd("stop", "web", "-c", path)
    assert (0, "web: stopped\n") == (stopped.code, stopped.out)


def test_by_its_socket(tmp_path: Path) -> None:
    """Nothing else is needed."""
    with serving(daemon(spec("web")), tmp_path) as site:
        assert 0 == respawnd("status", "--socket", site.socket).code
        both = respawnd("status", "--socket", site.socket, "-c", "x.toml")
    assert (2, "respawnd: cannot take both -c and --socket: each names a daemon\n") == (both.code, both.err)


def test_where_run_would_look(tmp_path: Path, home: Path) -> None:
    """The configuration of this user."""
    (home / "config" / "respawnd").mkdir(parents=True)
    with running(daemon(spec("web")), home / "config" / "respawnd"):
        assert 0 == respawnd("status").code


def test_in_the_default_state_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no configuration is found there may still be a daemon that was given one by name."""
    monkeypatch.setenv("RESPAWND_STATE_DIR", str(tmp_path / "state"))
    with running(daemon(spec("web")), tmp_path):
        assert 0 == respawnd("status").code


# --- another one than was meant ---------------------------------------------------------------------------------------


@pytest.fixture
def other(tmp_path: Path, home: Path) -> Iterator[str]:
    """A daemon that runs another configuration in the same state directory as `respawnd.toml`; its socket."""
    with running(daemon(spec("web")), tmp_path) as (site, _):
        lock(tmp_path / "state", socket=site.socket, config="/etc/other.toml")
        yield site.socket


def test_a_daemon_of_another_configuration_may_be_read(tmp_path: Path, other: str) -> None:
    """With a word about it."""
    ran = respawnd("status", "-c", tmp_path / "respawnd.toml")
    said = f"no daemon runs {tmp_path}/respawnd.toml; pid {os.getpid()} runs /etc/other.toml, and answers here"
    assert (0, f"respawnd: {said}\n") == (ran.code, ran.err)


@pytest.mark.parametrize("command", [("stop", "web"), ("signal", "HUP", "web"), ("shutdown",)])
def test_a_daemon_of_another_configuration_is_left_alone(tmp_path: Path, other: str, command: tuple[str, ...]) -> None:
    """What was meant for one daemon does not happen to another."""
    ran = respawnd(*command, "-c", tmp_path / "respawnd.toml")
    said = f"no daemon runs {tmp_path}/respawnd.toml; pid {os.getpid()} runs /etc/other.toml: to mean that one, say "
    assert (3, f"respawnd: {said}-c /etc/other.toml or --socket {other}\n") == (ran.code, ran.err)


def test_the_default_daemon_answers_reads_for_one_that_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configuration that was found has no daemon, the default state directory has one."""
    found = str(config(tmp_path / "home"))
    monkeypatch.setattr(reach, "find", lambda *_: found)
    with running(daemon(spec("web")), tmp_path) as (site, path):
        monkeypatch.setattr(
            reach, "places", lambda given, **_: (str((Path(given) if given else path).parent / "state"), "/run")
        )
        read, write = respawnd("status"), respawnd("stop", "web")
    assert (0, True) == (
        read.code,
        f"no daemon runs {found}; pid {os.getpid()} runs {path}, and answers here" in read.err,
    )
    assert (3, True) == (write.code, f"say -c {path} or --socket {site.socket}" in write.err)


def test_the_same_file_by_another_name(tmp_path: Path) -> None:
    """A relative name, a link, or a file that was removed since: it is still the daemon of that configuration."""
    with running(daemon(spec("web")), tmp_path) as (_, path):
        (tmp_path / "link.toml").symlink_to(path)
        os.chdir(tmp_path)
        for name in ("respawnd.toml", "./respawnd.toml", "link.toml"):
            assert (0, "") == ((ran := respawnd("signal", "HUP", "web", "-c", name)).code, ran.err)


# --- not found --------------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A name that was mistyped leads to no daemon at all, and certainly not to the default one."""
    ran = respawnd("shutdown", "-c", tmp_path / "typo.toml")
    assert (2, f"respawnd: {tmp_path}/typo.toml: cannot read: no such file or directory\n") == (ran.code, ran.err)


def test_no_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which socket, that it is not there, and what to do."""
    path = config(tmp_path)
    monkeypatch.setattr(absence, "SYSTEM", "/none")
    ran = respawnd("status", "-c", path)
    said = f"no daemon: {tmp_path}/run/respawnd.sock: no such file or directory; start one with `respawnd run`"
    assert (3, "", f"respawnd: {said}\n") == (ran.code, ran.out, ran.err)


def test_a_stale_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who owns it, and that the one who held the lock is gone without a goodbye."""
    path = config(tmp_path)
    monkeypatch.setattr(absence, "SYSTEM", "/none")
    stale(tmp_path / "old.sock").chmod(0o600)
    lock(tmp_path / "state", pid=FIRST_PID, socket=str(tmp_path / "old.sock"))
    ran = respawnd("status", "-c", path)
    assert 3 == ran.code
    assert ran.err.startswith(f"respawnd: no daemon: {tmp_path}/old.sock: nobody listens there (it belongs to ")
    assert ", mode 0600); " in ran.err
    assert ran.err.endswith(f"; the last one, pid {FIRST_PID}, was killed or crashed; start one with `respawnd run`\n")
    assert 1 == len(ran.err.splitlines())


def test_a_daemon_without_its_socket(tmp_path: Path) -> None:
    """The lock names a process that is there: it is not said that none is."""
    path = config(tmp_path)
    lock(tmp_path / "state", socket=str(tmp_path / "removed.sock"))
    ran = respawnd("status", "-c", path)
    assert 3 == ran.code
    assert f"pid {os.getpid()} holds {tmp_path}/state/respawnd.lock: it is starting or ending" in ran.err


@pytest.mark.needs("root")
def test_roots_daemon_is_pointed_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else looks where his own daemon would be, and hears of the one that he may have meant."""
    monkeypatch.setattr(absence, "SYSTEM", "/")
    os.seteuid(NOBODY)
    try:
        ran = respawnd("status", "--socket", "/none")
    finally:
        os.seteuid(0)
    said = "no daemon: /none: no such file or directory; root may run one, which only root may ask: /"
    assert (3, f"respawnd: {said}\n") == (ran.code, ran.err)


@pytest.mark.needs("root")
def test_permission_denied() -> None:
    """Exit status 4, whose socket it is, and who is asking."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        secret = directory / "secret.toml"
        secret.touch(0o600)
        with serving(daemon(spec("web")), directory) as site:
            os.seteuid(NOBODY)
            try:
                asked, read = respawnd("status", "--socket", site.socket), respawnd("status", "-c", secret)
            finally:
                os.seteuid(0)
    assert 4 == asked.code
    said = (
        f"respawnd: cannot reach the daemon: {site.socket}: permission denied (it belongs to root, uid 0, mode 0600; "
    )
    assert asked.err.startswith(said)
    assert f"uid {NOBODY})" in asked.err
    assert (4, f"respawnd: {secret}: cannot read: permission denied\n") == (read.code, read.err)


def test_a_daemon_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there, so another one cannot be started: exit status 1."""
    monkeypatch.setattr(link, "_PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "deaf.sock"))
        deaf.listen()
        ran = respawnd("status", "--socket", tmp_path / "deaf.sock")
    said = f"the daemon does not answer: {tmp_path}/deaf.sock; pid {os.getpid()} runs: its log may say more"
    assert (1, f"respawnd: {said}\n") == (ran.code, ran.err)


@pytest.mark.slow
def test_a_process_that_is_stopped(tmp_path: Path) -> None:
    """Its state is told, where it is what keeps the daemon from answering."""
    with subprocess.Popen(["sleep", "60"]) as one:
        assert stuck(one.pid) == f"; pid {one.pid} runs: its log may say more"
        one.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, one.pid, os.WSTOPPED | os.WNOWAIT)
        assert stuck(one.pid) == f"; pid {one.pid} is stopped: SIGCONT lets it go on"
        one.kill()
    assert "" == stuck(0)


def test_a_daemon_that_hangs_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It died in the middle of its answer."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    with serving(fake, tmp_path) as site:
        stream = client.stream

        def cut(target: Target, *how: str, timeout: float, **more: Any) -> object:
            answer = stream(target, *how, timeout=timeout, **more)
            site.server.begin_stop(0)
            return answer

        monkeypatch.setattr(client, "stream", cut)
        ran = respawnd("stop", "web", "--socket", site.socket)
    assert 3 == ran.code
    assert ran.err.startswith("respawnd: the daemon hung up in the middle of its answer: ")


# --- the lock ---------------------------------------------------------------------------------------------------------


def test_what_the_lock_says(tmp_path: Path) -> None:
    """Its holder, if that process is older than what it wrote; nothing where there is no sense in it."""
    known = holder(str(lock(tmp_path / "state", socket="/s", config="/c").parent))
    assert (os.getpid(), "/s", "/c", True) == (known.pid, known.socket, known.config, known.alive)
    reused = lock(tmp_path / "state")
    os.utime(reused, (1, 1))
    assert (os.getpid(), False) == ((known := holder(str(reused.parent))).pid, known.alive)
    for nonsense in ("", "{", "[]", json.dumps({"pid": "7", "socket": 3})):
        reused.write_text(nonsense)
        assert (None, None, False) == ((known := holder(str(reused.parent))).pid, known.socket, known.alive)
    assert holder(str(tmp_path / "none")).pid is None


@pytest.mark.needs("root")
def test_a_lock_of_others_is_not_believed(tmp_path: Path) -> None:
    """It could lead root to a socket of theirs."""
    path = lock(tmp_path / "state", socket="/s")
    os.chown(path, NOBODY, NOBODY)
    assert holder(str(path.parent)).socket is None
