"""The I/O thread of the HTTP server, from one start to its stop.

Rules: everything here runs on that thread, but for `post`, `begin_stop`, `stirred` and the workers' half of `handle`.
A turn is: sleep until a socket, a post or the earliest deadline; serve; expire; go on with what was left. A fault
while serving one connection ends that connection, any other fault its turn: `run` is called again and finds all as it
was. Nothing wakes the thread when nobody is connected.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from attrs import evolve

from supervisor.control.acceptor import Acceptor
from supervisor.control.connection import Connection
from supervisor.control.crew import Crew
from supervisor.control.phase import Phase
from supervisor.control.pool import Pool
from supervisor.control.reactor import Reactor
from supervisor.control.request import Peer, Request
from supervisor.control.response import Response, problem
from supervisor.control.wire import discard

if TYPE_CHECKING:
    from supervisor.control.limits import Limits
    from supervisor.control.listen import Listener
    from supervisor.control.router import Route, Router
    from supervisor.control.stream import Stream
    from supervisor.control.tally import Tally
    from supervisor.host.pulse import Pulse, Pulses

log = logging.getLogger("respawnd.http")

Admit = Callable[[Request], Response | None]

_FULL_BODY = (
    b'{"type":"about:blank","title":"Service Unavailable","status":503,"detail":"cannot take another connection"}\n'
)
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\ncontent-length: %d\r\n"
    b"retry-after: 1\r\nconnection: close\r\n\r\n%s" % (len(_FULL_BODY), _FULL_BODY)
)
_FAULT = "cannot answer: a fault in respawnd; its log says more"
_JOIN_S = 0.25  # what workers and producers get to end after the last answer


class Engine:
    """Owner of the connections, of the workers and of the streams (see connection.Owner)."""

    def __init__(
        self,
        name: str,
        router: Router,
        listeners: tuple[Listener, ...],
        limits: Limits,
        admit: Admit | None,
        tally: Tally,
        pulses: Pulses,
    ) -> None:
        self.limits = limits
        self.pool = Pool(name, size=limits.workers, queue=limits.queue, idle_s=limits.worker_idle_s, pulses=pulses)
        self.crew = Crew(name, limits.streams)
        self.busy_since: float | None = None
        self.connections: dict[int, Connection] = {}
        self._router = router
        self._admit = admit
        self._tally = tally
        self._reactor = Reactor()
        self._acceptor = Acceptor(self._reactor, listeners, self._accepted, self._scarce)
        self._again: list[Connection] = []
        self._reopen_at: float | None = None
        self._stop_at: float | None = None
        self._then: list[Callable[[], None]] = []

    # The life of the thread.

    def run(self, pulse: Pulse) -> None:
        """Turn until stopped; to be called again after a fault (see host.thread.attend)."""
        if self._stop_at is None:
            self._acceptor.shut()
            self._acceptor.open()
        # What was posted before a fault has had its bell rung, and may not have been heard.
        self._reactor.post(_nothing)
        while not self._over():
            self._turn(pulse)
        self._end()

    def begin_stop(self, timeout: float, then: Callable[[], None] | None) -> bool:
        """Wind down within `timeout` seconds and call `then`; a later call moves the bound. False if it has ended."""
        return self._reactor.post(partial(self._wind_down, timeout, then))

    def abandon(self) -> None:
        """Give all back of an engine whose thread never began."""
        self.pool.close(_JOIN_S)
        self._reactor.close()

    def _wind_down(self, timeout: float, then: Callable[[], None] | None) -> None:
        now = time.monotonic()
        self._stop_at = now + timeout
        self._then += [then] if then is not None else []
        self._reopen_at = None
        self._acceptor.shut()
        for connection in list(self.connections.values()):
            self._serve(connection, connection.wind_down, now)

    def _over(self) -> bool:
        return self._stop_at is not None and (not self.connections or time.monotonic() >= self._stop_at)

    def _end(self) -> None:
        for connection in list(self.connections.values()):
            connection.close("stop")
        self._acceptor.shut()
        for name in self.pool.close(_JOIN_S) + self.crew.close(_JOIN_S):
            log.warning("Cannot end %s: its handler does not return", name)
        self._reactor.close()
        while self._then:
            self._then.pop(0)()

    # A turn.

    def _turn(self, pulse: Pulse) -> None:
        self.busy_since = None
        pulse.idle()
        happened = self._reactor.wait(self._timeout())
        pulse.busy()
        self.busy_since = now = time.monotonic()
        self._reactor.deliver(happened)
        self._expire(now)
        again, self._again = self._again, []
        for connection in again:
            self._serve(connection, connection.go_on, now)

    def _timeout(self) -> float | None:
        if self._again:
            return 0.0
        moments = [c.deadline for c in self.connections.values() if c.deadline is not None]
        moments += [moment for moment in (self._reopen_at, self._stop_at) if moment is not None]
        return max(0.0, min(moments) - time.monotonic()) if moments else None

    def _expire(self, now: float) -> None:
        for connection in [c for c in self.connections.values() if c.deadline is not None and c.deadline <= now]:
            self._serve(connection, connection.on_expired, now)
        if self._reopen_at is not None and self._reopen_at <= now:
            self._reopen_at = None
            self._acceptor.open()

    def _on_events(self, connection: Connection, events: int) -> None:
        self._serve(connection, partial(connection.on_event, events), time.monotonic())

    def _serve(self, connection: Connection, step: Callable[[float], None], now: float) -> None:
        """Take one step of a connection, and tell epoll what it waits for then."""
        try:
            step(now)
        except BaseException:  # SystemExit too: one connection does not end the thread of all
            log.exception("Cannot serve %s", connection.peer)
            connection.close("error")
        if connection.phase is not Phase.CLOSED and connection.interest != connection.registered:
            connection.registered = connection.interest
            self._reactor.change(connection.sock.fileno(), connection.registered)

    # The door.

    def _accepted(self, sock: socket.socket, peer: Peer, listener: Listener) -> None:
        now = time.monotonic()
        self._tally.accepted += 1
        if self._is_full(listener.kind) and not self._evict(now, listener.kind):
            _turn_away(sock)
            self._tally.dropped_for("full")
            return
        connection = Connection(sock, peer, listener.kind, listener.loopback, self, now)
        connection.registered = connection.interest
        self.connections[sock.fileno()] = connection
        self._reactor.add(sock.fileno(), connection.registered, partial(self._on_events, connection))

    def _is_full(self, kind: str) -> bool:
        return sum(c.kind == kind for c in self.connections.values()) >= self.limits.connections

    def _evict(self, now: float, kind: str = "") -> bool:
        """Close the connection that must go first when room is needed, of one kind or of any; False if none may."""
        ranked = [
            (rank, connection.since, descriptor)
            for descriptor, connection in self.connections.items()
            if kind in {"", connection.kind} and (rank := connection.eviction_rank(now)) is not None
        ]
        if ranked:
            self.connections[min(ranked)[2]].close("evicted")
        return bool(ranked)

    def _scarce(self) -> None:
        now = time.monotonic()
        self._evict(now)
        self._acceptor.shut()
        self._reopen_at = now + self.limits.accept_pause_s

    def fullest(self) -> int:
        """Connections of the kind that has most: each kind has `limits.connections`. From any thread."""
        kinds = [connection.kind for connection in list(self.connections.values())]
        return max((kinds.count(kind) for kind in set(kinds)), default=0)

    # What a connection needs (connection.Owner).

    @property
    def stopping(self) -> bool:
        """Whether answers should end their connection."""
        return self._stop_at is not None

    def admit(self, request: Request) -> tuple[Request, Route | None, Response | None]:
        """Find the route; refuse what has none, or what the API does not let in."""
        match = self._router.find(request.method, request.target)
        if match.route is None:
            return request, None, _nobody(request, match.allow)
        request = evolve(request, route=match.route.name, params=match.params)
        return request, match.route, self._refused(request)

    def handle(self, connection: Connection, request: Request, route: Route, now: float) -> None:
        """Call the handler, here or on a worker."""
        if not route.blocking:
            connection.respond(_answer(route, request), now)
        elif not self.pool.submit(partial(self._work, connection, request, route)):
            busy = problem(503, "cannot take another request: all workers are busy", (("retry-after", "1"),))
            connection.respond(busy, now)

    def open_stream(self, stream: Stream) -> bool:
        """Let a stream begin."""
        opened = self.crew.open(stream)
        if opened and self.stopping:
            stream.finish()
        return opened

    def end_stream(self, stream: Stream) -> None:
        """Forget a stream."""
        self.crew.release(stream)

    def count(self, request: Request | None, status: int) -> None:
        """Count an answer."""
        if request is None:
            self._tally.answered("malformed", "other", status)
        else:
            self._tally.answered(request.route or "unmatched", request.method, status)

    def again(self, connection: Connection) -> None:
        """Go on with it in the next turn."""
        self._again.append(connection)

    def stirred(self, connection: Connection) -> None:
        """Go on with it soon; from any thread."""
        self._reactor.post(lambda: self._serve(connection, connection.go_on, time.monotonic()))

    def gone(self, connection: Connection, reason: str) -> None:
        """Forget a connection."""
        self._tally.dropped_for(reason)
        self._reactor.remove(connection.sock.fileno())
        del self.connections[connection.sock.fileno()]

    def _refused(self, request: Request) -> Response | None:
        try:
            return None if self._admit is None else self._admit(request)
        except BaseException:  # as in _answer
            log.exception("Cannot admit %s %s", request.method, request.route)
            return problem(500, _FAULT)

    def _work(self, connection: Connection, request: Request, route: Route) -> None:
        """Answer on a worker, and carry the answer back."""
        response = _answer(route, request)
        step = partial(connection.respond, response)
        if not self._reactor.post(lambda: self._serve(connection, step, time.monotonic())):
            discard(response)


def _answer(route: Route, request: Request) -> Response:
    """Call a handler; what it raises becomes an answer of its own, and a line in the log."""
    try:
        return route.handler(request)
    except BaseException:  # SystemExit too: it has to be answered like any other
        log.exception("Cannot answer %s %s: its handler failed", request.method, request.route)
        return problem(500, _FAULT)


def _nothing() -> None:
    """Nothing but the ring of the bell."""


def _nobody(request: Request, allow: tuple[str, ...]) -> Response:
    if allow:
        listed = ", ".join(allow)
        return problem(405, f"cannot {request.method} this path: it takes {listed}", (("allow", listed),))
    return problem(404, f"cannot find {request.path}")


def _turn_away(sock: socket.socket) -> None:
    try:
        sock.send(_FULL, socket.MSG_NOSIGNAL)
    except OSError as error:
        log.debug("A client turned away was gone already: %s", error)
    sock.close()
