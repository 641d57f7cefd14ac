"""A small HTTP/1.1 server: one I/O thread, an acceptor of ours, h11 for the protocol, a few workers for what blocks.

Rules: slow clients cannot hold it (every wait for a client has a deadline, and a full house drops the oldest that
owes something); a handler that raises costs its own request; the thread is awake only while something happens.
Listening sockets are handed in and stay open when the server stops, so a successor in this process answers whoever
knocked meanwhile. Quick handlers run on the I/O thread and must not block; `blocking` ones run on a worker and may.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from supervisor.control.engine import Admit, Engine
from supervisor.control.limits import Limits
from supervisor.control.tally import RequestKey, Tally
from supervisor.host.pulse import Pulses
from supervisor.host.thread import attend

if TYPE_CHECKING:
    from supervisor.control.listen import Listener
    from supervisor.control.router import Router


@frozen
class ServerStats:
    """A snapshot. Counters run on over a stop and a start."""

    connections: int  # open
    accepted: int
    requests: Mapping[RequestKey, int]  # by (name of the route, method, status); see Tally
    dropped: Mapping[str, int]  # by reason; see tally.REASONS
    streams: int
    workers: int  # threads alive
    queue_depth: int
    queue_capacity: int
    queue_refused: int  # requests that found the queue full
    connections_fullest: int  # open, of the kind (TCP, Unix) that has most
    connections_capacity: int  # of each kind
    busy_since: float | None  # monotonic seconds at which the turn under way began; None while it sleeps


class Server:
    """HTTP on `listeners`. `admit` sees each request, on the I/O thread, before its body is read, and may refuse it."""

    def __init__(
        self,
        router: Router,
        listeners: Iterable[Listener],
        *,
        limits: Limits | None = None,
        admit: Admit | None = None,
        name: str = "respawnd-http",
        pulses: Pulses | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._router = router
        self._listeners = tuple(listeners)
        self._admit = admit
        self._name = name
        self._pulses = pulses or Pulses()
        self._tally = Tally()
        self._refused = 0  # by the engines of earlier starts
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether the I/O thread lives."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Begin to answer; again, after a stop. RuntimeError if it runs already, or if no two threads can be had.

        One worker is started with it: once the services run there may be no thread left to get (RLIMIT_NPROC).
        """
        if self.alive:
            raise RuntimeError("cannot start the HTTP server: it runs already")
        engine = Engine(self._name, self._router, self._listeners, self.limits, self._admit, self._tally, self._pulses)
        life = (self._name, engine.run, self._pulses)
        thread = threading.Thread(target=attend, args=life, name=self._name, daemon=True)
        try:
            engine.pool.begin()
            thread.start()
        except RuntimeError:
            engine.abandon()
            raise
        self._refused += self._engine.pool.refused if self._engine else 0
        self._engine, self._thread = engine, thread

    def begin_stop(self, timeout: float = 2.0, then: Callable[[], None] | None = None) -> None:
        """Stop accepting, let what is in flight finish for at most `timeout` seconds, close the rest. Returns at once.

        `then` is the last act of the I/O thread, or of this call if it has ended. For a caller whom handlers wait for.
        """
        engine = self._engine
        if (engine is None or not engine.begin_stop(timeout, then)) and then is not None:
            then()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the I/O thread to end; False if it has not after `timeout` seconds."""
        if self._thread is not None:
            self._thread.join(timeout)
        return not self.alive

    def stop(self, timeout: float = 2.0) -> bool:
        """`begin_stop`, then `join` with a second to spare; False if the thread outlasts that."""
        self.begin_stop(timeout)
        return self.join(timeout + 1.0)

    def stats(self) -> ServerStats:
        """Copy the figures; from any thread."""
        engine = self._engine
        return ServerStats(
            connections=len(engine.connections) if engine else 0,
            accepted=self._tally.accepted,
            requests=dict(self._tally.requests),
            dropped=dict(self._tally.dropped),
            streams=len(engine.crew) if engine else 0,
            workers=engine.pool.threads if engine else 0,
            queue_depth=engine.pool.depth if engine else 0,
            queue_capacity=self.limits.queue,
            queue_refused=self._refused + (engine.pool.refused if engine else 0),
            connections_fullest=engine.fullest() if engine else 0,
            connections_capacity=self.limits.connections,
            busy_since=engine.busy_since if engine else None,
        )
