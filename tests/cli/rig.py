"""The command line in this process: called as its script calls it, with what it wrote and how it ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from supervisor.cli.main import ended
from tests.control.fakes import FakeDaemon, Site, serving

#: A command that is run as a process of its own.
RESPAWND = [sys.executable, "-m", "supervisor.cli"]


@frozen
class Ran:
    """One command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it wrote, as JSON."""
        return json.loads(self.out)


def respawnd(*arguments: object) -> Ran:
    """Run one command to its end."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = ended([str(argument) for argument in arguments])
    return Ran(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))


def lock(state_dir: Path, **facts: object) -> Path:
    """Write the lock file of a daemon, which is this process unless the facts say otherwise."""
    state_dir.mkdir(exist_ok=True)
    path = state_dir / "respawnd.lock"
    path.write_text(json.dumps({"pid": os.getpid(), **facts}))
    return path


def config(directory: Path, text: str = "", name: str = "respawnd.toml") -> Path:
    """A configuration whose state is beside it."""
    path = directory / name
    path.write_text(f'[daemon]\nstate_dir = "state"\n{text}')
    path.chmod(0o644)
    return path


@contextlib.contextmanager
def running(fake: FakeDaemon, directory: Path) -> Iterator[tuple[Site, Path]]:
    """A daemon that answers, its lock and its configuration."""
    with serving(fake, directory) as site:
        path = config(directory)
        lock(directory / "state", socket=site.socket, config=str(path))
        yield site, path


def environment(**more: str) -> Mapping[str, str]:
    """For a command that is a process of its own: this one's, with our packages to be found."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2]), **more}
