"""The example that `make run` starts, as a newcomer meets it: with its own configuration, on other ports."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.rig import ROOT, eventually

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.needs("nginx", "redis-server")]

RESPAWND = Path(sys.executable).with_name("respawnd")


class Example:
    """A copy of examples/ whose ports are free ones; state goes to .run beside it, as in the checkout."""

    def __init__(self, home: Path, ports: dict[str, int]) -> None:
        self.home, self.ports = home, ports
        shutil.copytree(ROOT / "examples", home / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        (home / ".venv").symlink_to(sys.prefix)
        for name in ("respawnd.toml", "nginx.conf"):
            file = home / "examples" / name
            text = file.read_text()
            for documented, free in ports.items():
                text = text.replace(documented, str(free))
            file.write_text(text)
        self.config = home / "examples/respawnd.toml"
        self.log = (home / "log").open("w")
        self.daemon = subprocess.Popen(
            [RESPAWND, "run", "-c", self.config], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )

    def told(self, *words: str) -> str:
        """What the command says of this daemon."""
        done = subprocess.run([RESPAWND, *words, "-c", self.config], capture_output=True, text=True, check=True)
        return done.stdout

    def states(self) -> dict[str, dict[str, Any]]:
        """The rows of `status --json` by service."""
        done = subprocess.run(
            [RESPAWND, "status", "--json", "-c", self.config], capture_output=True, text=True, check=False
        )
        return {row["service"]: row for row in json.loads(done.stdout)["services"]} if done.returncode == 0 else {}

    def up(self) -> dict[str, dict[str, Any]] | None:
        """The rows, once all that lasts is running."""
        assert self.daemon.poll() is None, (self.home / "log").read_text()
        rows = self.states()
        lasting = ("redis", "worker", "nginx")
        return rows if rows and all(rows[name]["state"] == "running" for name in lasting) else None

    def healed(self, service: str, was: int) -> dict[str, Any] | None:
        """The row of a service, once it runs with another pid."""
        row = self.states().get(service, {})
        return row if row.get("pid") not in {None, was} else None

    def processes(self) -> list[int]:
        """The pids of all that runs in the example's directory."""
        found = []
        for proc in Path("/proc").glob("[0-9]*"):
            try:
                if (proc / "cwd").readlink().is_relative_to(self.home):
                    found.append(int(proc.name))
            except OSError:
                continue
        return found

    def page(self, documented: str, path: str = "/") -> str:
        """A page over HTTP; empty while nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[documented]}{path}", timeout=10) as answer:
                body: bytes = answer.read()
                return body.decode()
        except OSError:
            return ""

    def end(self, signum: int) -> int:
        """Signal the daemon and wait for it."""
        self.daemon.send_signal(signum)
        return self.daemon.wait(60)


@pytest.fixture
def example(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Example]:
    """The running example; what is left of it is ended."""
    one = Example(tmp_path, {"9747": free_port(), "9748": free_port(), "9749": free_port()})
    yield one
    if one.daemon.poll() is None:
        one.end(signal.SIGTERM)
    one.log.close()


def test_the_example_comes_up_heals_and_ends(example: Example) -> None:
    """All services run in their order, a page comes through them, a killed one is back, Ctrl-C leaves no process."""
    rows = eventually(example.up, timeout=60, what="the example")
    assert "exited" == rows["migrate"]["state"]
    assert 0 == rows["migrate"]["last_exit"]["code"]
    assert eventually(lambda: example.page("9748"), what="a page").startswith("visit 1 to worker")
    assert "schema: none -> 3" in example.told("logs", "migrate")

    master = int((example.home / ".run/nginx.pid").read_text())
    assert rows["nginx"]["pid"] == master
    os.kill(master, signal.SIGKILL)
    healed = eventually(lambda: example.healed("nginx", master), what="a new nginx")
    assert rows["nginx"]["restarts"] + 1 == healed["restarts"]
    assert "visit 2" in eventually(lambda: example.page("9748"), what="a page again")
    assert 'respawnd_service_restarts_total{replica="0",service="nginx",' in example.page("9747", "/metrics")

    assert 4 <= len(example.processes())  # redis, the worker, two of nginx, and mostly the flaky one
    assert 0 == example.end(signal.SIGINT)
    assert [] == example.processes()


def test_the_welcome_names_what_is_there() -> None:
    """What `make run` prints first uses the commands, ports and files that the example has."""
    welcome = (ROOT / "examples/WELCOME").read_text()
    config = (ROOT / "examples/respawnd.toml").read_text() + (ROOT / "examples/nginx.conf").read_text()
    assert "-c examples/respawnd.toml" in welcome
    assert [] == [port for port in ("9747", "9748") if port not in welcome or port not in config]
    assert "[service.flaky]" in config
