"""Stories of one connection under a clock of the test's own: a socket pair, a fake owner, and moments as arguments."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

import pytest

from supervisor.control.connection import FAIR, Connection
from supervisor.control.limits import Limits
from supervisor.control.phase import Phase
from supervisor.control.request import Request, UnixPeer
from supervisor.control.response import Response
from supervisor.control.router import Route
from supervisor.control.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator

READABLE, WRITABLE = select.EPOLLIN, select.EPOLLOUT
ASK = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"


class FakeOwner:
    """Answers what it is told to answer, and remembers everything."""

    def __init__(self) -> None:
        self.limits = Limits()
        self.stopping = False
        self.response: Response | None = Response(200, b"fine")
        self.handled: list[Request] = []
        self.reasons: list[str] = []
        self.statuses: list[int] = []
        self.calls: list[str] = []

    def admit(self, request: Request) -> tuple[Request, Route | None, Response | None]:
        """Let all in."""
        route = Route("GET", "/x", lambda _: Response(200), blocking=False, body_limit=None, name="/x")
        return request, route, None

    def handle(self, connection: Connection, request: Request, route: Route, now: float) -> None:
        """Answer at once, or never."""
        self.handled.append(request)
        if self.response is not None:
            connection.respond(self.response, now)

    def open_stream(self, stream: Stream) -> bool:
        """Agree."""
        self.calls.append("open_stream")
        return True

    def end_stream(self, stream: Stream) -> None:
        """Remember."""
        self.calls.append("end_stream")

    def count(self, request: Request | None, status: int) -> None:
        """Remember."""
        self.statuses.append(status)

    def again(self, connection: Connection) -> None:
        """Remember."""
        self.calls.append("again")

    def stirred(self, connection: Connection) -> None:
        """Remember."""
        self.calls.append("stirred")

    def gone(self, connection: Connection, reason: str) -> None:
        """Remember."""
        self.reasons.append(reason)


class Story:
    """One connection, accepted at 100.0, and the client's end of it."""

    def __init__(self) -> None:
        ours, self.client = socket.socketpair()
        ours.setblocking(False)
        self.client.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.owner = FakeOwner()
        self.connection = Connection(ours, UnixPeer(1, 2, 3), "unix", False, self.owner, 100.0)

    def says(self, data: bytes, now: float) -> None:
        """The client sends, and epoll reports it."""
        assert self.client.send(data) == len(data)
        self.connection.on_event(READABLE, now)

    def phase(self) -> Phase:
        """Where the connection is now; a call, for mypy would remember a property."""
        return self.connection.phase

    def heard(self) -> bytes:
        """All that has come back so far."""
        read = b""
        while True:
            try:
                data = self.client.recv(1 << 16)
            except BlockingIOError:
                return read
            if not data:
                return read
            read += data


@pytest.fixture
def story() -> Iterator[Story]:
    """Begin a story; both ends are closed when it is over."""
    begun = Story()
    yield begun
    begun.connection.close()
    begun.client.close()


def test_headers_are_due_from_the_first_byte(story: Story) -> None:
    """Five seconds to the first byte, five more from it to the last header, and no dribble extends them."""
    assert story.connection.deadline == 105.0
    story.says(b"GET ", 103.0)
    assert (Phase.HEAD, 108.0) == (story.phase(), story.connection.deadline)
    story.says(b"/x HTTP/1.1\r\n", 107.9)
    assert story.connection.deadline == 108.0
    story.connection.on_expired(108.0)
    assert story.heard().startswith(b"HTTP/1.1 408 ")
    assert ["head_deadline"] == story.owner.reasons


def test_a_silent_client_is_closed_without_a_word(story: Story) -> None:
    """Who sends nothing is told nothing."""
    story.connection.on_expired(105.0)
    assert (b"", ["head_deadline"]) == (story.heard(), story.owner.reasons)


def test_a_body_has_a_deadline_of_its_own(story: Story) -> None:
    """Thirty seconds from the end of the headers, however it dribbles."""
    story.says(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", 101.0)
    assert (Phase.BODY, 131.0) == (story.phase(), story.connection.deadline)
    story.says(b"abc", 130.0)
    assert story.connection.deadline == 131.0
    story.connection.on_expired(131.0)
    assert story.heard().startswith(b"HTTP/1.1 408 ")
    assert ["body_deadline"] == story.owner.reasons


def test_an_idle_connection_ends_quietly(story: Story) -> None:
    """After an answer a minute of silence is allowed; its end is nobody's fault."""
    story.says(ASK, 101.0)
    assert (Phase.IDLE, 161.0) == (story.phase(), story.connection.deadline)
    story.connection.on_expired(161.0)
    assert (Phase.CLOSED, [""]) == (story.phase(), story.owner.reasons)


def test_a_reader_that_takes_nothing_is_dropped(story: Story) -> None:
    """Each byte taken gives thirty seconds more; none taken ends it."""
    story.owner.response = Response(200, b"x" * 500_000)
    story.says(ASK, 101.0)
    assert (Phase.WRITING, 131.0) == (story.phase(), story.connection.deadline)
    assert story.connection.interest == WRITABLE
    assert story.heard()
    story.connection.on_event(WRITABLE, 130.0)
    assert story.connection.deadline == 160.0
    story.connection.on_expired(160.0)
    assert ["write_deadline"] == story.owner.reasons


def test_nothing_is_read_while_an_answer_is_made(story: Story) -> None:
    """A busy connection listens to nothing, has no deadline, and takes up the next request after its answer."""
    story.owner.response = None
    story.says(ASK + ASK, 101.0)
    assert (Phase.BUSY, None, 0) == (story.phase(), story.connection.deadline, story.connection.interest)
    story.connection.respond(Response(200, b"one"), 150.0)
    assert (Phase.HEAD, "again") == (story.phase(), story.owner.calls[-1])
    story.connection.go_on(150.1)
    assert (Phase.BUSY, 2) == (story.phase(), len(story.owner.handled))


def test_many_pipelined_requests_let_others_have_a_turn(story: Story) -> None:
    """After 32 requests in one turn the rest waits for the next."""
    story.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    story.says(ASK * (FAIR + 5), 101.0)
    assert (FAIR, ["again"]) == (len(story.owner.handled), story.owner.calls)
    story.connection.go_on(101.1)
    assert FAIR + 5 == len(story.owner.handled)


def test_a_refusal_lingers_until_the_client_has_read_it(story: Story) -> None:
    """After a refusal the rest of the request is read and dropped, for two seconds or until the client is done."""
    story.says(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999\r\n\r\nabc", 101.0)
    assert (Phase.LINGER, 103.0) == (story.phase(), story.connection.deadline)
    story.says(b"more of it", 102.0)
    assert (Phase.LINGER, 103.0) == (story.phase(), story.connection.deadline)
    story.client.close()
    story.connection.on_event(READABLE | select.EPOLLHUP, 102.5)
    assert (Phase.CLOSED, [413], [""]) == (story.phase(), story.owner.statuses, story.owner.reasons)


def test_lingering_ends_by_bytes_too(story: Story) -> None:
    """A client that goes on sending for ever is cut off."""
    story.owner.limits = Limits(linger_bytes=2000)
    story.says(b"nonsense\r\n\r\n", 101.0)
    story.says(b"x" * 1500, 101.1)
    assert story.phase() is Phase.LINGER
    story.says(b"x" * 1500, 101.2)
    assert story.phase() is Phase.CLOSED


def test_leaving_in_the_middle_is_a_reset(story: Story) -> None:
    """A client that goes away before its request is whole is counted, and not answered."""
    story.says(b"GET /x HT", 101.0)
    story.client.shutdown(socket.SHUT_WR)
    story.connection.on_event(READABLE, 101.1)
    assert (b"", ["reset"]) == (story.heard(), story.owner.reasons)


def test_a_stream_has_a_deadline_only_while_it_is_not_taken(story: Story) -> None:
    """A quiet stream may last for ever; one whose reader is stuck may not."""
    stream = Stream(limit=1 << 20)
    story.owner.response = Response(200, stream)
    story.says(ASK, 101.0)
    assert (Phase.STREAMING, None) == (story.phase(), story.connection.deadline)
    stream.offer(b"x" * 500_000)
    story.connection.go_on(200.0)
    assert story.connection.deadline == 230.0
    story.connection.on_expired(230.0)
    assert (True, ["write_deadline"]) == (stream.closed, story.owner.reasons)
    assert "end_stream" in story.owner.calls


def test_a_half_closed_follower_is_gone(story: Story) -> None:
    """A quiet stream learns at once that its client has hung up."""
    stream = Stream()
    story.owner.response = Response(200, stream)
    story.says(ASK, 101.0)
    story.client.shutdown(socket.SHUT_WR)
    assert story.connection.interest & select.EPOLLRDHUP
    story.connection.on_event(select.EPOLLRDHUP, 102.0)
    assert (True, ["reset"]) == (stream.closed, story.owner.reasons)


def test_who_must_go_first(story: Story) -> None:
    """Lingering before incomplete before idle before stuck; who is being served stays."""
    rank = story.connection.eviction_rank
    assert rank(101.0) == 1
    story.says(ASK, 101.0)
    assert rank(101.0) == 2
    story.owner.response = Response(200, b"x" * 500_000)
    story.says(ASK, 102.0)
    assert (None, 3) == (rank(102.5), rank(103.0))


def test_a_whole_request_is_complete_from_its_first_byte(story: Story) -> None:
    """Time owed is counted from accept through headers and body, and anew for the next request."""
    story.says(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n", 104.0)
    assert story.connection.since == 100.0
    story.says(b"a", 105.0)
    story.says(b"POST", 110.0)
    assert story.connection.since == 110.0


def test_an_answer_after_the_end_closes_its_stream(story: Story) -> None:
    """A worker that answers too late learns it by its stream."""
    story.owner.response = None
    story.says(ASK, 101.0)
    story.connection.close("reset")
    stream = Stream()
    story.connection.respond(Response(200, stream), 102.0)
    assert (True, []) == (stream.closed, story.owner.statuses)


def test_a_stopping_server_says_close(story: Story) -> None:
    """Once the server stops, an answer ends its connection and says so."""
    story.owner.response = None
    story.says(ASK, 101.0)
    story.owner.stopping = True
    story.connection.wind_down(101.5)
    assert story.phase() is Phase.BUSY
    story.connection.respond(Response(200, b"last"), 102.0)
    assert b"connection: close\r\n" in story.heard().lower()
    assert story.phase() is Phase.CLOSED


def test_winding_down_hears_who_is_just_speaking(story: Story) -> None:
    """A request that has arrived unread is still answered; one half told gets a moment."""
    story.client.send(ASK[:9])
    story.owner.stopping = True
    story.connection.wind_down(101.0)
    assert story.connection.deadline == 101.1
    story.says(ASK[9:], 101.05)
    assert b"fine" in story.heard()
