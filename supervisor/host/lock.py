"""One daemon for one state directory: a lock held by descriptor, which tells others who holds it.

The kernel lets go of a flock(2) when its last descriptor closes, however the daemon ends; a pid file would have to be
believed. The file holds one line of JSON for people and for the command line: pid, socket, HTTP address.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Mapping
from typing import Any

_NAME = "respawnd.lock"


class Held(Exception):
    """Another daemon holds the lock; `holder` is what it wrote about itself."""

    def __init__(self, path: str, holder: Mapping[str, Any]) -> None:
        super().__init__(
            f"another respawnd runs on this state directory: {path} is held by pid {holder.get('pid', '?')}"
        )
        self.holder = holder


class Lock:
    """The lock of `state_dir`, held from construction to `release`. Raises Held, and OSError if it cannot be made."""

    def __init__(self, state_dir: str) -> None:
        self.path = os.path.join(state_dir, _NAME)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise Held(self.path, read(state_dir) or {}) from None
        self.tell({"pid": os.getpid()})

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Write who holds it. A full disk costs others this knowledge, never us the lock."""
        text = json.dumps(facts).encode() + b"\n"
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two daemons hold two files of one name."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def read(state_dir: str) -> dict[str, Any] | None:
    """What the holder of the lock in `state_dir` tells of itself; None without a file, a holder or sense in it."""
    try:
        with open(os.path.join(state_dir, _NAME), "rb") as file:
            facts = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
