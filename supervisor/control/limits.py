"""What one client may cost: every deadline, cap and size of the HTTP server as one value, which tests can shrink.

Rules: seconds and bytes; all of them are positive. What the defaults have to see to: no slow client can hold the
server, for bodies are bounded, headers due in 5 s, and connections capped with the oldest incomplete dropped first.
"""

from __future__ import annotations

from attrs import asdict, frozen

KIB = 1024
MIB = 1024 * KIB


@frozen(kw_only=True)
class Limits:
    """Deadlines in seconds, sizes in bytes, the rest are counts."""

    head_s: float = 5.0  # first byte to end of headers; accept to first byte
    body_s: float = 30.0  # end of headers to end of body
    idle_s: float = 60.0  # between requests of one connection
    write_s: float = 30.0  # a reader that takes nothing
    linger_s: float = 2.0  # reading on after a refusal, so that it is not lost in a reset
    stalled_s: float = 1.0  # a blocked reader may be evicted after this
    accept_pause_s: float = 1.0  # when descriptors have run out
    hurry_s: float = 0.1  # what an unfinished head gets once the server stops
    worker_idle_s: float = 60.0

    head_bytes: int = 64 * KIB
    body_bytes: int = MIB  # a route may have its own
    linger_bytes: int = 16 * MIB

    connections: int = 256  # of each kind: a flood on TCP leaves the Unix socket alone
    streams: int = 32
    workers: int = 4
    queue: int = 64  # blocking requests that wait for a worker

    def __attrs_post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value <= 0:
                raise ValueError(f"{name} must be positive, not {value}")
