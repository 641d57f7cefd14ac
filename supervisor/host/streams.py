"""Where a unit's stdout and stderr go: the descriptors that its next life gets for 1 and 2.

A captured stream is a pipe of the output thread, kept from life to life; "null" and "inherit" are one descriptor for
everybody. Asked by the launcher, in any thread; never closed by it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Protocol

from supervisor.core.model import LogPolicy, UnitKey, UnitSpec


class Capture(Protocol):
    """What is asked of the output thread."""

    def open(self, key: UnitKey, stream: str, path: str, policy: LogPolicy, uid: int | None = None) -> int:
        """The pipe of a stream, whose bytes go to `path`; made at the first call."""

    def close(self, key: UnitKey, stream: str) -> None:
        """Capture what is in the pipe, then close it."""


class Streams:
    """The outputs of all units. `directory` is the state directory's log folder; `uid_of` names the owner of a pipe."""

    def __init__(self, capture: Capture, directory: str, uid_of: Callable[[UnitSpec], int | None]) -> None:
        self._capture = capture
        self._directory = directory
        self._uid_of = uid_of
        self._null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self._open: dict[UnitKey, dict[str, tuple[UnitSpec, str, int | None]]] = {}
        self._lock = threading.Lock()

    def __call__(self, key: UnitKey, spec: UnitSpec) -> tuple[int, int]:
        """The descriptors for 1 and 2 of the next life of `key`. Raises OSError (too many open files)."""
        logs = spec.logs
        out = self._target(key, spec, "stdout", logs.stdout, 1)
        err = out if logs.stderr == "stdout" else self._target(key, spec, "stderr", logs.stderr, 2)
        return out, err

    def path(self, key: UnitKey, spec: UnitSpec, stream: str) -> str | None:
        """The file that a stream is captured to, None where it is not."""
        target = spec.logs.stdout if stream == "stdout" else spec.logs.stderr
        if target == "stdout":
            return self.path(key, spec, "stdout")
        if target == "capture":
            return os.path.join(self._directory, key.service, str(key.replica), f"{stream}.log")
        return None if target in ("null", "inherit") else target

    def _target(self, key: UnitKey, spec: UnitSpec, stream: str, target: str, own: int) -> int:
        if target == "null":
            return self._null
        if target == "inherit":
            return own
        with self._lock:
            streams = self._open.setdefault(key, {})
            known = streams.get(stream)
            if known is None or known[0] is not spec:
                known = streams[stream] = (spec, self.path(key, spec, stream) or "", self._uid_of(spec))
            return self._capture.open(key, stream, known[1], spec.logs, known[2])

    def forget(self, key: UnitKey) -> None:
        """The unit is no more."""
        with self._lock:
            for stream in self._open.pop(key, {}):
                self._capture.close(key, stream)
