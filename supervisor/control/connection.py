"""One client: a socket, its wire, and the phase it is in.

Rules: the phase is changed by `_enter` alone, which sets the deadline that goes with it. No request is read while an
answer is under way, so a client can queue one receive buffer of pipelined requests and no more. Everything here runs
on the I/O thread; only `stir` may be called from another.
"""

from __future__ import annotations

import logging
import select
import socket
from typing import TYPE_CHECKING, Protocol

import h11
from attrs import evolve

from supervisor.control.phase import INCOMPLETE, PARSING, READING, WAITS, Phase, eviction_rank
from supervisor.control.request import Headers, Kind, Peer, Request, parse_target
from supervisor.control.response import Response, problem
from supervisor.control.stream import Stream
from supervisor.control.wire import CHUNK, After, Wire, discard

if TYPE_CHECKING:
    from supervisor.control.limits import Limits
    from supervisor.control.router import Route

log = logging.getLogger("respawnd.http")

_LOST = select.EPOLLHUP | select.EPOLLERR
FAIR = 32  # requests or chunks served to one client before the others get their turn


class Owner(Protocol):
    """What a connection needs of its server."""

    limits: Limits

    @property
    def stopping(self) -> bool:
        """Whether answers should end their connection."""

    def admit(self, request: Request) -> tuple[Request, Route | None, Response | None]:
        """Find the route of a request whose body is still to come, or its refusal."""

    def handle(self, connection: Connection, request: Request, route: Route, now: float) -> None:
        """Answer by `connection.respond`, at once or later."""

    def open_stream(self, stream: Stream) -> bool:
        """Let a stream begin; False when there are too many."""

    def end_stream(self, stream: Stream) -> None:
        """Forget a stream."""

    def count(self, request: Request | None, status: int) -> None:
        """Count an answer; `request` is None if it never made sense."""

    def again(self, connection: Connection) -> None:
        """Call `connection.go_on` in the next turn."""

    def stirred(self, connection: Connection) -> None:
        """Call `connection.go_on` on the I/O thread, soon. From any thread."""

    def gone(self, connection: Connection, reason: str) -> None:
        """Forget a connection; its socket is still open."""


class Connection:
    """The state machine of one accepted socket. `interest` and `deadline` are what its server has to wait for."""

    def __init__(self, sock: socket.socket, peer: Peer, kind: Kind, loopback: bool, owner: Owner, now: float) -> None:
        self.sock = sock
        self.peer = peer
        self.kind: Kind = kind
        self.phase = Phase.FRESH
        self.since = now  # when it began to owe us something: accept, first byte, last progress of a reader
        self.deadline: float | None = now + owner.limits.head_s
        self.registered = 0  # the server's note of what epoll was told
        self._loopback = loopback
        self._owner = owner
        self._wire = Wire(owner.limits.head_bytes)
        self._body = bytearray()
        self._request: Request | None = None
        self._route: Route | None = None
        self._refusal: Response | None = None
        self._stream: Stream | None = None
        self._parsing = self._stirred = False
        self._lingered = 0

    @property
    def interest(self) -> int:
        """Events to ask epoll for; hang-up and error come unasked."""
        return WAITS[self.phase].interest | (select.EPOLLOUT if self._wire.outbox else 0)

    def eviction_rank(self, now: float) -> int | None:
        """How soon this one goes when room is needed; see `phase.eviction_rank`."""
        blocked_s = now - self.since if self._wire.outbox else 0.0
        return eviction_rank(self.phase, blocked_s=blocked_s, stalled_s=self._owner.limits.stalled_s)

    def on_event(self, events: int, now: float) -> None:
        """Act on what epoll reported."""
        if events & select.EPOLLOUT:
            self._flush(now)
            self.go_on(now)
        if self.phase in READING:
            if events & ~select.EPOLLOUT:
                self._read(now)
        elif events & (_LOST | select.EPOLLRDHUP if self.phase is Phase.STREAMING else _LOST):
            self.close("reset")

    def on_expired(self, now: float) -> None:
        """Act on a deadline that has passed. A request half told is answered 408, once, and never waited for."""
        reason = WAITS[self.phase].reason
        if self.phase in {Phase.HEAD, Phase.BODY}:
            part = "headers" if self.phase is Phase.HEAD else "body"
            self._refuse(408, f"cannot wait longer for the {part} of the request", now)
        self.close(reason)

    def go_on(self, now: float) -> None:
        """Take up what was left for a later turn: more of a stream, or more pipelined requests."""
        if self.phase is Phase.STREAMING:
            self._stirred = False
            self._pump(now)
        elif self.phase in PARSING:
            self._parse(now)

    def stir(self) -> None:
        """Have the stream looked at. From any thread; many calls before the look are one."""
        if not self._stirred:
            self._stirred = True
            self._owner.stirred(self)

    def wind_down(self, now: float) -> None:
        """Let the server stop: what has arrived is still answered, what has not begun is closed."""
        if self.phase in PARSING:
            self._read(now)
        if self.phase in {Phase.IDLE, Phase.LINGER}:
            self.close()
        elif self.phase in {Phase.FRESH, Phase.HEAD}:
            self.deadline = min(self.deadline or now, now + self._owner.limits.hurry_s)
        elif self._stream is not None:
            self._stream.finish()

    def close(self, reason: str = "") -> None:
        """End the connection, whatever it was doing. `reason` is counted, if there is one."""
        if self.phase is Phase.CLOSED:
            return
        self._enter(Phase.CLOSED, self.since)
        self._owner.gone(self, reason)
        self.sock.close()
        self._let_go()

    def respond(self, response: Response, now: float, *, close: bool = False) -> None:
        """Answer the request at hand; for a connection that ended meanwhile the answer is dropped."""
        if self.phase is Phase.CLOSED:
            discard(response)
            return
        close = close or self._owner.stopping
        response, head = self._framed(response, close)
        if isinstance(response.body, Stream) and not self._opened(response.body, response.status):
            response, head = self._framed(problem(503, "cannot open another stream", _LATER), close)
        self._owner.count(self._request, response.status)
        self._wire.begin(head)
        if self._stream is not None:
            self._enter(Phase.STREAMING, now)
            self._stream.attach(self.stir)
            self._flush(now)
            self._pump(now)
            return
        if isinstance(response.body, bytes) and self._wire.bears_body(response.status):
            self._wire.data(response.body)
        self._finish(now)

    # Reading.

    def _read(self, now: float) -> None:
        try:
            data = self.sock.recv(CHUNK if self.phase in {Phase.BODY, Phase.LINGER} else self._wire.head_room)
        except BlockingIOError:
            return
        except OSError:
            self.close("" if self.phase is Phase.LINGER else "reset")
            return
        if self.phase is Phase.LINGER:
            self._drop(data)
            return
        if data and self.phase in {Phase.FRESH, Phase.IDLE}:
            self._enter(Phase.HEAD, now)
        self._wire.receive(data)
        self._parse(now)

    def _drop(self, data: bytes) -> None:
        self._lingered += len(data)
        if not data or self._lingered > self._owner.limits.linger_bytes:
            self.close()

    def _parse(self, now: float) -> None:
        self._parsing = True
        try:
            self._parse_events(now)
        except h11.RemoteProtocolError as error:
            if self._wire.left:
                self.close("reset")  # in the middle of a request: there is nobody to tell
            else:
                self._request = None
                self._refuse(error.error_status_hint, f"cannot read the request: {error}", now)
        finally:
            self._parsing = False

    def _parse_events(self, now: float) -> None:
        begun = 0
        while self.phase in PARSING:
            event = self._wire.next_event()
            if self._refusal is not None:
                self.respond(self._refusal, now, close=type(event) is not h11.EndOfMessage)
            elif event is h11.NEED_DATA:
                return
            elif isinstance(event, h11.Request):
                begun += 1
                self._begin(event, now)
            elif isinstance(event, h11.Data):
                self._gather(event.data, now)
            elif isinstance(event, h11.EndOfMessage):
                self._complete(now)
            else:  # ConnectionClosed; PAUSED cannot come, for nothing is parsed while an answer is under way
                self.close()
            if begun == FAIR and self.phase is Phase.HEAD:
                self._owner.again(self)
                return

    def _begin(self, event: h11.Request, now: float) -> None:
        """The headers are complete: find who answers before a byte of the body is taken."""
        self._enter(Phase.BODY, now)
        try:
            target = parse_target(event.target.decode("ascii"))
        except ValueError as error:
            self._refusal = problem(400, f"cannot read the request: {error}")
            return
        headers = Headers(list(event.headers))
        asked = Request(self._wire.method, target, headers, self.peer, self.kind, self._loopback, now)
        self._request, self._route, self._refusal = self._owner.admit(asked)
        self._refusal = self._refusal or self._oversized(int(headers.get("content-length", "0")))
        if self._refusal is None and self._wire.awaits_continue:
            self._wire.go_ahead()
            self._flush(now)

    def _gather(self, data: bytes, now: float) -> None:
        refusal = self._oversized(len(self._body) + len(data))
        if refusal is not None:
            self.respond(refusal, now, close=True)
        else:
            self._body += data

    def _oversized(self, size: int) -> Response | None:
        limit = self._owner.limits.body_bytes
        if self._route is not None and self._route.body_limit is not None:
            limit = self._route.body_limit
        return problem(413, f"cannot take a body beyond {limit} bytes") if size > limit else None

    def _complete(self, now: float) -> None:
        request, route = self._request, self._route
        assert request is not None
        assert route is not None
        if self._body:
            request = evolve(request, body=bytes(self._body))
            self._body = bytearray()
        self._enter(Phase.BUSY, now)
        self._owner.handle(self, request, route, now)

    # Writing.

    def _refuse(self, status: int, detail: str, now: float) -> None:
        self.respond(problem(status, detail), now, close=True)

    def _framed(self, response: Response, close: bool) -> tuple[Response, h11.Response]:
        try:
            return response, self._wire.head(response, close=close)
        except (h11.LocalProtocolError, UnicodeError) as error:
            name = self._route.name if self._route is not None else "the request"
            log.error("Cannot answer %s: %s", name, error)  # noqa: TRY400 - the traceback would be of h11
            discard(response)
            sorry = problem(500, "cannot send the answer: its headers are not HTTP")
            return sorry, self._wire.head(sorry, close=close)

    def _opened(self, stream: Stream, status: int) -> bool:
        """Begin a stream; one that must not be sent (HEAD) is closed instead, and well."""
        if not self._wire.bears_body(status):
            stream.close()
            return True
        if not self._owner.open_stream(stream):
            stream.close()
            return False
        self._stream = stream
        if self.kind == "tcp":
            _detect_dead_peer(self.sock)
        return True

    def _pump(self, now: float) -> None:
        """Move what the stream has to the client, as far as it takes it."""
        for _ in range(FAIR):
            stream = self._stream
            if stream is None or self._wire.outbox:
                return
            if data := stream.take(CHUNK):
                self._wire.data(data)
                self._flush(now)
            elif stream.closed:
                self.close("cut")
            elif stream.exhausted:
                self._let_go()
                self._finish(now)
            else:
                return
        self._owner.again(self)

    def _finish(self, now: float) -> None:
        self._wire.end()
        self._enter(Phase.WRITING, now)
        self._flush(now)

    def _flush(self, now: float) -> None:
        try:
            sent = self._wire.outbox.flush(self.sock)
        except OSError:
            self.close("reset")
            return
        if sent:
            self.since = now
        if self.phase in {Phase.WRITING, Phase.STREAMING} and (sent or self.deadline is None):
            self.deadline = now + self._owner.limits.write_s if self._wire.outbox else None
        if self.phase is Phase.WRITING and not self._wire.outbox:
            self._turn(now)

    def _turn(self, now: float) -> None:
        """Go on after a whole answer."""
        self._request = self._route = self._refusal = None
        self._body = bytearray()
        after = self._wire.turn(stopping=self._owner.stopping)
        if after is After.CLOSE:
            self.close()
        elif after is After.LINGER:
            self._linger(now)
        elif self._wire.pipelined:
            self._enter(Phase.HEAD, now)
            if not self._parsing:
                self._owner.again(self)
        else:
            self._enter(Phase.IDLE, now)

    def _linger(self, now: float) -> None:
        self._enter(Phase.LINGER, now)
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close("reset")

    def _let_go(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()
            self._owner.end_stream(stream)

    def _enter(self, phase: Phase, now: float) -> None:
        """Change the phase: the only place that does."""
        if not (self.phase in INCOMPLETE and phase in INCOMPLETE):
            self.since = now
        limit = WAITS[phase].limit
        self.deadline = now + float(getattr(self._owner.limits, limit)) if limit else None
        self.phase = phase


_LATER = (("retry-after", "1"),)


def _detect_dead_peer(sock: socket.socket) -> None:
    """Let the kernel ask after 60 s, then thrice, 10 s apart (tcp(7)): a quiet stream sends nothing that could fail."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
