"""How other threads speak to the loop: a queue and an eventfd that wakes it. Posting never blocks."""

from __future__ import annotations

import os
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Many writers, one reader. `fd` is readable while there is something to take."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._items: deque[T] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def post(self, item: T) -> None:
        """Add `item` and wake the reader. From any thread; after `close` the item goes nowhere."""
        self._items.append(item)
        if self.fd >= 0:
            os.eventfd_write(self.fd, 1)

    def take(self) -> list[T]:
        """All that is there, in the order of posting; resets `fd`. Only for the reader."""
        try:
            os.eventfd_read(self.fd)
        except BlockingIOError:
            return []
        # As many as were there when it was read: what comes meanwhile has its own wake-up.
        return [self._items.popleft() for _ in range(len(self._items))]

    def close(self) -> None:
        """Close the eventfd; for the end of the program, after the writers have been joined."""
        fd, self.fd = self.fd, -1
        os.close(fd)
