"""A real daemon for system tests: started as a user would start it, spoken to through its command line, ended by pid.

Nothing here sleeps: what is waited for is an answer of the daemon, the end of a process (pidfd), or a file that a
child writes, looked at between short selects with a deadline.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import pytest

from supervisor.control import client
from tests.metrics.conformance import conforms

RESPAWND = [sys.executable, "-m", "supervisor.cli"]
ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")


def eventually(look: Callable[[], T | None], timeout: float = 20.0, what: str = "it") -> T:
    """The first true answer of `look`, asked again every 10 ms; fails the test after `timeout` seconds."""
    end = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            pytest.fail(f"{what} did not happen within {timeout:.0f} s")
        select.select([], [], [], 0.01)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rsplit(b")", 1)[1].split()[0] not in (b"Z", b"X")


class Daemon:
    """One `respawnd run` in a directory of its own."""

    def __init__(self, directory: Path, config: str, name: str = "respawnd.toml") -> None:
        self.directory = directory
        self.config = directory / name
        self.config.write_text(config)
        self.environ = {
            **os.environ,
            "RESPAWND_STATE_DIR": str(directory / "state"),
            "RESPAWND_RUNTIME_DIR": str(directory / "run"),
            "RESPAWND_HTTP_LISTEN": "127.0.0.1:0",
            "PYTHONPATH": str(ROOT),
        }
        self.errors = directory / "stderr"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The daemon's pid."""
        assert self.process is not None
        return self.process.pid

    @property
    def socket(self) -> str:
        """Its Unix socket."""
        return str(self.directory / "run" / "respawnd.sock")

    def start(self, *arguments: str, prefix: tuple[str, ...] = (), ready: bool = True) -> Daemon:
        """Run it; with `ready` return when it says so on /-/ready."""
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*prefix, *RESPAWND, "run", "-c", str(self.config), *arguments],
                cwd=self.directory, env=self.environ, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
            )  # fmt: skip
        if ready:
            eventually(self.ready, what="/-/ready")
        return self

    def ready(self) -> bool:
        """Whether /-/ready says 200; fails the test when the daemon has ended."""
        assert self.process is not None
        if self.process.poll() is not None:
            pytest.fail(f"respawnd ended with {self.process.returncode}: {self.log()}")
        try:
            return client.request(self.socket, "GET", "/-/ready", timeout=10).status == 200
        except client.ClientError:
            return False

    def log(self) -> str:
        """What it wrote to stderr."""
        return self.errors.read_text(errors="replace")

    def run(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """A command of the command line for this daemon."""
        return command(*arguments, "-c", str(self.config), environ=self.environ, cwd=self.directory, timeout=timeout)

    def spawn(self, *arguments: str) -> subprocess.Popen[bytes]:
        """As `run`, without waiting for its end; what it prints is dropped."""
        return subprocess.Popen(
            [*RESPAWND, *arguments, "-c", str(self.config)], cwd=self.directory, env=self.environ,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def services(self) -> list[dict[str, Any]]:
        """The rows of `status --json`, asked over the socket."""
        answer = client.request(self.socket, "GET", "/api/v1/services", timeout=30).json()
        rows: list[dict[str, Any]] = answer["services"]
        return rows

    def service(self, name: str, replica: int = 0) -> dict[str, Any]:
        """One row."""
        return next(row for row in self.services() if (row["service"], row["replica"]) == (name, replica))

    def until(self, name: str, timeout: float = 20, **wanted: Any) -> dict[str, Any]:
        """The row of a service once its fields have these values."""

        def look() -> dict[str, Any] | None:
            row = self.service(name)
            return row if all(row[key] == value for key, value in wanted.items()) else None

        try:
            return eventually(look, timeout, what=f"{name}: {wanted}")
        except BaseException:
            print(json.dumps(self.service(name), indent=1), self.log()[-3000:])
            raise

    def metrics(self) -> dict[str, float]:
        """Every sample of /metrics, by name and labels as they stand; the page is held against its format."""
        page = client.request(self.socket, "GET", "/metrics", timeout=30).body
        conforms(page, openmetrics=False)
        samples = (line.rsplit(" ", 1) for line in page.decode().splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in samples}

    def end(self, signum: int = signal.SIGTERM, timeout: float = 60) -> int:
        """Send a signal and wait for the end; the exit status."""
        assert self.process is not None
        self.process.send_signal(signum)
        return self.process.wait(timeout)


def command(
    *arguments: str, environ: Mapping[str, str] | None = None, cwd: Path | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run `respawnd` with these arguments."""
    return subprocess.run(
        [*RESPAWND, *arguments], env=environ or {**os.environ, "PYTHONPATH": str(ROOT)}, cwd=cwd, timeout=timeout,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Give a function that makes a daemon from the text of its configuration; whatever is left of it is ended."""
    made: list[Daemon] = []

    def make(config: str, name: str = "respawnd.toml") -> Daemon:
        directory = tmp_path / f"d{len(made)}"
        directory.mkdir()
        made.append(Daemon(directory, config, name))
        return made[-1]

    yield make
    for one in made:
        end_daemon(one)


def end_daemon(one: Daemon) -> None:
    """End a daemon that a test left running, and the services with it."""
    process = one.process
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
