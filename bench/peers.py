"""Other supervisors as further columns, at their fastest settings; none is needed or installed in the checkout.

What a peer cannot do (runit captures no output, neither has metrics) is said where it is asked for it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

from attrs import frozen

from bench import scrape
from bench.subjects import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.subjects import Place, Setup, Subject

_SUPERVISOR = "supervisor==4.3.0"


@frozen
class Supervisord:
    """supervisord from PyPI, in a virtual environment below the temporary directory, kept for the next run.

    ``rpc`` has it answer XML-RPC on the place's port.
    """

    program: str
    rpc: bool = False
    name: str = "supervisord"
    stop_signal: signal.Signals = signal.SIGTERM

    @classmethod
    def find(cls) -> Supervisord:
        """Install it once; raise Unavailable when that fails."""
        home = os.path.join(tempfile.gettempdir(), f"bench-peer-supervisord-{os.getuid()}")
        program = os.path.join(home, "bin", "supervisord")
        if not os.path.exists(program):
            install = [os.path.join(home, "bin", "pip"), "install", "--quiet", _SUPERVISOR]
            for command in ([sys.executable, "-m", "venv", home], install):
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode:
                    raise Unavailable(f"cannot install {_SUPERVISOR}: {done.stderr.strip()[-300:]}")
        return cls(program)

    def prepare(self, place: Place, setup: Setup) -> list[str]:
        """Write supervisord.conf: no start time to survive, retries without end, plain log files."""
        lines = ["[supervisord]", "nodaemon=true", "minfds=4096", f"directory={place.directory}"]
        lines += [f"logfile={place.path('main.log')}", f"pidfile={place.path('pid')}"]
        if self.rpc:
            lines += ["[inet_http_server]", f"port={scrape.HOST}:{place.port}", "[rpcinterface:supervisor]"]
            lines.append("supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface")
        for service in setup.services:
            lines += [
                f"[program:s{service.ident}]",
                f"command={shlex.join(place.command(service))}",
                "autorestart=true\nstartsecs=0\nstartretries=1000000\nredirect_stderr=true",
                f"stdout_logfile={place.path(f'{service.ident}.log')}\nstdout_logfile_maxbytes=0",
            ]
        with open(place.path("supervisord.conf"), "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return [self.program, "-c", place.path("supervisord.conf")]

    def wait_ready(self, place: Place) -> None:
        """It is ready when its children are."""

    def output(self, place: Place, ident: int) -> list[str]:
        """Give its one file a program."""
        return [place.path(f"{ident}.log")]


@frozen
class Runit:
    """runsvdir of Debian's runit: one runsv a service."""

    program: str
    name: str = "runit"
    stop_signal: signal.Signals = signal.SIGHUP  # TERM to runsvdir leaves every runsv alone (runsvdir(8))

    @classmethod
    def find(cls) -> Runit:
        """Find it on PATH; raise Unavailable when it is not there."""
        program = shutil.which("runsvdir")
        if program is None:
            raise Unavailable("no runsvdir on PATH (Debian: apt-get install runit)")
        return cls(program)

    def prepare(self, place: Place, setup: Setup) -> list[str]:
        """Write a directory a service, its run script an exec of the child."""
        for service in setup.services:
            directory = place.path(f"services/s{service.ident}")
            os.makedirs(directory)
            script = os.path.join(directory, "run")
            with open(script, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\nexec {shlex.join(place.command(service))}\n")
            os.chmod(script, 0o755)
        os.makedirs(place.path("services"), exist_ok=True)
        return [self.program, place.path("services")]

    def wait_ready(self, place: Place) -> None:
        """It is ready when its children are."""

    def output(self, place: Place, ident: int) -> list[str]:
        """It captures nothing without a log service each; a flood goes to its own stdout."""
        return [place.path("supervisor.log")]


PEERS: dict[str, Callable[[], Subject]] = {"supervisord": Supervisord.find, "runit": Runit.find}
