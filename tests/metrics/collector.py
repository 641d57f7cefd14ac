"""A collector for tests: it takes OTLP over HTTP, decodes it with OpenTelemetry's own protobuf, or behaves badly.

`answer` decides what a request gets: a status, or a way to hang. Everything ends with `close`.
"""

from __future__ import annotations

import gzip
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span

PATIENCE = 20.0


class Collector:
    """One that listens on a loopback port. `requests` gets each decoded request, with its headers and its path."""

    def __init__(self, status: Callable[[], int] = lambda: 200) -> None:
        self.requests: queue.SimpleQueue[tuple[ExportTraceServiceRequest, Mapping[str, str], str]]
        self.requests = queue.SimpleQueue()
        self._connections: list[socket.socket] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                code = status()
                if code == 200:
                    if self.headers.get("Content-Encoding") == "gzip":
                        body = gzip.decompress(body)
                    decoded = ExportTraceServiceRequest.FromString(body)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    outer.requests.put((decoded, headers, self.path))
                self.send_response(code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            def process_request(self, request: Any, client_address: Any) -> None:
                """Keep hold of the connection, which its client may keep open."""
                outer._connections.append(request)
                super().process_request(request, client_address)

            def handle_error(self, *_: Any) -> None:
                """A client that goes away is no matter."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def take(self) -> tuple[ExportTraceServiceRequest, Mapping[str, str], str]:
        """The next request that was accepted."""
        return self.requests.get(timeout=PATIENCE)

    def close(self) -> None:
        """End."""
        self._server.shutdown()
        self._thread.join()
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._server.server_close()


@contextmanager
def collector(status: Callable[[], int] = lambda: 200) -> Iterator[Collector]:
    """A collector for the length of a block."""
    one = Collector(status)
    try:
        yield one
    finally:
        one.close()


class Rude:
    """A server that answers each request with what `behave` does to its connection, which may take until the end."""

    def __init__(self, behave: Callable[[socket.socket, threading.Event], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = threading.Semaphore(0)
        self._end = threading.Event()
        self._behave = behave
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while connection.recv(1 << 16):
                    self.asked.release()
                    self._behave(connection, self._end)
            except OSError:
                return

    def close(self) -> None:
        """End."""
        self._end.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@contextmanager
def rude(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[Rude]:
    """A rude server for the length of a block."""
    one = Rude(behave)
    try:
        yield one
    finally:
        one.close()


def hang(connection: socket.socket, end: threading.Event) -> None:
    """Say nothing."""
    end.wait(PATIENCE)


def drip(connection: socket.socket, end: threading.Event) -> None:
    """Send a header that never ends, a letter at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while not end.wait(0.02):
        connection.sendall(b".")


def garbage(connection: socket.socket, end: threading.Event) -> None:
    """Answer with what is no HTTP."""
    connection.sendall(b"\0\1\2 hello\r\n\r\n" * 3)
    connection.shutdown(socket.SHUT_RDWR)


def flood(connection: socket.socket, end: threading.Event) -> None:
    """Accept what was sent, and never end the answer."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not end.is_set():
        connection.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")


def spans(found: Any) -> list[Span]:
    """All spans of a request, or of a TracesData."""
    return [span for one in found.resource_spans for scope in one.scope_spans for span in scope.spans]


def attributes(pairs: Any) -> dict[str, Any]:
    """Attributes as plain values."""
    return {pair.key: _plain(pair) for pair in pairs}


def _plain(pair: KeyValue) -> Any:
    value = pair.value
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return tuple(getattr(item, item.WhichOneof("value")) for item in value.array_value.values)
    return getattr(value, kind) if kind else None


def resource(found: Any) -> dict[str, Any]:
    """The attributes of the one resource of a request."""
    only: ResourceSpans
    (only,) = found.resource_spans
    return attributes(only.resource.attributes)
