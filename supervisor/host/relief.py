"""When a disk hangs, and the output thread in it: other children's pipes are emptied into nothing, so that none blocks.

Rules: a second thread, started only then and ended once the first is back. It takes from a pipe only past half its
capacity: a short hang costs no line. It never touches the stream whose write hangs, for the kernel holds that pipe's
lock: that one child may block until the disk answers. What it drops is counted like all else that is dropped.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from supervisor.host import pipes
from supervisor.host.thread import settle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from supervisor.host.capture import Capture

log = logging.getLogger("respawnd.output")

_PERIOD = 0.1  # seconds: a pipe of 1 MiB is half full again after that at 5 MB/s


class Relief:
    """Empties what in_danger gives, again and again while hanging says so. Raises OSError without descriptors.

    hanging tells the seconds that the output thread has been at one stream; in_danger gives all other streams.
    """

    def __init__(self, hanging: Callable[[], float], in_danger: Callable[[], Iterable[Capture]]) -> None:
        self._hanging, self._in_danger = hanging, in_danger
        self._scratch = pipes.Scratch()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="respawnd-relief", daemon=True)

    def start(self) -> None:
        """Begin; it ends by itself."""
        self._thread.start()

    def running(self) -> bool:
        """Whether it still has something to do."""
        return self._thread.is_alive()

    def stop(self, timeout: float) -> bool:
        """End within timeout seconds; False if it did not."""
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        settle("respawnd-relief")
        try:
            self._relieve()
        except Exception:  # the next turn of the loop starts another one
            log.exception("Cannot drop output while a log file does not take it")
        finally:
            self._scratch.close()

    def _relieve(self) -> None:
        seconds = self._hanging()
        log.warning("Dropping output of all services while a log file does not take it: %.0f s so far", seconds)
        while (now := self._hanging()) >= seconds and not self._stopping.wait(_PERIOD):
            seconds = now
            for capture in self._in_danger():
                capture.relieve(self._scratch)
        log.warning("Capturing output again: a log file did not take it for %.0f s", seconds)
