"""What the HTTP thread sleeps on: one epoll, and a mailbox that other threads may post to.

Rules: without descriptors and timers it sleeps for ever. A post is done in the next turn, on the thread that turns;
after `close` a post is refused, so that a late answer is dropped by whoever made it.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable

OnEvents = Callable[[int], None]
Call = Callable[[], None]


class Reactor:
    """An epoll with callbacks by descriptor. `post` may be called from any thread, the rest from the one that turns."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._callbacks: dict[int, OnEvents] = {}
        self._calls: deque[Call] = deque()
        self._lock = threading.Lock()
        self._closed = False
        self.add(self._bell, select.EPOLLIN, self._on_bell)

    def add(self, descriptor: int, events: int, callback: OnEvents) -> None:
        """Call `callback` with what happens on `descriptor`."""
        self._epoll.register(descriptor, events)
        self._callbacks[descriptor] = callback

    def change(self, descriptor: int, events: int) -> None:
        """Listen for other events on a known descriptor."""
        self._epoll.modify(descriptor, events)

    def remove(self, descriptor: int) -> None:
        """Forget a descriptor, before it is closed: a child may hold its file a moment longer, until its exec."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def post(self, call: Call) -> bool:
        """Have `call` made in the next turn; False once closed."""
        with self._lock:
            if self._closed:
                return False
            self._calls.append(call)
            os.eventfd_write(self._bell, 1)
        return True

    def wait(self, timeout: float | None) -> list[tuple[int, int]]:
        """Sleep until something happens, at most `timeout` seconds (None: for ever)."""
        return self._epoll.poll(timeout)

    def deliver(self, happened: list[tuple[int, int]]) -> None:
        """Call back for what `wait` returned; what was removed meanwhile is passed over."""
        for descriptor, events in happened:
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback(events)

    def close(self) -> None:
        """Refuse further posts and give the descriptors back."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.close(self._bell)
            self._epoll.close()

    def _on_bell(self, _events: int) -> None:
        os.eventfd_read(self._bell)
        for _ in range(len(self._calls)):
            self._calls.popleft()()
