"""The supervisors under test, and how each is told the same thing.

A subject writes its own configuration for a ``Setup`` and says what to execute. Everything else is the same for all: a
temporary directory each, the same child program, the same FIFO, output to a file, start stamped just before execve.
"""

from __future__ import annotations

import glob
import gzip
import json
import os
import pwd
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping
from typing import Protocol

from attrs import field, frozen

from bench import build, figures, scrape


class Unavailable(Exception):
    """A subject cannot run here; the message says what it lacks."""


class Refused(Exception):
    """A daemon did not do what it was told; the message says what it wrote."""


@frozen
class Service:
    """One child: its number, and the words after the FIFO on its command line (see bench/src/child.c).

    ``keys`` are further keys of its table, for respawnd alone.
    """

    ident: int
    words: tuple[str, ...] = ()
    keys: Mapping[str, object] = field(factory=dict)


@frozen
class Setup:
    """What is to be supervised. Everything after ``services`` speaks to respawnd alone.

    ``tables`` are further tables of its configuration by name; ``{dir}`` in their strings is the place's directory.
    """

    services: tuple[Service, ...]
    respawn_rate: str = "off"
    defaults: Mapping[str, object] = field(factory=lambda: {"backoff": "none", "give_up": "never"})
    tables: Mapping[str, Mapping[str, object]] = field(factory=dict)


@frozen
class Place:
    """Where one supervisor under test lives."""

    directory: str
    child: str
    fifo: str
    port: int

    def command(self, service: Service) -> list[str]:
        """Give the command line of a service; ``{dir}`` in its words is this place's directory."""
        words = [word.replace("{dir}", self.directory) for word in service.words]
        return [self.child, str(service.ident), self.fifo, *words]

    def path(self, name: str) -> str:
        """Give a path below the directory."""
        return os.path.join(self.directory, name)


class Subject(Protocol):
    """One supervisor under test."""

    @property
    def name(self) -> str:
        """What its column is called."""

    @property
    def stop_signal(self) -> signal.Signals:
        """What asks it to stop everything and exit."""

    def prepare(self, place: Place, setup: Setup) -> list[str]:
        """Write the configuration; give what to execute, its program by absolute path."""

    def wait_ready(self, place: Place) -> None:
        """Return when it says it is ready; at once if it has no way to say so."""

    def output(self, place: Place, ident: int) -> list[str]:
        """Give the files that hold the output of a service, the current one first."""


def many(count: int) -> Setup:
    """Give ``count`` children that live until they are killed."""
    return Setup(tuple(Service(ident) for ident in range(count)))


@frozen
class Reference:
    """The C program, bench/src/reference.c."""

    name: str = figures.REFERENCE
    stop_signal: signal.Signals = signal.SIGTERM

    def prepare(self, place: Place, setup: Setup) -> list[str]:
        """Write the list, a command a line."""
        os.mkdir(place.path("log"))
        with open(place.path("list"), "w", encoding="utf-8") as file:
            file.writelines(" ".join(place.command(service)) + "\n" for service in setup.services)
        return [build.program("reference"), place.path("list"), place.path("log")]

    def wait_ready(self, place: Place) -> None:
        """It is ready when its children are."""

    def output(self, place: Place, ident: int) -> list[str]:
        """Its only file a service is numbered by the line of the list, which is the ident."""
        return [place.path(f"log/{ident}.log")]


@frozen
class Respawnd:
    """respawnd as a user runs it: a file of TOML, and ``respawnd run -c FILE``."""

    words: tuple[str, ...]
    name: str = figures.OURS
    stop_signal: signal.Signals = signal.SIGTERM

    @classmethod
    def of(cls, command: str) -> Respawnd:
        """Give the subject for a command line; raise Unavailable when its program is not there."""
        words = shlex.split(command)
        program = shutil.which(words[0])
        if program is None:
            raise Unavailable(
                f"cannot run {words[0]}: no such program (make run sets it up; --respawnd CMD names another)"
            )
        return cls((os.path.abspath(program), *words[1:]))

    def prepare(self, place: Place, setup: Setup) -> list[str]:
        """Write respawnd.toml, one table a service."""
        lines = [
            "[daemon]",
            f"state_dir = {_toml(place.path('state'))}",
            f"runtime_dir = {_toml(place.path('run'))}",
            f"respawn_rate = {_toml(setup.respawn_rate)}",
            "[http]",
            f"listen = {_toml(f'{scrape.HOST}:{place.port}')}",
            "[defaults]",
            *(f"{key} = {_toml(value)}" for key, value in setup.defaults.items()),
        ]
        for name, table in setup.tables.items():
            lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        for service in setup.services:
            lines += [f"[service.s{service.ident}]", f"command = {_toml(place.command(service))}"]
            lines += [f"{key} = {_toml(value)}" for key, value in service.keys.items()]
        _replace(place.path("respawnd.toml"), "\n".join(lines).replace("{dir}", place.directory) + "\n")
        return [*self.words, "run", "-c", place.path("respawnd.toml")]

    def act(self, place: Place, *words: str) -> None:
        """Give a command to its daemon, as an operator would; raises Refused if it fails."""
        command = [*self.words, *words, "-c", place.path("respawnd.toml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(f"cannot {' '.join(words)}: {(done.stderr or done.stdout).strip()[-500:]}")

    def wait_ready(self, place: Place) -> None:
        """Ask /-/ready."""
        scrape.wait_ready(place.port, 60)

    def output(self, place: Place, ident: int) -> list[str]:
        """Give stdout.log and what was rotated away beside it."""
        return sorted(glob.glob(place.path(f"state/log/s{ident}/*/stdout.log*")))


def captured_bytes(files: list[str]) -> int:
    """Count the bytes of output in files, compressed ones by what they hold."""
    total = 0
    for path in files:
        if not path.endswith(".gz"):
            total += os.stat(path).st_size
            continue
        with gzip.open(path) as file:
            while block := file.read(1 << 20):
                total += len(block)
    return total


def unprivileged() -> str:
    """Give the user that services can be given to; raise Unavailable where there is none or we are not root."""
    if os.geteuid() != 0:
        raise Unavailable("cannot give a service to another user: not root")
    try:
        return pwd.getpwnam("nobody").pw_name
    except KeyError as error:
        raise Unavailable("cannot give a service to another user: nobody does not exist") from error


def _replace(path: str, text: str) -> None:
    """Write a file whole or not at all, for a daemon may read it meanwhile."""
    fresh = f"{path}.new"
    with open(fresh, "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(fresh, path)


def _toml(value: object) -> str:
    """Give a value in TOML: a string, number, bool or list as JSON writes it, a mapping as an inline table."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
