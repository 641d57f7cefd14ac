"""What is refused is refused in clear lines, with the right status, and nothing is half started."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.rig import RESPAWND, Daemon, command

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]
OK = '[service.web]\ncommand = ["sleep", "600"]\n'

REFUSED = {
    "unknown key": (OK + "restrat = 'always'\n", "service.web.restrat", "did you mean restart"),
    "wrong type": (OK + "replicas = 'two'\n", "service.web.replicas", "number"),
    "duplicate name": (OK + OK, "respawnd.toml", "web"),
    "cycle": (
        "[service.a]\ncommand='x'\ndepends_on=['b']\n[service.b]\ncommand='x'\ndepends_on=['a']\n",
        "service.a.depends_on", "a -> b -> a",
    ),
    "missing dependency": (OK + "depends_on = ['db']\n", "service.web.depends_on", "db"),
    "not in this version": (OK + "max_memory = '1GiB'\n", "service.web.max_memory", "not in this version"),
}  # fmt: skip


def started(one: Daemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the daemon to the end that a refusal is."""
    return subprocess.run(
        [*RESPAWND, "run", "-c", str(one.config), *arguments], env=one.environ, cwd=one.directory, timeout=30,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_configuration_ends_with_two(daemon: Make, case: str) -> None:
    """One line names file, key and reason; exit status 2; no state directory was made."""
    text, key, reason = REFUSED[case]
    one = daemon(text)
    for ended in (started(one), one.run("check")):
        assert 2 == ended.returncode
        line = next(line for line in ended.stderr.splitlines() if key in line)
        assert reason in line
    assert not (one.directory / "state").exists()


def test_every_problem_is_told_at_once(daemon: Make) -> None:
    """Two mistakes in two services are two lines."""
    ended = started(daemon(OK + "umask = 'x'\n[service.db]\ncomand = 'x'\n"))
    assert 2 == ended.returncode
    assert "service.web.umask" in ended.stderr
    assert "service.db.comand" in ended.stderr


def test_a_file_that_is_not_there(daemon: Make) -> None:
    """A path that cannot be read is told with the system's reason."""
    one = daemon(OK)
    one.config.unlink()
    ended = started(one)
    assert 2 == ended.returncode
    assert str(one.config) in ended.stderr
    assert 1 == len(ended.stderr.splitlines())


def test_a_port_in_use(daemon: Make) -> None:
    """One line, exit status 1, and no service was started."""
    one = daemon(OK.replace("sleep", "/bin/touch").replace('"600"', f'"{daemon}"'))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        one.environ["RESPAWND_HTTP_LISTEN"] = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = started(one)
    assert 1 == ended.returncode
    assert "address in use" in ended.stderr
    assert not (one.directory / "state" / "log").exists()


def test_a_state_directory_that_cannot_be_written(daemon: Make) -> None:
    """A file in its place: one line, exit status 1."""
    one = daemon(OK)
    (one.directory / "state").write_text("")
    ended = started(one)
    assert 1 == ended.returncode
    assert str(one.directory / "state") in ended.stderr


def test_a_second_daemon_on_the_same_state(daemon: Make) -> None:
    """It ends with 1, names the first one's pid, and the first one is left as it is."""
    one = daemon(OK).start()
    ended = started(one)
    assert 1 == ended.returncode
    assert str(one.pid) in ended.stderr
    assert "running" == one.until("web", state="running")["state"]


def test_no_daemon_is_told_with_its_socket(daemon: Make) -> None:
    """Exit status 3: which socket, and that it is not there."""
    one = daemon(OK)
    ended = one.run("status")
    assert 3 == ended.returncode
    assert one.socket in ended.stderr
    assert "no such file" in ended.stderr.lower()


def test_what_is_not_on_this_host_is_a_warning(daemon: Make) -> None:
    """A binary, a directory and a user that do not exist are warnings of `check`, and cost one service each at run."""
    text = OK + (
        "[service.binary]\ncommand = '/no/such/binary'\n"
        "[service.directory]\ncommand = 'sleep 600'\ndirectory = '/no/such/directory'\n"
        "[service.user]\ncommand = 'sleep 600'\nuser = 'nosuchuser'\n"
    )
    one = daemon(text)
    checked = one.run("check")
    assert 0 == checked.returncode
    for word in ("/no/such/binary", "/no/such/directory", "nosuchuser"):
        assert word in checked.stderr
    one.start()
    for name, stage in (("binary", "exec"), ("directory", "chdir"), ("user", "user")):
        assert stage == one.until(name, state="backoff")["error"]["stage"]
    assert "running" == one.until("web", state="running")["state"]
    assert "no such user" in one.run("status").stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root refuses what others own")
def test_root_refuses_a_file_that_others_can_write(daemon: Make) -> None:
    """A configuration that anybody can change would give anybody root."""
    one = daemon(OK)
    one.config.chmod(0o666)
    ended = started(one)
    assert 2 == ended.returncode
    assert "others can write it" in ended.stderr


def test_wrong_usage() -> None:
    """An unknown command is exit status 2, with the nearest one."""
    ended = command("statsu")
    assert 2 == ended.returncode
    assert "did you mean status" in ended.stderr


def test_unknown_service(daemon: Make) -> None:
    """Exit status 1, with the nearest name."""
    one = daemon(OK).start()
    ended = one.run("stop", "wbe")
    assert 1 == ended.returncode
    assert "did you mean web" in ended.stderr


def test_paths_are_told(tmp_path: Path) -> None:
    """Without any configuration to be found, the places that were looked at are named."""
    ended = command(
        "run", cwd=tmp_path, environ={**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    )
    assert 2 == ended.returncode
    assert "respawnd.toml" in ended.stderr


def test_no_service_at_all_is_no_mistake(daemon: Make) -> None:
    """A configuration without services runs, is ready, and ends when it is asked to."""
    one = daemon("[daemon]\n").start()
    assert [] == one.services()
    assert 0 == one.end()
