"""The phases of a connection, as data: what each waits for, until when, and what its expiry is called.

    FRESH ─► HEAD ─► BODY ─► BUSY ─► WRITING ─► IDLE ─► HEAD …      a keep-alive connection
                       │       └───► STREAMING ─► WRITING           a body that is still being made
                       └─ refused ─► WRITING ─► LINGER              what is left of the request is read and dropped

Rules: each phase has at most one deadline. A refusal that leaves a request unread lingers: closing at once would send
a reset, and the client would lose the answer (RFC 9112, 9.6). When a new client finds the house full, the oldest of
those who owe us something goes: first who lingers, then who has not told its request, then who is idle, last who
takes nothing.
"""

from __future__ import annotations

import select
from enum import StrEnum
from typing import NamedTuple


class Phase(StrEnum):
    """What a connection is doing."""

    FRESH = "fresh"
    HEAD = "head"
    BODY = "body"
    BUSY = "busy"
    WRITING = "writing"
    STREAMING = "streaming"
    IDLE = "idle"
    LINGER = "linger"
    CLOSED = "closed"


class Wait(NamedTuple):
    """Events listened to, the limit that sets the deadline, the reason counted when it passes (empty: a normal end)."""

    interest: int
    limit: str = ""
    reason: str = ""


WAITS = {
    Phase.FRESH: Wait(select.EPOLLIN, "head_s", "head_deadline"),
    Phase.HEAD: Wait(select.EPOLLIN, "head_s", "head_deadline"),
    Phase.BODY: Wait(select.EPOLLIN, "body_s", "body_deadline"),
    Phase.BUSY: Wait(0),
    Phase.WRITING: Wait(0, "write_s", "write_deadline"),
    Phase.STREAMING: Wait(select.EPOLLRDHUP, "", "write_deadline"),  # half-closed counts as gone: who follows, listens
    Phase.IDLE: Wait(select.EPOLLIN, "idle_s"),
    Phase.LINGER: Wait(select.EPOLLIN, "linger_s"),
    Phase.CLOSED: Wait(0),
}

INCOMPLETE = frozenset({Phase.FRESH, Phase.HEAD, Phase.BODY})  # one wait of the client's telling: `since` runs through
PARSING = INCOMPLETE | {Phase.IDLE}
READING = PARSING | {Phase.LINGER}

_RANKS = {Phase.LINGER: 0, Phase.FRESH: 1, Phase.HEAD: 1, Phase.BODY: 1, Phase.IDLE: 2}


def eviction_rank(phase: Phase, *, blocked_s: float, stalled_s: float) -> int | None:
    """How soon a connection goes when room is needed, 0 first; None for one that is being served.

    `blocked_s` is how long its client has taken nothing of what is there for it, 0 if it takes.
    """
    if phase in {Phase.WRITING, Phase.STREAMING}:
        return 3 if blocked_s >= stalled_s else None
    return _RANKS.get(phase)
