"""HTTP/1.1 as one connection speaks it: h11 between what was received and what is to be sent.

Rules: framing is decided here alone (length, chunks, close, date), whatever a handler says of it. The cap on headers
holds to the byte: h11 looks at its own only when headers are incomplete, so no more is read of a head than would make
it refuse.
"""

from __future__ import annotations

import time
from enum import Enum

import h11

from supervisor.control.outbox import Outbox
from supervisor.control.response import REASONS, Response, http_date
from supervisor.control.stream import Stream

CHUNK = 64 * 1024
_FRAMING = frozenset({"content-length", "transfer-encoding", "date"})
_BODILESS = frozenset({204, 304})


class After(Enum):
    """What follows a whole answer."""

    NEXT = "next"  # another request may come
    CLOSE = "close"
    LINGER = "linger"  # part of the request was not read: see connection.py


class Wire:
    """The protocol state of one connection, and the bytes waiting to leave it."""

    def __init__(self, head_limit: int) -> None:
        self.outbox = Outbox()
        self.method = ""  # of the request at hand
        self._h11 = h11.Connection(h11.SERVER, head_limit)
        self._head_limit = head_limit
        self._head_bytes = 0

    @property
    def head_room(self) -> int:
        """Bytes of a head that may be read next: up to its cap, and the one byte too many that h11 refuses."""
        return max(1, min(CHUNK, self._head_limit + 1 - self._head_bytes))

    @property
    def left(self) -> bool:
        """Whether the client has said all it will ever say."""
        return self._h11.trailing_data[1]

    @property
    def awaits_continue(self) -> bool:
        """Whether the client holds its body back until it is told to go on."""
        return self._h11.they_are_waiting_for_100_continue

    def receive(self, data: bytes) -> None:
        """Take what was read; empty is the end of it."""
        self._head_bytes += len(data)
        self._h11.receive_data(data)

    def next_event(self) -> h11.Event | type[h11.NEED_DATA | h11.PAUSED]:
        """Parse on. h11.RemoteProtocolError for what is not HTTP, with the status to refuse it with."""
        event = self._h11.next_event()
        if type(event) is h11.Request:
            self.method = event.method.decode("ascii")
        return event

    def go_ahead(self) -> None:
        """Answer `Expect: 100-continue`."""
        self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))

    def head(self, response: Response, *, close: bool) -> h11.Response:
        """Build the head of an answer. h11.LocalProtocolError or UnicodeError for headers no HTTP can carry."""
        whole = response.body if isinstance(response.body, bytes) else None
        headers = [
            (n.encode("ascii"), v.encode("latin-1")) for n, v in response.headers if _ours_to_say(n, whole is not None)
        ]
        if whole is not None and response.status not in _BODILESS:
            headers.append((b"content-length", b"%d" % len(whole)))
        headers.append((b"date", http_date(time.time())))
        if close:
            headers.append((b"connection", b"close"))
        reason = REASONS.get(response.status, "").encode("ascii")
        return h11.Response(status_code=response.status, headers=headers, reason=reason)

    def bears_body(self, status: int) -> bool:
        """Whether an answer with `status` to the request at hand has a body at all."""
        return self.method != "HEAD" and status not in _BODILESS

    def begin(self, head: h11.Response) -> None:
        """Send the head of the answer."""
        self._send(head)

    def data(self, data: bytes) -> None:
        """Send some of the body, framed. h11.LocalProtocolError when it is more than was announced."""
        self._send(h11.Data(data=data))

    def end(self) -> None:
        """End the answer. h11.LocalProtocolError when the body is less than was announced."""
        self._send(h11.EndOfMessage())

    def turn(self, *, stopping: bool) -> After:
        """Decide what comes after a whole answer, and make ready for the next request if there may be one."""
        if self._h11.their_state not in {h11.DONE, h11.MUST_CLOSE, h11.CLOSED}:
            return After.LINGER
        if stopping or self._h11.our_state is not h11.DONE or self._h11.their_state is not h11.DONE:
            return After.CLOSE
        self._h11.start_next_cycle()
        self._head_bytes = len(self._h11.trailing_data[0])
        return After.NEXT

    @property
    def pipelined(self) -> bool:
        """Whether some of a further request has been read already."""
        return self._head_bytes > 0

    def _send(self, event: h11.Event) -> None:
        for part in self._h11.send_with_data_passthrough(event) or ():
            self.outbox.add(part)


def _ours_to_say(name: str, whole: bool) -> bool:
    """A stream may announce its length; a whole body has the one we count."""
    lowered = name.lower()
    return lowered not in _FRAMING or (lowered == "content-length" and not whole)


def discard(response: Response) -> None:
    """Tell a stream that nobody will read it."""
    if isinstance(response.body, Stream):
        response.body.close()
