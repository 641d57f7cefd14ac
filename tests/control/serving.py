"""A real server on loopback and on a Unix socket, handlers that tests can hold still, and clients that misbehave."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from typing import TYPE_CHECKING, Any, Self, TypeVar

import h11
from attrs import define, field

from supervisor.control.limits import Limits
from supervisor.control.listen import Listener, bind_tcp, bind_unix
from supervisor.control.response import Response
from supervisor.control.router import Router
from supervisor.control.server import Server, ServerStats
from supervisor.control.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from supervisor.control.engine import Admit, Engine
    from supervisor.control.request import Request

T = TypeVar("T")

PATIENCE_S = 10.0  # what no wait of a test ever reaches, unless something is broken
BIG = b"0123456789abcdef" * (512 * 1024)  # 8 MiB: more than any socket buffer holds


@define
class Gate:
    """A handler that waits inside until it is let go, and tells who entered."""

    entered: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    opened: threading.Event = field(factory=threading.Event)

    def handler(self, _request: Request) -> Response:
        """Wait for the gate."""
        self.entered.release()
        if not self.opened.wait(PATIENCE_S):
            return Response.text("nobody opened the gate", 500)
        return Response.text("let go")

    def await_entry(self) -> None:
        """Wait until one more request is inside."""
        assert self.entered.acquire(timeout=PATIENCE_S)


class Caller:
    """A raw client: bytes out, answers in, by h11's client side."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.sock.settimeout(PATIENCE_S)
        self._h11 = h11.Connection(h11.CLIENT, 1 << 20)
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> Caller:
        """Send bytes as they are."""
        self.sock.sendall(data)
        return self

    def get(self, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Ask and wait for the answer, keeping the connection."""
        lines = "".join(f"{line}\r\n" for line in headers)
        self.send(f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
        return self.answer(method)

    def answer(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """Wait for one answer; what follows it is kept for the next call."""
        parser = h11.Connection(h11.CLIENT, 1 << 20)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "x")]))
        parser.send(h11.EndOfMessage())
        head, body = None, b""
        if self._unread:
            parser.receive_data(self._unread)
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                parser.receive_data(self.sock.recv(1 << 16))
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.ConnectionClosed):
                raise EOFError("the server closed without an answer")
        self._unread = parser.trailing_data[0]
        assert head is not None
        return head.status_code, {n.decode(): v.decode() for n, v in head.headers}, body

    def rest(self) -> bytes:
        """Read to the end, however it comes."""
        read = [self._unread]
        with contextlib.suppress(ConnectionResetError):
            while data := self.sock.recv(1 << 16):
                read.append(data)
        return b"".join(read)


@define
class Site:
    """A server that runs, and what leads to it."""

    server: Server
    tcp: Listener
    unix: Listener
    gate: Gate
    follower: Follower

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens on loopback."""
        return "127.0.0.1", self.tcp.sock.getsockname()[1]

    @property
    def path(self) -> str:
        """Its Unix socket."""
        return self.unix.path

    def settle(self, tell: Callable[[Engine], T]) -> T:
        """Ask the I/O thread something between two turns, when all that it has begun is done."""
        engine = self.server._engine
        assert engine is not None
        told: queue.Queue[T] = queue.Queue()
        assert engine._reactor.post(lambda: told.put(tell(engine)))
        return told.get(timeout=PATIENCE_S)

    def stats(self) -> ServerStats:
        """Take the figures between two turns."""
        return self.settle(lambda _: self.server.stats())

    def call(self) -> Caller:
        """Connect by TCP."""
        return Caller(socket.create_connection(self.address, PATIENCE_S))

    def call_unix(self) -> Caller:
        """Connect by the Unix socket."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(self.path)
        return Caller(sock)


@define
class Follower:
    """Streams that tests feed, and what became of their producers."""

    streams: list[Stream] = field(factory=list)
    begun: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))
    ended: threading.Semaphore = field(factory=lambda: threading.Semaphore(0))

    def pushed(self, _request: Request) -> Response:
        """Return a stream that others feed."""
        stream = Stream(limit=1000)
        self.streams.append(stream)
        stream.offer(b"begin\n")
        self.begun.release()
        return Response(200, stream)

    def followed(self, _request: Request) -> Response:
        """Return a stream whose producer says hello and then waits for the end."""

        def produce(stream: Stream) -> None:
            stream.write(b"hello\n")
            self.begun.release()
            if stream.wait(PATIENCE_S):
                self.ended.release()

        return Response(200, Stream(produce))

    def flood(self, _request: Request) -> Response:
        """Return a stream whose producer never stops of its own."""

        def produce(stream: Stream) -> None:
            self.begun.release()
            try:
                while True:
                    stream.write(b"x" * 50_000)
            finally:
                self.ended.release()

        return Response(200, Stream(produce))


def _fail(_request: Request) -> Response:
    raise LookupError("a fault on purpose")


def _cut(_request: Request) -> Response:
    def produce(stream: Stream) -> None:
        stream.write(b"half of ")
        raise LookupError("a fault on purpose")

    return Response(200, Stream(produce))


def _facts(request: Request) -> Response:
    return Response.json(
        {
            "params": dict(request.params),
            "query": dict(request.query),
            "peer": str(request.peer),
            "kind": request.kind,
            "loopback": request.loopback,
            "thread": threading.current_thread().name,
        }
    )


def routes(gate: Gate, follower: Follower) -> Router:
    """What the tests ask for."""
    router = Router()
    router.add("GET", "/hello", lambda _: Response.text("hello"))
    router.add("GET", "/big", lambda _: Response(200, BIG))
    router.add("GET", "/facts/{name}", _facts)
    router.add("GET", "/worker", _facts, blocking=True)
    router.add("POST", "/echo", lambda request: Response(200, request.body))
    router.add("POST", "/small", lambda request: Response(200, request.body), body_limit=10)
    router.add("POST", "/nothing", lambda _: Response(204))
    router.add("GET", "/gate", gate.handler, blocking=True)
    router.add("GET", "/fail", _fail)
    router.add("GET", "/worker-fails", _fail, blocking=True)
    router.add("GET", "/bad-header", lambda _: Response(200, b"", (("x-split", "a\r\nb: c"),)))
    router.add("GET", "/pushed", follower.pushed)
    router.add("GET", "/followed", follower.followed)
    router.add("GET", "/flood", follower.flood)
    router.add("GET", "/lines", lambda _: Response(200, Stream.of(b"line %d\n" % n for n in range(1000))))
    router.add("GET", "/cut", _cut)
    return router


@contextlib.contextmanager
def serving(tmp_path: Path, limits: Limits | None = None, admit: Admit | None = None) -> Iterator[Site]:
    """Serve `routes` until the end of the block; then all is stopped, and it must have stopped in time."""
    gate, follower = Gate(), Follower()
    tcp, unix = bind_tcp("127.0.0.1", 0), bind_unix(str(tmp_path / "http.sock"))
    server = Server(routes(gate, follower), [tcp, unix], limits=limits, admit=admit)
    server.start()
    try:
        yield Site(server, tcp, unix, gate, follower)
    finally:
        gate.opened.set()
        stopped = server.stop(1.0)
        tcp.close()
        unix.close()
    assert stopped


def detail(body: bytes) -> str:
    """Tell what a problem says."""
    return str(problem(body)["detail"])


def problem(body: bytes) -> dict[str, Any]:
    """Parse a problem."""
    return dict(json.loads(body))
