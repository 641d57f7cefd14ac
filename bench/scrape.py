"""Asks a daemon over HTTP: is it ready, and (as a program of its own) its metrics in a tight loop.

``python -m bench.scrape PORT [ACCEPT ENCODING]`` scrapes over one kept connection, the next request as soon as the
answer is read, until SIGTERM, and then prints how many pages and bytes it got and the seconds that the middle one took.
It is a process so that it never holds the harness's own GIL.
"""

from __future__ import annotations

import http.client
import math
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

HOST = "127.0.0.1"
#: What a Prometheus asks for, shortened to what decides.
PROMETHEUS = {
    "Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
    "Accept-Encoding": "gzip",
}
_BETWEEN_TRIES = 0.001  # seconds


class NotReady(Exception):
    """The daemon did not say that it is ready in time."""


def free_port() -> int:
    """Give a TCP port of loopback that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        port: int = sock.getsockname()[1]
        return port


def get(port: int, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Ask once, over a connection of its own; raises OSError when nobody listens."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def wait_ready(port: int, seconds: float) -> int:
    """Ask for /-/ready until it answers 200; give that moment in nanoseconds of CLOCK_MONOTONIC."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with suppress(OSError, http.client.HTTPException):
            if get(port, "/-/ready")[0] == http.client.OK:
                return time.monotonic_ns()
        time.sleep(_BETWEEN_TRIES)
    raise NotReady(f"cannot get 200 from http://{HOST}:{port}/-/ready within {seconds:g} s")


class Scraper:
    """The tight loop as a process, which can be halted (SIGSTOP) and let go (SIGCONT) between batches."""

    def __init__(self, port: int, headers: Mapping[str, str] | None = None) -> None:
        get(port, "/metrics")  # refuses here, with its error, rather than in the child
        command = [sys.executable, "-m", "bench.scrape", str(port), *(headers or {}).values()]
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=here)
        self.pages = self.bytes = 0
        self.seconds = math.nan
        assert self._process.stdout is not None
        self._process.stdout.readline()  # the first page has come
        self.halt()

    def halt(self) -> None:
        """Stop scraping; the connection stays open."""
        self._process.send_signal(signal.SIGSTOP)

    def go(self) -> None:
        """Scrape on."""
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.go()
        self._process.terminate()
        said = self._process.communicate()[0].split()
        if len(said) == 3:
            self.pages, self.bytes, self.seconds = int(said[0]), int(said[1]), float(said[2])


def _loop(port: int, headers: Mapping[str, str]) -> None:
    """Scrape until SIGTERM; a connection that the server closes is opened again."""
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    size = 0
    seconds: list[float] = []
    while going:
        begin = time.monotonic()
        try:
            connection.request("GET", "/metrics", headers=headers)
            size += len(connection.getresponse().read())
        except (http.client.RemoteDisconnected, ConnectionError):
            connection.close()
            continue
        seconds.append(time.monotonic() - begin)
        if len(seconds) == 1:
            print("first", flush=True)
    print(len(seconds), size, sorted(seconds)[len(seconds) // 2], flush=True)


if __name__ == "__main__":
    _loop(int(sys.argv[1]), dict(zip(PROMETHEUS, sys.argv[2:4], strict=False)))
