"""What the HTTP server counts about itself.

Rules: written by the I/O thread alone, read by any through `copied`: copying a dict is one step under the interpreter
lock. Labels come from closed sets (names of routes, known methods, our own reasons), so that no client can make a
series.
"""

from __future__ import annotations

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

RequestKey = tuple[str, str, int]  # name of the route, method, status

REASONS = {
    "head_deadline": "headers took too long",
    "body_deadline": "the body took too long",
    "write_deadline": "the client took nothing for too long",
    "evicted": "room was needed, and it was the oldest that owed something",
    "full": "there was no room, and nobody who owed anything",
    "reset": "the client left in the middle",
    "cut": "the producer of a stream failed",
    "error": "our own fault; the log tells",
    "stop": "the server stopped before it was done",
}


class Tally:
    """Counters since the daemon began; they run on over a stop and a start."""

    def __init__(self) -> None:
        self.accepted = 0
        self.requests: dict[RequestKey, int] = {}
        self.dropped = dict.fromkeys(REASONS, 0)

    def answered(self, route: str, method: str, status: int) -> None:
        """Count one answer."""
        key = (route, method if method in _METHODS else "other", status)
        self.requests[key] = self.requests.get(key, 0) + 1

    def dropped_for(self, reason: str) -> None:
        """Count a connection that ended for a reason; an empty one is a normal end."""
        if reason:
            self.dropped[reason] += 1
