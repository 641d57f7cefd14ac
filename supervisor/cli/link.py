"""Speaking to one daemon over its Unix socket; and saying why when that fails.

Rules: an answer that is an error is told in the daemon's own words; one that never comes is told with what is known of
the daemon.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from attrs import frozen

from supervisor.cli.absence import described, stuck, told
from supervisor.cli.fault import FAILED, REFUSED, UNREACHABLE, WRONG, CommandError
from supervisor.control import client
from supervisor.core.traceparent import traceparent

#: Seconds until an answer must begin: the daemon itself waits 10 s for its loop before it says so.
_PATIENCE = 15.0
#: Seconds between looks for a daemon whose process cannot be seen from here (another pid namespace).
_LOOK = 0.05
#: HTTP status -> exit status; what is not here is a failed action.
_EXITS = {400: WRONG, 401: REFUSED, 403: REFUSED}
_PATH_SAFE = "*,:!"


@frozen
class Link:
    """The daemon behind one Unix socket; `state_dir` is known where a configuration led to it."""

    socket: str
    state_dir: str | None = None

    def get(self, path: str, query: Mapping[str, Sequence[str]] | None = None) -> Any:
        """The JSON answer to a read."""
        with self._explained():
            answer = client.request(self.socket, "GET", path + _query(query), timeout=_PATIENCE)
        return _checked(answer.status, answer.body)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """The JSON answer to a write."""
        with self._explained():
            sent = json.dumps(body).encode()
            answer = client.request(self.socket, "POST", path, body=sent, headers=_trace(), timeout=_PATIENCE)
        return _checked(answer.status, answer.body)

    def lines(self, path: str, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """The lines of JSON with which a write is answered, as they come."""
        rest = b""
        for chunk in self._streamed("POST", path, json.dumps(body).encode()):
            *whole, rest = (rest + chunk).split(b"\n")
            yield from (json.loads(line) for line in whole if line)

    def stream(self, path: str, query: Mapping[str, Sequence[str]]) -> Iterator[bytes]:
        """The bytes of a read that may never end."""
        return self._streamed("GET", path + _query(query), None)

    def page(self, path: str, query: Mapping[str, Sequence[str]], accept: str) -> bytes:
        """The answer to a read that is no JSON, as it is."""
        headers = {"accept": accept}
        with self._explained():
            answer = client.request(self.socket, "GET", path + _query(query), headers=headers, timeout=_PATIENCE)
        if answer.status >= 400:
            _checked(answer.status, answer.body)
        return answer.body

    def _streamed(self, method: str, path: str, body: bytes | None) -> Iterator[bytes]:
        headers = _trace() if body is not None else {}
        with (
            self._explained(),
            client.stream(self.socket, method, path, body=body, headers=headers, timeout=_PATIENCE) as answer,
        ):
            if answer.status >= 400:
                _checked(answer.status, b"".join(answer))
            yield from answer

    @contextlib.contextmanager
    def watched(self) -> Iterator[Callable[[float], bool]]:
        """Within the block, a function that waits so many seconds for the daemon's end and tells whether it came.

        The process is the one that listens on the socket, as the kernel knows it (SO_PEERCRED, unix(7)): unlike a pid
        in a file it is never another's, and it is seen from outside a container too.
        """
        pid = _listener(self.socket)
        try:
            fd = os.pidfd_open(pid) if pid else None
        except ProcessLookupError:
            fd = None
        if fd is None:
            yield self._vanished
            return
        with contextlib.closing(select.epoll()) as epoll:
            try:
                epoll.register(fd, select.EPOLLIN)
                yield lambda timeout: bool(epoll.poll(timeout))
            finally:
                os.close(fd)

    def _vanished(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while os.path.exists(self.socket) and time.monotonic() < end:
            time.sleep(_LOOK)
        return not os.path.exists(self.socket)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except client.AccessDeniedError as error:
            why = described(self.socket, "permission denied")
            raise CommandError(f"cannot reach the daemon: {self.socket}: {why}", REFUSED) from error
        except client.AnswerTimeoutError as error:
            why = stuck(_listener(self.socket))
            raise CommandError(f"the daemon does not answer: {self.socket}{why}", FAILED) from error
        except client.NobodyListensError as error:
            raise CommandError(told(self.socket, "nobody listens there", self.state_dir), UNREACHABLE) from error
        except client.BadAnswerError as error:
            raise CommandError(f"the daemon hung up in the middle of its answer: {error}", UNREACHABLE) from error
        except client.ClientError as error:
            why = str(error).rpartition(": ")[2]
            raise CommandError(told(self.socket, why, self.state_dir), UNREACHABLE) from error


def _trace() -> dict[str, str]:
    """The trace that a write belongs to: that of whoever runs this command (W3C, Trace Context in the environment)."""
    value = traceparent(os.environ.get("TRACEPARENT", ""))
    return {"traceparent": value} if value else {}


def units_path(names: Sequence[str], verb: str = "") -> str:
    """The path of some units, or of a verb on them."""
    return f"/api/v1/services/{quoted(names)}" + (f"/{verb}" if verb else "")


def quoted(names: Sequence[str]) -> str:
    """Names as one segment of a path."""
    from urllib.parse import quote  # noqa: PLC0415 - 5 ms that `run` does not need

    return quote(",".join(names), safe=_PATH_SAFE)


def _listener(path: str) -> int:
    """The pid of the process that listens on a Unix socket; 0 where it cannot be known."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE)
        try:
            probe.connect(path)
        except OSError:
            return 0  # the request that follows says why
        pid: int = struct.unpack("3i", probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))[
            0
        ]
        return pid


def _checked(status: int, body: bytes) -> Any:
    """The JSON of an answer; an error status is told in the daemon's own words."""
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        value = {"detail": body.decode(errors="replace").strip()}
    if status >= 400:
        _refused(status, str(value.get("detail") or f"the daemon answered with status {status}"))
    return value


def _refused(status: int, detail: str) -> NoReturn:
    raise CommandError(detail, _EXITS.get(status, FAILED))


def _query(query: Mapping[str, Sequence[str]] | None) -> str:
    from urllib.parse import urlencode  # noqa: PLC0415 - 5 ms that `run` does not need

    return "?" + urlencode(query, doseq=True) if query else ""
