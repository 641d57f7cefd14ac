"""Finding the daemon that a command means, and speaking to it; and saying why when that fails.

A daemon is found by `--socket`, or by the configuration (`-c`, or where `run` would look), or by the default state directory,
whose lock file tells pid and socket. Nothing here needs the configuration to be valid: a daemon is still there when a file is wrong.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

import click
from attrs import frozen

from supervisor.config import ConfigError, find, places
from supervisor.control import client
from supervisor.host import lock

UNREACHABLE, REFUSED = 3, 4


class CommandError(click.ClickException):
    """A command that cannot be done: one line, and the exit status."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = code

    def show(self, file: Any = None) -> None:
        """The line as the daemon's own lines are."""
        click.echo(f"respawnd: {self.message}", err=True)


def reach(config: str | None, socket: str | None) -> Link:
    """The daemon that is meant."""
    if socket is not None:
        return Link(socket, None)
    try:
        path = find(config, os.environ, os.geteuid(), os.getcwd())
    except ConfigError as error:
        if config is not None:
            raise CommandError(str(error.problems[0]), 2) from error
        path = None
    state_dir, runtime_dir = places(path, environ=dict(os.environ), euid=os.geteuid())
    holder = lock.read(state_dir) or {}
    found = holder.get("socket")
    return Link(found if isinstance(found, str) else os.path.join(runtime_dir, "respawnd.sock"), state_dir)


@frozen
class Link:
    """The daemon behind one Unix socket; `state_dir` is known where a configuration led to it."""

    socket: str
    state_dir: str | None

    def get(self, path: str, query: Mapping[str, Sequence[str]] | None = None) -> Any:
        """The JSON answer to a read."""
        with self._explained():
            answer = client.request(self.socket, "GET", path + _query(query), timeout=30)
        return _checked(answer.status, answer.body)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer to a write."""
        with self._explained():
            answer = client.request(self.socket, "POST", path, body=json.dumps(body).encode(), timeout=30)
        return _checked(answer.status, answer.body)

    def lines(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The lines of JSON with which a write is answered, as they come."""
        with self._explained(), client.stream(self.socket, "POST", path, body=json.dumps(body).encode()) as answer:
            if answer.status >= 400:
                _checked(answer.status, b"".join(answer))
            rest = b""
            for chunk in answer:
                *whole, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in whole if line)

    def stream(self, path: str, query: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
        """The bytes of a read that may never end."""
        with self._explained(), client.stream(self.socket, "GET", path + _query(query)) as answer:
            if answer.status >= 400:
                _checked(answer.status, b"".join(answer))
            yield from answer

    def gone(self, timeout: float) -> bool:
        """Wait until the daemon has ended: its process where its pid is known, else its socket."""
        pid = (lock.read(self.state_dir) or {}).get("pid") if self.state_dir else None
        if isinstance(pid, int):
            return _ended(pid, timeout)
        end = time.monotonic() + timeout
        while os.path.exists(self.socket) and time.monotonic() < end:
            time.sleep(0.02)
        return not os.path.exists(self.socket)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except client.AccessDeniedError as error:
            raise CommandError(f"{error} ({self._about()})", REFUSED) from error
        except client.AnswerTimeoutError as error:
            raise CommandError(str(error), 1) from error
        except client.ClientError as error:
            raise CommandError(f"no daemon: {error} ({self._about()})", UNREACHABLE) from error

    def _about(self) -> str:
        """Whether the socket exists, who owns it, and what the lock file says."""
        try:
            facts = os.stat(self.socket)
        except OSError as error:
            said = f"{self.socket}: {(error.strerror or '').lower()}"
        else:
            said = f"{self.socket}: owned by uid {facts.st_uid}, mode {facts.st_mode & 0o777:04o}"
        holder = (lock.read(self.state_dir) or {}).get("pid") if self.state_dir else None
        if holder:
            return f"{said}; the lock names pid {holder}"
        return f"{said}; start one with `respawnd run`"


def _ended(pid: int, timeout: float) -> bool:
    import select  # noqa: PLC0415 - for this alone

    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    with contextlib.closing(os.fdopen(fd)), contextlib.closing(select.epoll()) as epoll:
        epoll.register(fd, select.EPOLLIN)
        return bool(epoll.poll(timeout))


def _checked(status: int, body: bytes) -> Any:
    """The JSON of an answer; an error status is told in the daemon's own words."""
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        value = {"detail": body.decode(errors="replace").strip()}
    if status >= 400:
        _refused(status, str(value.get("detail") or "; ".join(value.get("problems", ())) or f"status {status}"))
    return value


def _refused(status: int, detail: str) -> NoReturn:
    raise CommandError(detail, REFUSED if status in (401, 403) else 1)


def _query(query: Mapping[str, Sequence[str]] | None) -> str:
    from urllib.parse import urlencode  # noqa: PLC0415 - 5 ms that `run` does not need

    return "?" + urlencode(query, doseq=True) if query else ""
