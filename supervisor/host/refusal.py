"""Why a launch came to nothing: the stage that failed, its errno, and the words for people.

The stages: `user group env_file environment output descriptors forkserver fork oom_score_adj nice limits chdir exec`;
`launcher` is a fault of the daemon itself. Texts name stage, subject and reason ("chdir /srv/app: no such directory");
who logs them puts the service in front.
"""

from __future__ import annotations

import errno
import os

from supervisor.core.state import LaunchError

_REASONS = {
    errno.ENOENT: "no such file",
    errno.ENOEXEC: "neither a program for this machine nor a script that begins with #!",
    errno.E2BIG: "arguments and environment are too long together",
    errno.EAGAIN: "no more processes are allowed (limit of processes)",
    errno.ETXTBSY: "it is open for writing",
}
_CHDIR = {errno.ENOENT: "no such directory", errno.ENOTDIR: "not a directory"}


class Refusal(Exception):
    """A launch that cannot be; carries what LaunchFailed tells of it."""

    def __init__(self, stage: str, number: int, text: str) -> None:
        super().__init__(text)
        self.error = LaunchError(stage, number, text)


def reason(number: int) -> str:
    """An errno in words that fit behind a colon."""
    known = _REASONS.get(number)
    if known is not None:
        return known
    words = os.strerror(number)
    return words[:1].lower() + words[1:]


def refuse(stage: str, number: int, subject: str = "") -> Refusal:
    """The refusal of a system call: `subject` is what it was asked for."""
    words = _CHDIR.get(number) if stage == "chdir" else None
    if stage == "exec" and number == errno.ENOENT:
        words = _missing(subject)
    return Refusal(stage, number, f"{' '.join(filter(None, (stage, subject)))}: {words or reason(number)}")


def _missing(path: str) -> str | None:
    """What the kernel means by ENOENT for a file that is there: the interpreter that it names is not."""
    try:
        with open(path, "rb") as file:
            head = file.read(256)
    except (OSError, ValueError):
        return None
    if head.startswith(b"#!"):
        words = head[2:].partition(b"\n")[0].split()
        return f"its interpreter {os.fsdecode(words[0]) if words else ''} is missing"
    return "its loader is missing (a program for another C library)" if head.startswith(b"\x7fELF") else None
