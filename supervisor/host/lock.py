"""One daemon for one state directory: a lock held by descriptor, which tells others who holds it.

The kernel lets go of a flock(2) when its last descriptor closes, however the daemon ends; a pid file would have to be
believed. The file holds one line of JSON for people and for the command line: pid, socket, HTTP address.

The lock is on a file, and others look for it by name. Should the file be removed, or its directory exchanged, another
daemon could start beside this one: `look` notices, says so, and takes the place back where nobody else has it. A
directory that is gone is not made anew, for what removed it may not be done.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
from collections.abc import Mapping
from typing import Any

log = logging.getLogger("respawnd.lock")

_NAME = "respawnd.lock"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


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
        self._facts: Mapping[str, Any] = {"pid": os.getpid()}
        self._trouble: str | None = None
        self._fd = _take(self.path)
        self.tell(self._facts)

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Write who holds it. A full disk costs others this knowledge, never us the lock."""
        self._facts = facts
        text = json.dumps(facts).encode() + b"\n"
        with contextlib.suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, text, 0)

    def look(self) -> None:
        """Hold the file of that name again if it is no longer ours. For one thread; may wait for the disk.

        Logged at error when it is first seen, when another holds it or it cannot be made, and when it is held again.
        """
        if self._in_place():
            return
        if self._trouble is None:
            log.error("The lock file %s was removed or replaced: another respawnd could start here", self.path)
            self._trouble = ""
        try:
            fd = _take(self.path)
        except (Held, OSError) as error:
            words = str(error)
            if words != self._trouble:
                log.error("Cannot hold %s again: %s", self.path, words)  # noqa: TRY400 - an expected refusal
            self._trouble = words
            return
        # By its number, which `tell` and `release` may be using in other threads.
        os.dup2(fd, self._fd, inheritable=False)
        os.close(fd)
        self.tell(self._facts)
        self._trouble = None
        log.error("Holding %s again", self.path)

    def _in_place(self) -> bool:
        """Whether the name leads to the file we hold; a disk that does not say is not taken for a no."""
        try:
            there, ours = os.stat(self.path, follow_symlinks=False), os.fstat(self._fd)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two daemons hold two files of one name."""
        os.ftruncate(self._fd, 0)
        os.close(self._fd)


def _take(path: str) -> int:
    """Open the file and lock it; its descriptor. Raises Held, and OSError if it cannot be made."""
    fd = os.open(path, _FLAGS, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Held(path, read(os.path.dirname(path)) or {}) from None
    except OSError:
        os.close(fd)
        raise
    return fd


def read(state_dir: str) -> dict[str, Any] | None:
    """What the holder of the lock in `state_dir` tells of itself; None without a file, a holder or sense in it."""
    try:
        with open(os.path.join(state_dir, _NAME), "rb") as file:
            facts = json.loads(file.read())
    except (OSError, ValueError):
        return None
    return facts if isinstance(facts, dict) else None
