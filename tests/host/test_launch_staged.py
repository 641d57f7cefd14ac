"""What the staged road does before exec: exactly what was asked, told exactly where it failed."""

from __future__ import annotations

import errno
import json
import os
import pwd
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from supervisor.core.events import Launched
from supervisor.core.model import Limit
from supervisor.host import accounts
from tests.host.launching import STAGED, Rig, rig, spec, status

SLEEP = ("sleep", "600")
USER = "nobody"
as_root = pytest.mark.needs("root", "setpriv")

# Launches what argv[1] says, as JSON, in a process that is not root; prints the failures' stage, errno and text.
UNPRIVILEGED = """
import json, sys
from supervisor.core.model import Limit
from tests.host.launching import rig, spec
with rig() as host:
    for fields in json.loads(sys.argv[1]):
        fields["limits"] = [Limit(*limit) for limit in fields.pop("limits", ())]
        answer = host.launch(spec("sleep", "600", **fields))
        error = getattr(answer, "error", None)
        print(json.dumps([error.stage, error.errno, error.text] if error else []))
"""


def unprivileged(script: str, *arguments: str) -> list[Any]:
    """Run a script as USER, with an interpreter that it can read; the JSON of each line that it prints."""
    paths = ":".join((os.getcwd(), os.path.dirname(os.path.dirname(attrs.__file__))))
    for python in (sys.executable, "/usr/bin/python3"):
        command = ["setpriv", f"--reuid={USER}", "--regid=nogroup", "--clear-groups", python]
        how: dict[str, Any] = {
            "cwd": "/", "env": {"PATH": "/usr/bin:/bin", "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"},
            "capture_output": True, "text": True, "timeout": 60,
        }  # fmt: skip
        if subprocess.run([*command, "-c", "import tests.host.launching"], check=False, **how).returncode == 0:
            ended = subprocess.run([*command, "-c", script, *arguments], check=False, **how)
            assert not ended.stderr
            return [json.loads(line) for line in ended.stdout.splitlines()]
    return pytest.skip(f"{USER} may not read an interpreter or this checkout")


@pytest.fixture
def host() -> Iterator[Rig]:
    """A launcher."""
    with rig() as one:
        yield one


def limits_of(pid: int) -> dict[str, tuple[str, str]]:
    """The limits of a process, (soft, hard) by the names of /proc/PID/limits."""
    with open(f"/proc/{pid}/limits", encoding="ascii") as file:
        rows = (line.rstrip() for line in file.readlines()[1:])
        return {row[:25].rstrip(): (row[26:46].strip(), row[47:67].strip()) for row in rows}


@as_root
def test_the_user(host: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real, effective and saved ids, and the user's own groups: none of the daemon's."""
    entry = pwd.getpwnam(USER)
    before = os.getgroups()
    os.setgroups([0, 4711])
    monkeypatch.setattr(accounts, "_groups", lambda _, gid: (gid, 4242))
    try:
        seen = status(host.pid(spec(*SLEEP, user=USER)))
    finally:
        os.setgroups(before)
    assert [str(entry.pw_uid)] * 4 == seen["Uid"].split()
    assert [str(entry.pw_gid)] * 4 == seen["Gid"].split()
    assert {str(entry.pw_gid), "4242"} == set(seen["Groups"].split())
    assert 0 == int(seen["CapPrm"], 16)


@as_root
def test_the_users_groups_are_looked_up() -> None:
    """As the system has them, the primary one among them; a group of its own choice replaces that."""
    entry = pwd.getpwnam(USER)
    found = accounts.Accounts(lambda: 0.0)
    assert tuple(os.getgrouplist(USER, entry.pw_gid)) == found.find(USER, None).groups
    chosen = found.find(str(entry.pw_uid), "daemon")
    assert (entry.pw_uid, 1) == (chosen.uid, chosen.gid)
    assert 1 in chosen.groups
    assert (None, 1, (1,)) == ((only := found.find(None, "daemon")).uid, only.gid, only.groups)


@as_root
def test_the_users_environment(host: Rig) -> None:
    """USER, LOGNAME, HOME and SHELL are the user's; the service's own words win."""
    entry = pwd.getpwnam(USER)
    seen = host.output(spec("env", user=USER, environment={"HOME": "/elsewhere"})).splitlines()
    assert {f"USER={USER}", f"LOGNAME={USER}", "HOME=/elsewhere", f"SHELL={entry.pw_shell}"} <= set(seen)


@as_root
def test_limits_umask_nice_and_score(host: Rig) -> None:
    """Each exactly as asked; nothing else changes."""
    limits = (Limit("NOFILE", 100, 200), Limit("CORE", 0, None), Limit("NPROC", 300, 300))
    pid = host.pid(spec(*SLEEP, user=USER, limits=limits, umask=0o077, nice=5, oom_score_adj=321))
    seen, ours = limits_of(pid), limits_of(os.getpid())
    changed = {
        "Max open files": ("100", "200"),
        "Max core file size": ("0", "unlimited"),
        "Max processes": ("300", "300"),
    }
    assert {**ours, **changed} == seen
    assert "0077" == status(pid)["Umask"]
    assert 5 == os.getpriority(os.PRIO_PROCESS, pid)
    with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
        assert "321\n" == file.read()


def test_the_original_limit_comes_back() -> None:
    """Where the daemon has raised its limit of open files, children get the one it was started with."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with rig(raised=(777, hard)) as host:
        for inline_ok in (False, True):
            pid = host.pid(spec(*SLEEP), inline_ok=inline_ok)
            assert ("777", str(hard)) == limits_of(pid)["Max open files"]


@pytest.mark.parametrize(
    ("fields", "stage", "number", "text"),
    [
        ({"user": "no-such"}, "user", errno.ENOENT, "no such user: no-such"),
        ({"user": "54321"}, "user", errno.ENOENT, "no such user: 54321"),
        ({"user": USER, "group": "no-such"}, "group", errno.ENOENT, "no such group: no-such"),
        ({"oom_score_adj": -2000}, "oom_score_adj", errno.EINVAL, "oom_score_adj -2000: invalid argument"),
        ({"limits": (Limit("NOFILE", 9, 8),)}, "limits", errno.EINVAL, "limits NOFILE: invalid argument"),
        ({"limits": (Limit("NONE", 9, 9),)}, "limits", errno.EINVAL, "limits NONE: this system has no such limit"),
        ({"limits": (Limit("NOFILE", 1, 1),)}, "output", errno.EBADF, "output: bad file descriptor"),
    ],
    ids=str,
)
def test_each_stage_tells_its_failure(host: Rig, fields: dict[str, Any], stage: str, number: int, text: str) -> None:
    """Stage, errno and text."""
    error = host.refused(spec(*SLEEP, **fields))
    assert (stage, number, text) == (error.stage, error.errno, error.text)
    assert isinstance(host.launch(spec(*SLEEP, **STAGED)), Launched)


@as_root
def test_too_many_processes_of_a_user(host: Rig) -> None:
    """The limit of processes bites at exec, after the change of user: EAGAIN."""
    host.pid(spec(*SLEEP, user=USER))
    error = host.refused(spec(*SLEEP, user=USER, limits=(Limit("NPROC", 0, 0),)))
    assert ("exec", errno.EAGAIN) == (error.stage, error.errno)
    assert "no more processes are allowed" in error.text


@as_root
@pytest.mark.slow
def test_what_only_root_can() -> None:
    """Without root another user or group, a lower nice, a higher hard limit are refused, and the own user is not."""
    own = pwd.getpwnam(USER)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    asked: list[dict[str, Any]] = [
        {"user": "root"},
        {"group": "root"},
        {"user": USER, "group": "daemon"},
        {"user": str(own.pw_uid), "group": "nogroup"},
        {"nice": -5},
        {"oom_score_adj": -500},
    ]
    told = unprivileged(UNPRIVILEGED, json.dumps(asked))
    assert [("user", 1), ("group", 1), ("group", 1), (), ("nice", errno.EACCES), ("oom_score_adj", errno.EACCES)] == [
        tuple(error[:2]) for error in told
    ]
    assert "user root: only root can run a service as another user" == told[0][2]
    if hard != resource.RLIM_INFINITY:
        told = unprivileged(UNPRIVILEGED, json.dumps([{"limits": [["CORE", 0, hard + 1]]}]))
        assert ["limits", 1] == told[0][:2]


@as_root
@pytest.mark.slow
def test_no_process_can_be_forked() -> None:
    """At the system's limit both roads say so, at the stage fork, and go on once it is lifted."""
    script = """
import json, os, resource, sys
from tests.host.launching import STAGED, rig, spec
own = os.getuid()
with rig() as host:
    for fields in ({}, STAGED):
        for _ in range(3):
            host.wait(host.pid(spec("true", **fields)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    server = host.launcher._server._latest
    for pid in (0, server):
        resource.prlimit(pid, resource.RLIMIT_NPROC, (1, hard))
    told = [host.launch(spec("true"))]
    told += [host.launch(spec("true", **STAGED)) for _ in range(5)]
    errors = [(one.error.stage, one.error.errno) for one in told if hasattr(one, "error")]
    for pid in (0, server):
        resource.prlimit(pid, resource.RLIMIT_NPROC, (soft, hard))
    print(json.dumps(errors))
    print(json.dumps([hasattr(host.launch(spec("true", **fields)), "pid") for fields in ({}, STAGED)]))
"""
    errors, after = unprivileged(script)
    assert ["fork", errno.EAGAIN] == errors[0]
    # The spares that were ready inherit no new limit; those that would follow them cannot be made.
    assert {("fork", errno.EAGAIN)} == {tuple(error) for error in errors}
    assert len(errors) >= 3
    assert [True, True] == after


def test_what_the_interpreter_ignores_a_child_does_not(host: Rig) -> None:
    """A child of the staged road dies of SIGPIPE as programs should."""
    pid = host.pid(spec("sh", "-c", "kill -PIPE $$; exit 3", **STAGED))
    assert -signal.SIGPIPE == host.wait(pid)
