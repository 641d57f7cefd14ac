"""Reading captured output back, across rotation: the last lines of a log, and what comes after them.

Rules: nothing is asked of the writer, which may be another process. No byte is skipped while the file that has it
exists: the follower keeps the file it is in open, finishes it, and goes on with those that came after it, compressed
or not. It never waits; how to wait for more is the caller's affair.
"""

from __future__ import annotations

import os
from collections import deque
from typing import TYPE_CHECKING

from supervisor.host.logchain import Entry, Packed, Plain, close_chain, identify, newest, open_chain

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

_BLOCK = 1 << 16  # bytes read in one piece
_PUZZLED = 20  # calls in a row after which a number that is missing is believed to be missing for good


class Follower:
    """Gives what is written to the log at path from a place on, whatever is rotated meanwhile.

    offset is in bytes of the current file, None for its end; past its end means that it was truncated. A log that does
    not exist yet is read from its first byte once it does. Use it as a context manager, or `close` it. Not for two
    threads. Raises OSError where a file cannot be read. start is a file to begin in that is open already; it is then
    ours to close.
    """

    def __init__(self, path: str, offset: int | None = None, *, start: Entry | None = None) -> None:
        self._path = path
        self._sources: deque[Plain | Packed] = deque()
        self._last: Plain | None = None
        self._known: Entry | None = None
        self._puzzled = 0
        self._stand(start or newest(path), offset)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def read_available(self, limit: int = 1 << 20) -> bytes:
        """Return what has come since the last call, at most limit bytes; empty if nothing has. Never waits."""
        parts: list[bytes] = []
        left = limit
        while left > 0:
            data = self._sources[0].read(left) if self._sources else b""
            if data:
                parts.append(data)
                left -= len(data)
            elif len(self._sources) > 1:
                self._sources.popleft().close()
            elif not self._advance():
                break
        return b"".join(parts)

    def close(self) -> None:
        """Close what is open; nothing can be read after that."""
        while self._sources:
            self._sources.popleft().close()
        self._last = None
        self._path = ""

    def _stand(self, entry: Entry | None, offset: int | None) -> None:
        """Begin in the current file, or at the end of the last rotated one, or with the first file there will be."""
        if entry is not None and entry.packed:
            self._known = entry
            os.close(entry.fd)
        elif entry is not None:
            end = os.fstat(entry.fd).st_size
            self._enter(Plain(entry.fd, end if offset is None or entry.number else offset))

    def _enter(self, current: Plain) -> None:
        self._last = current
        self._sources.append(current)

    def _advance(self) -> bool:
        """At the end of the last file: take up what came after it, or its new start. False if there is nothing."""
        inode = _inode(self._path)
        if inode is None:
            return False
        known = self._known
        if self._last is not None:
            known = Entry(self._last.fd, 0, packed=False, identity=identify(self._last.fd))
            if known.identity.inode == inode:
                return self._last.cut()
        self._puzzled += 1
        return self._take_up(open_chain(self._path, known, whole=self._puzzled < _PUZZLED))

    def _take_up(self, entries: list[Entry]) -> bool:
        if not entries or entries[0].number:  # the current one went away meanwhile
            close_chain(entries)
            return False
        self._sources.extend(entry.source() for entry in reversed(entries[1:]))
        self._enter(Plain(entries[0].fd, 0))
        self._puzzled = 0
        return True


def tail(path: str, lines: int, max_bytes: int = 8 << 20) -> bytes:
    """Return the last lines of the log at path, reaching into rotated files; empty if there is no log.

    At most max_bytes. An unfinished last line counts as one. Raises OSError where a file cannot be read.
    """
    data, follower = tail_and_follow(path, lines, max_bytes)
    follower.close()
    return data


def tail_and_follow(path: str, lines: int, max_bytes: int = 8 << 20) -> tuple[bytes, Follower]:
    """`tail`, and a follower that goes on with the very next byte. OSError as in tail."""
    entries = open_chain(path)
    try:
        end = os.fstat(entries[0].fd).st_size if entries else 0
        data = _last_lines(entries, end, lines, max_bytes)
        start = entries.pop(0) if entries else None
    finally:
        close_chain(entries)
    return data, Follower(path, end, start=start)


def _last_lines(entries: list[Entry], end: int, lines: int, room: int) -> bytes:
    """The last lines of all entries together, newest first, of which the first is read up to its byte end."""
    data = b""
    for entry in entries:
        if data.count(b"\n") > lines or len(data) >= room:
            break
        if entry.packed:
            older = _end_of_packed(entry.fd, lines, room - len(data))
        else:
            size = end if entry is entries[0] else os.fstat(entry.fd).st_size
            older = _end_of_plain(entry.fd, size, lines, room - len(data))
        data = older + data
    ended = data.endswith(b"\n")
    wanted = data.removesuffix(b"\n").split(b"\n")[-lines:] if lines > 0 and data else []
    return b"\n".join(wanted) + (b"\n" if wanted and ended else b"")


def _end_of_plain(fd: int, end: int, lines: int, room: int) -> bytes:
    """Read back from end until there are more line ends than lines, or room bytes."""
    blocks: deque[bytes] = deque()
    found, floor = 0, max(0, end - room)
    while end > floor and found <= lines:
        start = max(floor, end - _BLOCK)
        blocks.appendleft(os.pread(fd, end - start, start))
        found += blocks[0].count(b"\n")
        end = start
    return b"".join(blocks)


def _end_of_packed(fd: int, lines: int, room: int) -> bytes:
    """Unpack all of it and keep the end: more than lines line ends, or room bytes. Leaves fd open."""
    blocks: deque[bytes] = deque()
    size = found = 0
    source = Packed(fd)
    while block := source.read(_BLOCK):
        blocks.append(block)
        size += len(block)
        found += block.count(b"\n")
        while size - len(blocks[0]) >= room or found - blocks[0].count(b"\n") > lines:
            oldest = blocks.popleft()
            size -= len(oldest)
            found -= oldest.count(b"\n")
    return b"".join(blocks)[-room:]


def _inode(path: str) -> int | None:
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return None
