"""What `check` tells of this host: each service's own lack, as a warning."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.config import preflight
from tests.config.files import loaded


def warnings(directory: Path, text: str) -> list[str]:
    """Key and text of every warning, without the directory."""
    return [
        f"{problem.key}: {problem.text}".replace(f"{directory}/", "") for problem in preflight(loaded(directory, text))
    ]


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A directory with a program, a file that is none, and an environment file."""
    (tmp_path / "run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "data").write_text("")
    (tmp_path / "sub").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "keys",
    [
        'command = "sh"',
        'command = "./run.sh"\ndirectory = "."',
        'command = "/bin/sh"\ndirectory = "sub"\nenv_file = "data"',
        'command = "run.sh"\nenvironment = { PATH = "${HERE}:/nowhere" }',
        'command = "sh"\ngive_up = "never"\nbackoff = { initial = "1d", max = "1d" }',
        'command = "sh"\nrestart = "never"\nbackoff = { initial = "1d", max = "1d" }',
        'command = "sh"\nlogs = { stdout = "new/dir/x.log" }',
    ],
)
def test_nothing_to_say(host: Path, keys: str) -> None:
    """A service that would start is not mentioned."""
    text = f"[service.web]\n{keys.replace('${HERE}', str(host))}\n"
    assert [] == warnings(host, text)


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        ("command: no such file: nothing", 'command = "./nothing"\ndirectory = "."'),
        ("command: not executable: data", 'command = "./data"\ndirectory = "."'),
        ("command: not executable: sub", 'command = "./sub"\ndirectory = "."'),
        ('command: no program "surely-not-there" along PATH', 'command = "surely-not-there"'),
        ('command: no program "sh" along PATH', 'command = "sh"\nenvironment = { PATH = "/nowhere" }'),
        ("directory: no such directory: gone", 'command = "sh"\ndirectory = "gone"'),
        ("directory: not a directory: data", 'command = "sh"\ndirectory = "data"'),
        ("env_file: no such file: gone", 'command = "sh"\nenv_file = ["data", "gone"]'),
        ("env_file: not a file: sub", 'command = "sh"\nenv_file = ["sub"]'),
        (
            "give_up: can never be reached: with this backoff, 11 failures take longer than 10m",
            'command = "sh"\nbackoff = { initial = "60s", max = "5m" }',
        ),
        (
            "give_up: can never be reached: with this backoff, 3 failures take longer than 1s",
            'command = "sh"\ngive_up = { failures = 2, within = "1s" }\nbackoff = { initial = "1s" }',
        ),
    ],
)
def test_what_a_service_lacks(host: Path, expected: str, keys: str) -> None:
    """Program, directory, environment file, and a limit that its backoff keeps out of reach."""
    assert [f"service.web.{expected}"] == warnings(host, f"[service.web]\n{keys}\n")


def test_accounts(host: Path) -> None:
    """Users and groups that do not exist, by name and by number."""
    text = """
        [service.a]
        command = "sh"
        user = "surely-nobody-here"
        group = "surely-nobody-here"
        [service.b]
        command = "sh"
        user = "root"
        group = 0
        [service.c]
        command = "sh"
        user = 4294967294
    """
    found = [line for line in warnings(host, text) if "only root" not in line]
    assert [
        'service.a.user: no such user: "surely-nobody-here"',
        'service.a.group: no such group: "surely-nobody-here"',
        'service.c.user: no such user: "4294967294"',
    ] == found


def test_only_root_becomes_somebody_else(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that is not root can run a service as itself, and is told so of every other user."""
    uid, gid = os.getuid(), os.getgid()
    text = f'[service.a]\ncommand = "sh"\nuser = {uid}\ngroup = {gid}\n[service.b]\ncommand = "sh"\nuser = "bin"\n'
    monkeypatch.setattr(os, "geteuid", lambda: uid or 4_000_000_000)
    found = warnings(host, text)
    assert "service.b.user: only root can run as somebody else" in found
    assert (uid == 0) == ("service.a.user: only root can run as somebody else" in found)


def test_conditions_that_cannot_come_true(host: Path) -> None:
    """Waiting for the end of what is restarted for ever, or for a service without replicas."""
    text = """
        [service.web]
        command = "sh"
        depends_on = { db = "completed", off = "started", job = "completed-ok" }
        [service.db]
        command = "sh"
        [service.off]
        command = "sh"
        replicas = 0
        [service.job]
        command = "sh"
        type = "oneshot"
    """
    assert [
        "service.web.depends_on.db: waits for db to complete, which is restarted for ever",
        "service.web.depends_on.off: waits for off, which has no replicas",
    ] == warnings(host, text)


def test_one_log_file_for_several(host: Path) -> None:
    """Two services or replicas that write and rotate one file lose each other's lines; a device is nobody's."""
    text = """
        [service.a]
        command = "sh"
        logs = { stdout = "./x.log", stderr = "./x.log" }
        [service.b]
        command = "sh"
        logs = { stdout = "./x.log", stderr = "/dev/full" }
        [service.c]
        command = "sh"
        replicas = 2
        logs = { stdout = "./c.log", stderr = "/dev/full" }
    """
    assert [
        "service.b.logs.stdout: a writes and rotates x.log too",
        "service.c.logs.stdout: 2 replicas write and rotate c.log too",
    ] == warnings(host, text)


def test_a_token_that_is_not_there(host: Path) -> None:
    """Without its token file HTTP takes no writes."""
    assert ["http.token_file: no such file: token: every write over TCP will be refused"] == warnings(
        host, '[http]\ntoken_file = "token"\n'
    )
