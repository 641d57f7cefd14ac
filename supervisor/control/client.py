"""A small HTTP/1.1 client for the command line: one request, one connection, over the Unix socket or TCP.

Rules: every wait has a deadline. Each way to fail is an exception of its own, for the command tells "no daemon" (exit
status 3) from "not allowed" (4) from "the daemon answered nonsense". An answer that ends early is an error, never a
short body.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Self

import h11
from attrs import frozen

from supervisor.control.request import Headers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Target = str | tuple[str, int]

_READ = 64 * 1024


class ClientError(Exception):
    """A request that got no answer. `target` is what was asked; the text is complete."""

    def __init__(self, target: Target, why: str) -> None:
        super().__init__(f"cannot reach {place(target)}: {why}")
        self.target = target


class SocketMissingError(ClientError):
    """There is no such socket file."""


class NobodyListensError(ClientError):
    """The socket file is stale, or nothing listens on the port."""


class AccessDeniedError(ClientError):
    """This user may not connect."""


class UnreachableError(ClientError):
    """The host or the socket cannot be reached, for any other reason of the system."""


class AnswerTimeoutError(ClientError):
    """The deadline passed."""


class BadAnswerError(ClientError):
    """What came back is not HTTP, or ended in the middle."""


@frozen
class ClientResponse:
    """A whole answer."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        """Parse the body. ValueError if it is not JSON."""
        import json  # noqa: PLC0415 - whoever needs it has it already; the rest save 3 ms

        return json.loads(self.body)


def place(target: Target) -> str:
    """`target` as the operator writes it."""
    if isinstance(target, str):
        return target
    return f"[{target[0]}]:{target[1]}" if ":" in target[0] else f"{target[0]}:{target[1]}"


def request(
    target: Target,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
) -> ClientResponse:
    """Ask, and wait for the whole answer, at most `timeout` seconds from connect to its end. ClientError."""
    deadline = time.monotonic() + timeout
    with contextlib.closing(_Exchange(target, deadline)) as exchange:
        exchange.ask(method, path, body, headers or {})
        status, answered = exchange.head()
        return ClientResponse(status, answered, b"".join(exchange.chunks()))


class ClientStream:
    """An answer that is still being written: iterate for its bytes, once; close it (or use `with`) to hang up."""

    def __init__(self, exchange: _Exchange, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self._exchange = exchange

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[bytes]:
        return self._exchange.chunks()

    def close(self) -> None:
        """Hang up."""
        self._exchange.close()


def stream(
    target: Target,
    method: str,
    path: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 10.0,
    idle: float | None = None,
) -> ClientStream:
    """Ask, and return once the headers are there, within `timeout` seconds.

    `idle` bounds, in seconds, each wait for more of the body; None waits for ever. ClientError, also while iterating.
    """
    exchange = _Exchange(target, time.monotonic() + timeout)
    try:
        exchange.ask(method, path, body, headers or {})
        status, answered = exchange.head()
    except BaseException:
        exchange.close()
        raise
    exchange.wait_for_each(idle)
    return ClientStream(exchange, status, answered)


class _Exchange:
    """One connection with one request on it."""

    def __init__(self, target: Target, deadline: float) -> None:
        self._target = target
        self._deadline: float | None = deadline
        self._idle: float | None = None
        self._h11 = h11.Connection(h11.CLIENT, 256 * 1024)
        self._sock = _connect(target, self._left())

    def close(self) -> None:
        self._sock.close()

    def wait_for_each(self, idle: float | None) -> None:
        """Bound each wait from now on, rather than all of them together."""
        self._deadline, self._idle = None, idle

    def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        host = "localhost" if isinstance(self._target, str) else place(self._target)
        pairs = [("host", host), ("connection", "close"), *headers.items()]
        if body is not None:
            pairs.append(("content-length", str(len(body))))
        try:
            data = self._h11.send(h11.Request(method=method, target=path, headers=pairs))
            data += self._h11.send(h11.Data(data=body)) if body else b""
            data += self._h11.send(h11.EndOfMessage())
        except (h11.LocalProtocolError, UnicodeError) as error:
            raise ValueError(f"cannot ask for {path!r}: {error}") from error
        self._send(data)

    def head(self) -> tuple[int, Headers]:
        """Wait for the final headers; a 1xx is passed over."""
        while True:
            event = self._next()
            if isinstance(event, h11.Response):
                return event.status_code, Headers(list(event.headers))
            if isinstance(event, h11.ConnectionClosed):
                raise BadAnswerError(self._target, "the connection was closed without an answer")

    def chunks(self) -> Iterator[bytes]:
        """The body, as it comes."""
        while True:
            event = self._next()
            if not isinstance(event, h11.Data):
                return
            yield bytes(event.data)

    def _send(self, data: bytes) -> None:
        """Send all, unless the server hangs up: one that refuses early has answered, and that is what matters."""
        self._sock.settimeout(self._left())
        with contextlib.suppress(BrokenPipeError, ConnectionResetError), self._explained():
            self._sock.sendall(data, socket.MSG_NOSIGNAL)

    def _next(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        while True:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as error:
                raise BadAnswerError(self._target, f"bad answer: {error}") from error
            if event is not h11.NEED_DATA:
                return event
            self._sock.settimeout(self._left())
            with self._explained():
                data = self._sock.recv(_READ)
            self._h11.receive_data(data)

    def _left(self) -> float | None:
        if self._deadline is None:
            return self._idle
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise AnswerTimeoutError(self._target, "no answer in time")
        return left

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise AnswerTimeoutError(self._target, "no answer in time") from error
        except ConnectionResetError as error:
            raise BadAnswerError(self._target, "the connection was reset") from error


def _connect(target: Target, timeout: float | None) -> socket.socket:
    try:
        if not isinstance(target, str):
            return socket.create_connection(target, timeout)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            sock.settimeout(timeout)
            sock.connect(target)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise _unreached(target, error) from error
    return sock


def _unreached(target: Target, error: OSError) -> ClientError:
    if isinstance(error, TimeoutError | BlockingIOError):
        return AnswerTimeoutError(target, "no answer in time")
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return SocketMissingError(target, "no such socket")
    if isinstance(error, ConnectionRefusedError):
        return NobodyListensError(target, "nobody listens there")
    if isinstance(error, PermissionError):
        return AccessDeniedError(target, "permission denied")
    return UnreachableError(target, (error.strerror or str(error)).lower())


def owner_of(path: str) -> int | None:
    """Uid that owns a socket file, to be told when nobody answers; None if no such file can be seen."""
    try:
        return os.lstat(path).st_uid
    except OSError:
        return None
