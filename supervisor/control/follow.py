"""Captured output as a response: the ends of some files, and what comes after them, over rotations.

Rules: one file alone is given byte for byte; several are told apart by headers as tail(1) has them, `==> web stderr
<==`, one wherever the voice changes; as NDJSON each line bears the names. What is read of all of them at first is
bounded together.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from attrs import frozen

from supervisor.control.response import encoded
from supervisor.control.stream import Stream
from supervisor.host.logread import Follower, tail_and_follow

#: Seconds between looks for more. A client that follows a log reads with its eyes; inotify would cost a descriptor a
#: client.
_PAUSE = 0.1
_CHUNK = 64 * 1024
#: Bytes of the first look, all files together, and logs that are shown at once at most: each holds a descriptor.
_FIRST_LOOK = 8 << 20
MOST = 32


@frozen
class Voice:
    """One captured stream of one unit, in the file `path`; `stream` is stdout or stderr."""

    unit: str
    stream: str
    path: str


class Form(Protocol):
    """How output is written."""

    def __call__(self, voice: Voice, data: bytes) -> bytes:
        """What to send for `data` of `voice`."""

    def rest(self, voice: Voice) -> bytes:
        """What is still held back of a voice that says no more."""


class Text:
    """The bytes as they are, behind a header where another voice speaks than last."""

    def __init__(self, last: Voice | None) -> None:
        self._last = last
        self._end = b""

    def __call__(self, voice: Voice, data: bytes) -> bytes:
        """The data, with a header if the voice is another."""
        header = b""
        if voice != self._last:
            header = b"%s==> %s %s <==\n" % (self._end, voice.unit.encode(), voice.stream.encode())
        self._last, self._end = voice, b"\n" if data.endswith(b"\n") else b"\n\n"
        return header + data

    def rest(self, voice: Voice) -> bytes:
        """Nothing is held back."""
        return b""


class Lines:
    """One JSON object a line; what is not UTF-8 is replaced, a line without end is held back up to 64 KiB."""

    def __init__(self) -> None:
        self._held: dict[Voice, bytes] = {}

    def __call__(self, voice: Voice, data: bytes) -> bytes:
        """The lines that are whole."""
        *whole, rest = (self._held.get(voice, b"") + data).split(b"\n")
        if len(rest) > _CHUNK:
            whole, rest = [*whole, rest], b""
        self._held[voice] = rest
        return b"".join(self._line(voice, line) for line in whole)

    def rest(self, voice: Voice) -> bytes:
        """The line without end."""
        held = self._held.pop(voice, b"")
        return self._line(voice, held) if held else b""

    def _line(self, voice: Voice, data: bytes) -> bytes:
        said: dict[str, Any] = {"unit": voice.unit, "stream": voice.stream, "text": data.decode(errors="replace")}
        return encoded(said)


def obstacle(path: str) -> str | None:
    """Why a file cannot be shown, in words; one that does not exist yet is only empty."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        return "no regular file" if error.errno == errno.ENXIO else (error.strerror or str(error)).lower()
    try:
        return None if stat.S_ISREG(os.fstat(descriptor).st_mode) else "no regular file"
    finally:
        os.close(descriptor)


def output(voices: Sequence[Voice], lines: int, *, follow: bool, as_json: bool) -> Callable[[Stream], None]:
    """Give the producer of a stream: the last `lines` lines of each voice, then with `follow` all that they say."""

    def produce(stream: Stream) -> None:
        with contextlib.ExitStack() as stack:
            ends, followers = [], []
            for voice in voices:
                end, follower = tail_and_follow(voice.path, lines, _FIRST_LOOK // len(voices))
                ends.append(end)
                followers.append(stack.enter_context(follower))
            _show(stream, voices, ends, followers if follow else [], as_json=as_json)

    return produce


def _show(
    stream: Stream, voices: Sequence[Voice], ends: list[bytes], followers: list[Follower], *, as_json: bool
) -> None:
    spoken = [voice for voice, end in zip(voices, ends, strict=True) if end]
    alone = spoken or list(voices)
    form: Form = Lines() if as_json else Text(alone[0] if len(alone) == 1 else None)
    for voice, end in zip(voices, ends, strict=True):
        for at in range(0, len(end), _CHUNK):
            stream.write(form(voice, end[at : at + _CHUNK]))
    ends.clear()
    pairs = list(zip(voices, followers, strict=False))
    ending = not pairs
    while not ending:
        ending = stream.wait(0)  # asked before the look, so that what was written until then is still shown
        if not _news(stream, pairs, form) and not ending:
            stream.wait(_PAUSE)
    for voice in voices:
        stream.write(form.rest(voice))


def _news(stream: Stream, pairs: list[tuple[Voice, Follower]], form: Form) -> bool:
    """Pass on what has come since the last look; whether anything had."""
    came = False
    for voice, follower in pairs:
        data = follower.read_available(_CHUNK)
        if data:
            came = True
            stream.write(form(voice, data))
    return came
