"""Bytes on their way to one client.

Rules: what is handed in is never copied (a scrape is megabytes), only sliced by view; order is kept; nothing blocks.
"""

from __future__ import annotations

import socket
from collections import deque
from itertools import islice

_AT_ONCE = 16  # buffers a sendmsg(2) is given; far below IOV_MAX


class Outbox:
    """A queue of buffers that a non-blocking socket takes from the front."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: deque[memoryview] = deque()

    def __bool__(self) -> bool:
        return bool(self._parts)

    def add(self, data: bytes) -> None:
        """Queue `data`."""
        if data:
            self._parts.append(memoryview(data))

    def flush(self, sock: socket.socket) -> int:
        """Send until the socket takes no more; bytes sent. OSError when the peer is gone."""
        total = 0
        while self._parts:
            try:
                sent = sock.sendmsg(list(islice(self._parts, _AT_ONCE)), (), socket.MSG_NOSIGNAL)
            except BlockingIOError:
                break
            total += sent
            self._forget(sent)
        return total

    def _forget(self, sent: int) -> None:
        while sent:
            first = self._parts[0]
            if sent < len(first):
                self._parts[0] = first[sent:]
                return
            sent -= len(first)
            self._parts.popleft()
