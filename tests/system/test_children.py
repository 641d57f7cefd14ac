"""Children that misbehave: each ends as it should, with real processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.rig import Daemon, alive, eventually

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]


def service(script: str, **keys: str) -> str:
    """A configuration with one service, a shell that runs `script`."""
    lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
    return f"[service.bad]\ncommand = ['sh', '-c', '''{script}''']\n{lines}"


def written_pid(path: Path) -> int:
    """The pid that a child wrote to a file."""

    def look() -> int | None:
        text = path.read_text() if path.exists() else ""
        return int(text) if text.endswith("\n") else None

    return eventually(look, what=str(path))


def test_a_child_that_ignores_term_is_killed_at_its_timeout(daemon: Make) -> None:
    """TERM is ignored; SIGKILL follows after stop.timeout, and the reason is told as killed."""
    one = daemon(service("trap '' TERM; while :; do sleep 1; done", stop="{ timeout = '300ms' }")).start()
    pid = one.until("bad", state="running")["pid"]
    assert 0 == one.run("stop", "bad").returncode
    assert not alive(pid)
    assert "killed" == one.service("bad")["last_exit"]["reason"]
    assert 1 == one.metrics()['respawnd_service_stop_escalations_total{service="bad"}']


def test_a_double_fork_with_setsid_is_found_and_ended(daemon: Make, tmp_path: Path) -> None:
    """A grandchild in a session of its own, with another parent, is ended when its service is stopped."""
    file = tmp_path / "pid"
    script = f"(setsid sh -c 'echo $$ > {file}; exec sleep 600' &) ; exec sleep 600"
    one = daemon(service(script)).start()
    escaped = written_pid(file)
    assert alive(escaped)
    assert 0 == one.run("stop", "bad").returncode
    assert not alive(escaped)


def test_stragglers_are_swept_before_a_respawn(daemon: Make, tmp_path: Path) -> None:
    """A main process that dies and leaves a child behind comes back only after that child is gone."""
    file = tmp_path / "pid"
    one = daemon(service(f"sleep 600 & echo $! > {file}; wait")).start()
    first = one.until("bad", state="running")["pid"]
    straggler = written_pid(file)
    os.kill(first, signal.SIGKILL)
    one.until("bad", state="running", restarts=1)
    assert not alive(straggler)


def test_who_holds_the_pipe_after_its_parents_death_blocks_nobody(daemon: Make, tmp_path: Path) -> None:
    """A grandchild keeps the output pipe open after the main process died: the death is seen at once all the same."""
    file = tmp_path / "pid"
    script = f"(env -u RESPAWND_LIFE setsid sh -c 'echo $$ >> {file}; exec sleep 600' &); exec sleep 600"
    one = daemon(service(script)).start()
    first = one.until("bad", state="running")["pid"]
    written_pid(file)
    os.kill(first, signal.SIGKILL)
    one.until("bad", state="running", restarts=1)
    eventually(lambda: len(file.read_text().split()) == 2, what="the second life's holder")
    assert 0 == one.end()
    for holder in file.read_text().split():
        os.kill(int(holder), signal.SIGKILL)  # it gave up its tag: nobody's but ours


def test_a_flood_blocks_neither_the_loop_nor_the_child(daemon: Make) -> None:
    """One service writes as fast as it can into rotated files; another one is respawned meanwhile."""
    flood = service("exec yes flood", logs="{ max_size = '1MiB', keep = 1, compress = false }")
    one = daemon(flood + '[service.calm]\ncommand = ["sleep", "600"]\n').start()
    calm = one.until("calm", state="running")["pid"]
    name = 'respawnd_service_log_bytes_total{service="bad",stream="stdout"}'
    eventually(lambda: one.metrics().get(name, 0) > 5_000_000, what="5 MB of output")
    os.kill(calm, signal.SIGKILL)
    one.until("calm", state="running", restarts=1)
    directory = one.directory / "state" / "log" / "bad" / "0"
    assert sum(file.stat().st_size for file in directory.iterdir()) < 4 * 1024 * 1024
    assert 0 == one.end()


def test_a_child_that_closes_its_output_lives_on(daemon: Make) -> None:
    """Closing stdout and stderr is not dying."""
    one = daemon(service("exec >&- 2>&-; exec sleep 600")).start()
    pid = one.until("bad", state="running")["pid"]
    assert 0 == one.run("signal", "USR1", "bad").returncode
    row = one.until("bad", state="running", restarts=1)
    assert pid != row["pid"]
    assert 10 == row["last_exit"]["signal"]


def test_output_is_captured_raw_and_shown(daemon: Make) -> None:
    """What a service wrote stands in its file byte for byte, and `logs` shows the end of it."""
    one = daemon(service(r"printf 'a\001b\nlast\n'; echo problem >&2; exec sleep 600")).start()
    file = one.directory / "state" / "log" / "bad" / "0" / "stdout.log"
    eventually(lambda: file.exists() and file.read_bytes() == b"a\x01b\nlast\n", what="captured output")
    shown = one.run("logs", "--stdout", "-n", "1", "bad")
    assert (0, "last\n") == (shown.returncode, shown.stdout)
    assert "problem\n" == one.run("logs", "--stderr", "bad").stdout


def test_a_service_that_dies_at_once_backs_off_and_is_given_up(daemon: Make) -> None:
    """Each failure is counted, delays grow, and when the budget is spent the state is fatal."""
    keys = {
        "start_grace": "'300ms'",
        "backoff": "{ initial = '10ms' }",
        "give_up": "{ failures = 3, within = '1m', then = 'stay' }",
    }
    one = daemon(service("exit 3", **keys)).start()
    row = one.until("bad", state="fatal")
    assert (3, "error") == (row["last_exit"]["code"], row["last_exit"]["reason"])
    assert 3 == row["restarts"]
    assert 4 == one.metrics()['respawnd_service_exits_total{reason="error",service="bad"}']
    started = one.run("start", "bad")
    assert 1 == started.returncode
    assert "code 3" in started.stderr
