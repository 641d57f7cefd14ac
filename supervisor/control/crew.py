"""The streams that are open, and the threads of their producers.

Rules: one cap counts both, and a place is free again only when the client is gone *and* the producer has returned, so
a producer that is slow to notice can not pile up threads. Closing a stream is what ends its producer; nothing is
killed.
"""

from __future__ import annotations

import logging
import threading
import time

from supervisor.control.stream import Stream, StreamClosedError

log = logging.getLogger("respawnd.http")


class _Place:
    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.thread: threading.Thread | None = None
        self.wanted = True  # by its client


class Crew:
    """At most `cap` streams; producers run on threads named `name`-stream-1 and up."""

    def __init__(self, name: str, cap: int) -> None:
        self._name = name
        self._cap = cap
        self._lock = threading.Lock()
        self._places: dict[int, _Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def open(self, stream: Stream) -> bool:
        """Give a stream a place and start its producer; False when there is none to give."""
        with self._lock:
            if len(self._places) >= self._cap:
                return False
            number = next(n for n in range(1, self._cap + 1) if n not in self._places)
            place = self._places[number] = _Place(stream)
        return stream.producer is None or self._start(number, place)

    def release(self, stream: Stream) -> None:
        """Note that its client has no more use for `stream`."""
        with self._lock:
            for number, place in list(self._places.items()):
                if place.stream is stream:
                    place.wanted = False
                    if place.thread is None:
                        del self._places[number]

    def close(self, timeout: float) -> list[str]:
        """Cut what is still open; names of the threads that outlast `timeout` seconds."""
        with self._lock:
            places = list(self._places.values())
        for place in places:
            place.stream.close()
            self.release(place.stream)
        threads = [place.thread for place in places if place.thread is not None]
        until = time.monotonic() + timeout
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))
        return [thread.name for thread in threads if thread.is_alive()]

    def _start(self, number: int, place: _Place) -> bool:
        # Not among the pulses: it lives as long as its stream, and mostly waits for what it follows.
        name = f"{self._name}-stream-{number}"
        place.thread = threading.Thread(target=self._produce, args=(number, place), name=name, daemon=True)
        try:
            place.thread.start()
        except RuntimeError as error:  # "can't start new thread": a limit of processes or memory
            log.warning("Cannot start %s: %s", name, error)
            with self._lock:
                del self._places[number]
            return False
        return True

    def _produce(self, number: int, place: _Place) -> None:
        stream = place.stream
        assert stream.producer is not None
        try:
            stream.producer(stream)
            stream.end()
        except StreamClosedError:
            log.debug("respawnd-http stream %d: its client went away", number)
        except BaseException:  # SystemExit too: the place must be free again
            log.exception("Cannot go on with stream %d", number)
            stream.close()
        with self._lock:
            place.thread = None
            if not place.wanted:
                del self._places[number]
