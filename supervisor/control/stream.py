"""A response body that is still being written: a bounded buffer between whoever writes and the I/O thread.

Two ways to feed one. A *producer* (a function given to the constructor) runs on a thread of its own and calls
`write`, which blocks while the client is slow. Without a producer any thread may `offer`, which never blocks and
refuses what has no room.

Rules: whoever writes learns of the end: `closed` means the client is gone (`write` raises), `finishing` means that
the server stops and asks for an end soon. `wait` sleeps until either, so a producer that follows something never
polls for them. A body that was cut short is never ended as if it were whole: only `end` (or a producer that returns)
sends the last chunk.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

BUFFER_BYTES = 256 * 1024


class StreamClosedError(Exception):
    """The client is gone, or the server has given up waiting: nothing more can be written."""


class Stream:
    """A body in the making. `limit` bounds, in bytes, what waits for the client."""

    def __init__(self, producer: Callable[[Stream], None] | None = None, *, limit: int = BUFFER_BYTES) -> None:
        self.producer = producer
        self._limit = limit
        self._changed = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = self._closed = self._finishing = False
        self._notify: Callable[[], None] | None = None
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def of(cls, chunks: Iterable[bytes], *, limit: int = BUFFER_BYTES) -> Stream:
        """Build a stream of what an iterable yields, drawn on a thread of its own as fast as the client takes it."""

        def produce(stream: Stream) -> None:
            for chunk in chunks:
                stream.write(chunk)

        return cls(produce, limit=limit)

    @property
    def closed(self) -> bool:
        """Whether nothing more can reach the client."""
        return self._closed

    @property
    def finishing(self) -> bool:
        """Whether the server stops and wants the body ended soon."""
        return self._finishing

    def write(self, data: bytes) -> None:
        """Hand over `data`; blocks while the buffer is full. StreamClosedError once the client is gone.

        The wait has no deadline of its own: the write deadline of the connection closes the stream of a stuck reader.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._has_room(data))
            if self._closed or self._ended:
                raise StreamClosedError("cannot write: the stream is closed")
            self._append(data)
        self._tell()

    def offer(self, data: bytes) -> bool:
        """Hand over `data` without ever blocking; False when there was no room or nobody to read it."""
        with self._changed:
            if self._closed or self._ended or not self._has_room(data):
                return False
            self._append(data)
        self._tell()
        return True

    def end(self) -> None:
        """Nothing follows: what is buffered is delivered, and the body ended properly."""
        with self._changed:
            self._ended = True
        self._tell()

    def wait(self, timeout: float | None = None) -> bool:
        """Sleep until the stream should end, at most `timeout` seconds; True if it should."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or self._finishing, timeout)

    def on_end(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, from any thread, when the stream should end, or now if it should. It must not block."""
        with self._changed:
            if not (self._closed or self._finishing):
                self._listeners.append(callback)
                return
        callback()

    # What follows is for the connection.

    def attach(self, notify: Callable[[], None]) -> None:
        """Let `notify` be called, from any thread, when there is something to take."""
        with self._changed:
            self._notify = notify
        self._tell()

    def take(self, most: int) -> bytes:
        """Up to about `most` bytes of what waits; whole chunks, at least one. Empty when nothing waits."""
        taken: list[bytes] = []
        with self._changed:
            while self._chunks and (not taken or most > 0):
                taken.append(self._chunks.popleft())
                self._size -= len(taken[-1])
                most -= len(taken[-1])
            self._changed.notify_all()
        return b"".join(taken)

    @property
    def exhausted(self) -> bool:
        """Whether the body was ended and all of it has been taken."""
        with self._changed:
            return self._ended and not self._chunks

    def finish(self) -> None:
        """Ask for an end soon: the server stops. A stream without a producer ends here."""
        with self._changed:
            self._finishing = True
            self._ended = self._ended or self.producer is None
            self._changed.notify_all()
        self._wake_listeners()
        self._tell()

    def close(self) -> None:
        """Cut the stream: the client is gone, the producer failed, or time is up. What waits is dropped."""
        with self._changed:
            self._closed = True
            self._chunks.clear()
            self._size = 0
            self._changed.notify_all()
        self._wake_listeners()
        self._tell()

    def _has_room(self, data: bytes) -> bool:
        return self._size == 0 or self._size + len(data) <= self._limit

    def _append(self, data: bytes) -> None:
        if data:
            self._chunks.append(data)
            self._size += len(data)

    def _tell(self) -> None:
        notify = self._notify
        if notify is not None:
            notify()

    def _wake_listeners(self) -> None:
        with self._changed:
            listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener()
