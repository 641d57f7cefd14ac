"""The daemon's own behaviour: reloads, shutdowns that hurry, exit statuses, life as pid 1."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.rig import RESPAWND, Daemon, alive, eventually

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]
SLEEPER = '[service.{}]\ncommand = ["sleep", "600"]\n'


def test_a_reload_adds_removes_and_replaces_and_leaves_the_rest_alone(daemon: Make) -> None:
    """SIGHUP takes the new file whole: only what changed is touched, and the series of what left are gone."""
    one = daemon(SLEEPER.format("kept") + SLEEPER.format("changed") + SLEEPER.format("removed")).start()
    kept, changed = one.until("kept", state="running"), one.until("changed", state="running")
    removed = one.until("removed", state="running")["pid"]
    one.config.write_text(
        SLEEPER.format("kept") + SLEEPER.format("changed").replace("600", "601") + SLEEPER.format("added")
    )
    os.kill(one.pid, signal.SIGHUP)
    eventually(lambda: {"kept", "changed", "added"} == {row["service"] for row in one.services()}, what="reload")
    assert kept["pid"] == one.until("kept", state="running")["pid"]
    assert changed["pid"] != one.until("changed", state="running", restarts=1)["pid"]
    assert "running" == one.until("added", state="running")["state"]
    assert not alive(removed)
    assert not [name for name in one.metrics() if 'service="removed"' in name]
    assert 1 == one.metrics()['respawnd_service_restarts_total{replica="0",service="changed",trigger="config"}']


def test_what_holds_at_once_restarts_nothing(daemon: Make) -> None:
    """A changed policy is taken without touching the process."""
    one = daemon(SLEEPER.format("web")).start()
    pid = one.until("web", state="running")["pid"]
    one.config.write_text(SLEEPER.format("web") + "give_up = { failures = 3 }\n")
    os.kill(one.pid, signal.SIGHUP)
    row = one.until("web", failures_allowed=3)
    assert pid == row["pid"]


def test_an_invalid_file_changes_nothing(daemon: Make) -> None:
    """A reload of a bad file is refused with its reason; everything runs on; a metric says so."""
    one = daemon(SLEEPER.format("web")).start()
    pid = one.until("web", state="running")["pid"]
    one.config.write_text(SLEEPER.format("web") + "comand = 1\n")
    os.kill(one.pid, signal.SIGHUP)
    eventually(lambda: "service.web.comand" in one.log(), what="the refusal in the log")
    assert 0 == one.metrics()["respawnd_config_last_reload_successful"]
    assert pid == one.service("web")["pid"]


def test_a_second_term_hurries(daemon: Make) -> None:
    """The first TERM waits for a deaf child's timeout; the second kills it; the end is still 0."""
    one = daemon("[service.deaf]\ncommand = ['sh', '-c', \"trap '' TERM; echo; while :; do sleep 1; done\"]\n").start()
    pid = one.until("deaf", state="running")["pid"]
    eventually(lambda: "\n" == one.run("logs", "deaf").stdout, what="trap")
    os.kill(one.pid, signal.SIGTERM)
    one.until("deaf", state="stopping")
    assert 0 == one.end(signal.SIGTERM, timeout=8)
    assert not alive(pid)


def test_shutdown_is_in_reverse_order(daemon: Make, tmp_path: Path) -> None:
    """A dependent ends before what it depends on."""
    file = tmp_path / "order"
    script = f"trap 'sleep 0.2; echo $0 >> {file}; exit' TERM; while :; do sleep 0.05; done"
    text = f"[service.db]\ncommand = ['sh', '-c', '''{script}''', 'db']\n"
    text += f"[service.web]\ncommand = ['sh', '-c', '''{script}''', 'web']\ndepends_on = ['db']\n"
    one = daemon(text).start()
    one.until("web", state="running")
    assert 0 == one.run("shutdown").returncode
    assert "web\ndb\n" == file.read_text()


def test_a_dependent_waits_for_completion(daemon: Make, tmp_path: Path) -> None:
    """What needs a oneshot to have succeeded starts after it, and says meanwhile what it waits for."""
    gate = tmp_path / "gate"
    text = (
        f"[service.migrate]\ntype = 'oneshot'\ncommand = ['sh', '-c', 'while ! [ -e {gate} ]; do sleep 0.05; done']\n"
    )
    text += SLEEPER.format("web") + "depends_on = { migrate = 'completed-ok' }\n"
    one = daemon(text).start()
    assert "migrate" in one.until("web", state="waiting")["waiting_for"]
    gate.touch()
    one.until("web", state="running")
    assert "exited" == one.service("migrate")["state"]


def test_the_runs_of_a_job_are_told(daemon: Make) -> None:
    """A oneshot that ended well, then badly: when, for how long and how; nothing of it for the other service."""
    text = "[service.job]\ntype = 'oneshot'\nrestart = 'never'\n"
    text += "command = ['sh', '-c', 'sleep 0.1; [ -e done ] && exit 4; touch done']\n" + SLEEPER.format("web")
    one = daemon(text).start()

    def told(runs: int) -> dict[str, float] | None:
        page = {key.removeprefix("respawnd_job_"): value for key, value in one.metrics().items() if "_job_" in key}
        results = {result: page[f'runs_total{{result="{result}",service="job"}}'] for result in ("ok", "fail")}
        assert not [key for key in page if 'service="web"' in key]
        named = {key.partition("{")[0]: value for key, value in page.items()}
        return named | results if sum(results.values()) == runs else None

    first = eventually(lambda: told(1), what="a run")
    assert (1, 0, 0, 0) == tuple(first[name] for name in ("ok", "fail", "last_exit_code", "running"))
    assert 0.1 <= first["last_duration_seconds"] < 10
    assert first["last_start_time_seconds"] < first["last_completion_time_seconds"]
    assert first["last_completion_time_seconds"] == first["last_success_time_seconds"]
    one.run("start", "job")
    second = eventually(lambda: told(2), what="another run")
    assert (1, 1, 4, 0) == tuple(second[name] for name in ("ok", "fail", "last_exit_code", "running"))
    assert first["last_success_time_seconds"] == second["last_success_time_seconds"]
    assert first["last_completion_time_seconds"] < second["last_start_time_seconds"]
    assert second["last_start_time_seconds"] < second["last_completion_time_seconds"]


def test_a_service_can_ask_for_shutdown(daemon: Make) -> None:
    """An exit rule that says shutdown ends everything, and `run` with status 10."""
    text = "[service.leader]\ncommand = ['sh', '-c', 'sleep 0.5; exit 42']\n"
    text += "exit_rules = [{ codes = [42], action = 'shutdown' }]\n" + SLEEPER.format("web")
    one = daemon(text).start()
    pid = one.until("web", state="running")["pid"]
    assert one.process is not None
    assert 10 == one.process.wait(20)
    assert not alive(pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a pid namespace")
def test_as_pid_one_it_reaps_forwards_and_ends(daemon: Make) -> None:
    """In a pid namespace it is init: zombies go, TERM ends everything, the status is 0."""
    script = "for i in 1 2 3 4 5; do (setsid true &) ; done; exec sleep 600"
    one = daemon(f"[service.web]\ncommand = ['sh', '-c', '''{script}''']\n")
    one.start(prefix=("unshare", "--pid", "--fork", "--mount-proc", "--kill-child"))
    one.until("web", state="running")
    eventually(lambda: one.metrics()["respawnd_orphans_reaped_total"] >= 5, what="five zombies reaped")
    init = int(Path(f"/proc/{one.pid}/task/{one.pid}/children").read_text().split()[0])
    os.kill(init, signal.SIGTERM)
    assert one.process is not None
    assert 0 == one.process.wait(20)


def test_a_closed_stderr_does_not_stop_it(daemon: Make) -> None:
    """Whoever reads its log may go away."""
    one = daemon(SLEEPER.format("web"))
    read, write = os.pipe()
    one.process = subprocess.Popen(
        [*RESPAWND, "run", "-c", str(one.config)], env=one.environ, cwd=one.directory, stderr=write, stdout=write
    )
    os.close(write)
    os.close(read)
    eventually(one.ready, what="/-/ready")
    pid = one.until("web", state="running")["pid"]
    os.kill(pid, signal.SIGKILL)
    one.until("web", state="running", restarts=1)
    assert 0 == one.end()


def test_an_unread_stderr_does_not_stop_it(daemon: Make) -> None:
    """A full pipe on stderr costs lines, never a respawn."""
    one = daemon('[service.flap]\ncommand = ["false"]\nbackoff = "none"\ngive_up = "never"\n')
    read, write = os.pipe()
    one.process = subprocess.Popen(
        [*RESPAWND, "run", "-c", str(one.config)], env=one.environ, cwd=one.directory, stderr=write, stdout=write
    )
    os.close(write)
    eventually(one.ready, what="/-/ready")
    one.until("flap", timeout=30)
    eventually(lambda: one.service("flap")["restarts"] > 500, 60, what="500 restarts")
    assert select.select([read], [], [], 0)[0]
    assert 0 == one.end()
    os.close(read)


def test_closed_standard_streams_are_nobody_elses_numbers(daemon: Make) -> None:
    """Started with 0, 1 and 2 closed, the lock file stays what it is: nothing is written to it by number."""
    one = daemon(SLEEPER.format("web"))
    command = " ".join([*RESPAWND, "run", "-c", str(one.config)])
    one.process = subprocess.Popen(["sh", "-c", f"exec {command} <&- >&- 2>&-"], env=one.environ, cwd=one.directory)
    eventually(one.ready, what="/-/ready")
    one.until("web", state="running")
    assert (one.directory / "state" / "respawnd.lock").read_text().startswith('{"pid": ')
    assert ["/dev/null"] * 3 == [os.readlink(f"/proc/{one.pid}/fd/{fd}") for fd in range(3)]
    assert 0 == one.end()
