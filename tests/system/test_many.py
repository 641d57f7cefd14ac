"""A thousand services, few descriptors, and commands whose exec is slow."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.control import client
from tests.system.rig import ROOT, Daemon, eventually

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]


def test_a_thousand_services_under_a_low_soft_limit(daemon: Make) -> None:
    """`ulimit -Sn 1024`: all run, and each child has the original limit."""
    one = daemon("".join(f'[service.s{number}]\ncommand = ["sleep", "600"]\n' for number in range(1000)))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    one.start(prefix=("prlimit", f"--nofile=1024:{hard}"))
    eventually(lambda: {"running"} == {row["state"] for row in one.services()}, 60, what="all running")
    wanted = f"Max open files            {1024:<20} {hard:<20} files"
    for row in one.services()[::50]:
        assert wanted in Path(f"/proc/{row['pid']}/limits").read_text()
    assert 0 == one.end()


def interpreters() -> list[str]:
    """This Python, and Debian's own where it is another one."""
    debian = "/usr/bin/python3.11"
    return [sys.executable, *([debian] if os.path.exists(debian) else [])]


@pytest.mark.needs("strace")
@pytest.mark.parametrize("python", interpreters())
def test_a_slow_exec_delays_no_other_respawn(daemon: Make, python: str, tmp_path: Path) -> None:
    """A command whose exec takes 2 s is launched over and over; another service's respawn takes a fraction of that."""
    slow = tmp_path / "slow"
    slow.write_bytes(Path("/bin/sleep").read_bytes())
    slow.chmod(0o755)
    text = f'[service.slow]\ncommand = ["{slow}", "0.1"]\nbackoff = "none"\ngive_up = "never"\n'
    text += '[service.quick]\ncommand = ["sleep", "600"]\nbackoff = "none"\ngive_up = "never"\n'
    one = daemon(text)
    site = next(path for path in sys.path if path.endswith("site-packages"))
    one.environ["PYTHONPATH"] = f"{ROOT}:{site}"
    strace = ("strace", "-f", "-qq", "-o", "/dev/null", "-P", str(slow), "-e", "trace=execve")
    with one.errors.open("ab") as errors:
        one.process = subprocess.Popen(
            [*strace, "-e", "inject=execve:delay_enter=2000000",
             python, "-m", "supervisor.cli", "run", "-c", str(one.config)],
            cwd=one.directory, env=one.environ, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
        )  # fmt: skip
    eventually(one.ready, 60, what="/-/ready")
    times = []
    for restarts in range(1, 9):
        pid = one.service("quick")["pid"]
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        one.until("quick", state="running", restarts=restarts)
        times.append(time.monotonic() - begun)
    assert max(times) < 1.5, times
    client.request(one.socket, "POST", "/api/v1/shutdown", body=b"{}")
    assert 0 == one.process.wait(60)
