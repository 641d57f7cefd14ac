"""Spans to a collector: OTLP over HTTP, by OpenTelemetry's own exporter, on connections that can be cut.

The exporter bounds its retries (OTEL_EXPORTER_OTLP_TIMEOUT for all tries of a batch) but not an answer that comes drop
by drop, since the timeout of `requests` is that of each read. So its session, which is ours, keeps hold of the socket.
It also keeps why the last request failed, for our one line about an outage: what these libraries log goes to debug. And
it reads little of an answer: whatever a wrong address serves must not come into the daemon's memory.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import threading
from collections.abc import Mapping
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from requests import Response, Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from metrics.tracing.sdk import Maker, Through
from metrics.tracing.sinks import Identity

log = logging.getLogger("respawnd.tracing")

_PATH = "v1/traces"
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_LOGGERS = ("opentelemetry", "urllib3", "requests")
#: Bytes of an answer that are read, so that its connection can be used again; one with more is hung up on.
_MOST_ANSWER = 65_536
_REDIRECTION = 3  # hundreds


def opened(endpoint: str, identity: Identity, environ: Mapping[str, str]) -> Through:
    """An exporter to the collector that the environment names, or else to `endpoint`. Nothing is connected yet."""
    hearsay = Hearsay()
    hearsay.listen()
    protocol = next(filter(None, map(environ.get, _PROTOCOLS)), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning("%s asks for %s: respawnd speaks http/protobuf alone", " or ".join(_PROTOCOLS), protocol)
    url = None if any(map(environ.get, _ENDPOINTS)) else target(endpoint)
    cord = Cord()
    session = severable(cord)

    def made(seconds: float | None) -> OTLPSpanExporter:
        return OTLPSpanExporter(endpoint=url, timeout=seconds, session=session)

    def close() -> None:
        session.close()
        cord.let_go()
        hearsay.leave()

    exporter, maker = made(None), Maker(identity)
    hearsay.settle()
    name = url or next(filter(None, map(environ.get, _ENDPOINTS)))
    return Through(name, maker, exporter, lambda: session.last, last=made, cut=cord.cut, close=close)


def target(endpoint: str) -> str:
    """Where traces go below the base address of a collector, which may name it already."""
    base = endpoint.rstrip("/")
    return base if base.endswith(f"/{_PATH}") else f"{base}/{_PATH}"


class Hearsay(logging.Handler):
    """Hears what the libraries log: until `settle` that is about the environment, and ours to pass on as a warning."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self._settled = False
        self._before: list[tuple[logging.Logger, bool]] = []

    def listen(self) -> None:
        """Be their one handler."""
        for name in _LOGGERS:
            logger = logging.getLogger(name)
            self._before.append((logger, logger.propagate))
            logger.addHandler(self)
            logger.propagate = False

    def settle(self) -> None:
        """From now on, they talk about exports."""
        self._settled = True

    def leave(self) -> None:
        """Let them be as they were."""
        for logger, propagate in self._before:
            logger.removeHandler(self)
            logger.propagate = propagate
        self._before.clear()

    def emit(self, record: logging.LogRecord) -> None:
        """Pass on what was said."""
        level = logging.DEBUG if self._settled else record.levelno
        log.log(level, "%s: %s", record.name, record.getMessage())


def reason(told: BaseException) -> str:
    """Why a request failed, in few words: the error at the bottom of an exception."""
    found: list[BaseException] = [told]
    for error in found:
        inner = (*error.args, getattr(error, "reason", None), error.__cause__, error.__context__)
        found.extend(one for one in inner if isinstance(one, BaseException) and one not in found)
    words = [one.strerror for one in found if isinstance(one, OSError) and one.strerror]
    if words:
        return words[-1].lower()
    return "no answer in time" if isinstance(told, Timeout) else type(found[-1]).__name__


class Cord:
    """Holds a second descriptor of the connection that is in use, by which it can be ended from another thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: socket.socket | None = None
        self._severed = False

    def hold(self, fresh: socket.socket) -> None:
        """A new connection takes the place of the one before. Raises OSError after the last cut."""
        with self._lock:
            if self._severed:
                fresh.close()
                raise OSError(errno.ECANCELED, "cut off")
            self._drop()
            self._held = fresh.dup()

    def cut(self, last: bool) -> None:
        """End the connection; who reads from it reads the end. After the `last` cut there is no other."""
        with self._lock:
            self._severed = self._severed or last
            if self._held is not None:
                with contextlib.suppress(OSError):
                    self._held.shutdown(socket.SHUT_RDWR)

    def let_go(self) -> None:
        """Close the descriptor."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


class Asking(Session):
    """A session that keeps what became of its `last` request, in words; of its answers nobody asks for the body."""

    last = "no answer"

    def request(self, *args: Any, **kwargs: Any) -> Response:
        """As the library's; but a redirection, which the exporter would take for success, raises RequestException."""
        try:
            response = super().request(*args, **(kwargs | {"stream": True}))
            if len(response.raw.read(_MOST_ANSWER + 1, decode_content=False)) > _MOST_ANSWER:
                response.close()
        except Exception as error:
            self.last = reason(error)
            raise
        self.last = f"{response.status_code} {response.reason}".rstrip()
        if response.status_code // 100 == _REDIRECTION:
            raise RequestException(self.last)
        return response

    def get_redirect_target(self, _resp: Any) -> None:
        """Nowhere: the library would read all of the answer to find out."""


def severable(cord: Cord) -> Asking:
    """A session whose connections `cord` holds, one at a time; proxies and certificates as requests has them."""

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            fresh = super()._new_conn()
            cord.hold(fresh)
            return fresh

    class Tls(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            fresh = super()._new_conn()
            cord.hold(fresh)
            return fresh

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class TlsPool(HTTPSConnectionPool):
        ConnectionCls = Tls

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
            super().init_poolmanager(*args, **kwargs)
            self.poolmanager.pool_classes_by_scheme = pools

        def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
            manager = super().proxy_manager_for(*args, **kwargs)
            manager.pool_classes_by_scheme = pools
            return manager

    pools = {"http": PlainPool, "https": TlsPool}
    session = Asking()
    adapter = Adapter(pool_connections=1, pool_maxsize=1)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    return session
