"""A few words of RESP, the protocol of redis, over a Unix socket: enough for the example, and no library."""

from __future__ import annotations

import os
import socket
import sys
import time


def connect(patience: float = 1.0) -> socket.socket:
    """Return a connection to the redis of REDIS_SOCKET; raises OSError when none was had within `patience` seconds.

    redis counts as started for its dependents as soon as its exec succeeded, and listens a moment later.
    """
    end = time.monotonic() + patience
    while True:
        link = socket.socket(socket.AF_UNIX)
        try:
            link.connect(os.environ["REDIS_SOCKET"])
        except OSError as error:
            link.close()
            if time.monotonic() > end:
                print(f"cannot reach redis: {error.strerror}", file=sys.stderr)
                raise
            time.sleep(0.05)
        else:
            return link


def ask(link: socket.socket, *words: str) -> str:
    """Send one command and return its one-line reply or bulk string; raises OSError on an error reply."""
    parts = [f"*{len(words)}", *(part for word in words for part in (f"${len(word.encode())}", word)), ""]
    link.sendall("\r\n".join(parts).encode())
    with link.makefile("rb") as reply:
        head = reply.readline().decode().rstrip()
        if not head or head.startswith("-"):
            raise OSError(head or "redis closed the connection")
        if head.startswith("$") and head != "$-1":
            return reply.readline().decode().rstrip()
    return head[1:]
