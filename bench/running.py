"""Starts a supervisor under test, and leaves nothing of it behind.

The start is stamped by the child program, which reads the clock and then becomes the supervisor: what the harness's own
fork costs is in nobody's figure.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from bench import build, proc, scrape
from bench.reports import Missing, Report, Reports
from bench.subjects import Place, Setup, Subject

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_STAMP = 2_000_000_000  # the ident under which the start is reported
_PATIENCE = 60.0  # seconds for the slowest peer to start or stop a thousand services


class Broken(Exception):
    """A supervisor under test did not do what every supervisor must."""


class Running:
    """One started supervisor and its children."""

    def __init__(self, subject: Subject, setup: Setup, directory: str) -> None:
        self.subject = subject
        self.idents = [service.ident for service in setup.services]
        child = os.path.join(directory, "child")
        shutil.copy(build.program("child"), child)  # an executable of its own: /proc/PID/exe tells whose child it is
        self.reports = Reports(os.path.join(directory, "fifo"))
        os.mkfifo(os.path.join(directory, "gate"))  # a flood waits for someone to open it
        self.place = Place(directory, child, self.reports.path, scrape.free_port())
        command = subject.prepare(self.place, setup)
        self._log = os.path.join(directory, "supervisor.log")
        with open(self._log, "wb") as log:
            stamp = [child, str(_STAMP), self.reports.path, "exec", *command]
            self._process = subprocess.Popen(
                stamp, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=directory, start_new_session=True
            )

    @property
    def name(self) -> str:
        """Whose column this fills."""
        return self.subject.name

    @property
    def pid(self) -> int:
        """The pid of the supervisor itself."""
        return self._process.pid

    def start(self) -> float:
        """Wait until every child has come to life; give the seconds from exec to the last one's first instruction."""
        born = self.born([_STAMP, *self.idents])
        stamp = born.pop(_STAMP)
        last = max((report.time_ns for report in born.values()), default=stamp.time_ns)
        return (last - stamp.time_ns) / 1e9

    def born(self, idents: Collection[int]) -> dict[int, Report]:
        """Wait until each of these children has told of a new life; raise Broken, with its last words, if not."""
        try:
            return self.reports.births_of(idents, _PATIENCE, lambda: self._process.poll() is not None)
        except Missing as missing:
            raise Broken(f"{self.name}: {missing}{self._last_words()}") from missing

    def settle(self) -> None:
        """Wait until it says it is ready and the start is over: half a second with less than 1 % of a core."""
        try:
            self.subject.wait_ready(self.place)
        except scrape.NotReady as late:
            raise Broken(f"{self.name}: {late}{self._last_words()}") from late
        until = time.monotonic() + 10
        spent = proc.cpu_seconds(self.pid)
        while time.monotonic() < until:
            time.sleep(0.5)
            before, spent = spent, proc.cpu_seconds(self.pid)
            if spent - before < 0.005:
                return

    def ready_seconds(self) -> float:
        """Give the seconds from exec to the first 200 of /-/ready."""
        ready = scrape.wait_ready(self.place.port, _PATIENCE)
        return (ready - self.born([_STAMP])[_STAMP].time_ns) / 1e9

    def stop(self) -> float:
        """Ask it to stop; give the seconds until it has exited and every child is gone."""
        lives = [self.life(ident).pid for ident in self.idents]
        begin = time.monotonic_ns()
        self._process.send_signal(self.subject.stop_signal)
        if not self._exited(_PATIENCE):
            raise Broken(f"{self.name}: did not exit within {_PATIENCE:g} s{self._last_words()}")
        while left := [pid for pid in lives if proc.alive(pid)]:
            if time.monotonic_ns() - begin > _PATIENCE * 1e9:
                raise Broken(f"{self.name}: exited and left {len(left)} children behind")
        return (time.monotonic_ns() - begin) / 1e9

    def life(self, ident: int) -> Report:
        """Give the latest birth of a child."""
        return self.reports.lives[ident]

    def output(self, ident: int) -> list[str]:
        """Give the files that hold the output of a child."""
        return self.subject.output(self.place, ident)

    def services(self) -> set[int]:
        """Give the pids of all living children, whatever they reported."""
        return proc.running(self.place.child)

    def close(self) -> None:
        """End whatever still runs, and remove what it left on disk."""
        if self._process.poll() is None:
            self._process.send_signal(self.subject.stop_signal)
            self._exited(_PATIENCE)
        self._process.kill()
        self._process.wait()
        for pid in self.services():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.reports.close()
        shutil.rmtree(self.place.directory, ignore_errors=True)

    def _exited(self, seconds: float) -> bool:
        """Wait for the exit by pidfd: Popen.wait with a timeout polls, up to 50 ms late."""
        pidfd = os.pidfd_open(self.pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            return bool(poll.poll(seconds * 1000)) and self._process.wait() is not None
        finally:
            os.close(pidfd)

    def _last_words(self) -> str:
        """Give the end of what the supervisor wrote, for a message."""
        with open(self._log, encoding="utf-8", errors="replace") as log:
            text = log.read()[-2000:].strip()
        state = self._process.poll()
        fate = "still running" if state is None else f"exit {state}"
        return f" ({fate}); it wrote: {text or 'nothing'}"


@contextmanager
def started(subject: Subject, setup: Setup) -> Iterator[Running]:
    """Start a supervisor in a directory of its own (below TMPDIR), and clean up after it."""
    directory = tempfile.mkdtemp(prefix=f"bench-{subject.name}-")
    os.chmod(directory, 0o755)  # a service may run as another user
    try:
        running = Running(subject, setup, directory)
    except BaseException:
        shutil.rmtree(directory)
        raise
    try:
        yield running
    finally:
        running.close()
