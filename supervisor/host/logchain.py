"""The files of one log as a reader finds them: the current and the rotated ones, while rotation may be moving them.

Rules: files are only read, and whoever opened them closes them. A set of files is given only if it hangs together: no
number missing in the middle, none met twice, the current one still current when the last was opened. A file is known by
inode, time and size; a compressed one tells those of its original, so that who was reading the original finds it again.
"""

from __future__ import annotations

import os
import struct

from attrs import frozen

_MOST = 10_000  # rotated files looked for: more than any keep in use
_TRIES = 20  # looks at names that rotation is moving; it takes well under a millisecond
_BLOCK = 1 << 16  # bytes read of a compressed file in one piece
_GZIP = b"\x1f\x8b\x08\x10"  # RFC 1952: magic, deflate, a comment follows the ten bytes of the header
_GZIP_END = 8  # bytes: checksum, then the length of the original modulo 2**32
_COMMENT = "inode {} of its time and size"


@frozen
class Identity:
    """What a file is known by once it is no longer written: inode, modification time in ns, bytes modulo 2**32."""

    inode: int
    mtime_ns: int
    size: int


@frozen
class Entry:
    """One file of a log, open at descriptor fd; number 0 is the current one; packed if it is compressed."""

    fd: int
    number: int
    packed: bool
    identity: Identity

    def source(self) -> Plain | Packed:
        """Read it from its start; the descriptor is the source's from then on."""
        return Packed(self.fd) if self.packed else Plain(self.fd, 0)


class Plain:
    """A file as it is, read from offset on."""

    def __init__(self, fd: int, offset: int) -> None:
        self.fd = fd
        self.offset = offset

    def read(self, limit: int) -> bytes:
        """At most limit bytes from where we are; empty at the end, for now."""
        data = os.pread(self.fd, limit, self.offset)
        self.offset += len(data)
        return data

    def cut(self) -> bool:
        """Whether the file was truncated; it is then read from its start."""
        if os.fstat(self.fd).st_size >= self.offset:
            return False
        self.offset = 0
        return True

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)


class Packed:
    """A gzip file, unpacked as it is read."""

    def __init__(self, fd: int) -> None:
        import zlib  # noqa: PLC0415 -- only who reads back beyond a rotation needs it

        self._file = Plain(fd, 0)
        self._damage = zlib.error
        self._packer = zlib.decompressobj(31)

    def read(self, limit: int) -> bytes:
        """At most limit bytes of the original; empty at its end, or where the file is damaged."""
        while not self._packer.eof:
            packed = self._packer.unconsumed_tail or self._file.read(_BLOCK)
            try:
                data = self._packer.decompress(packed, limit)
            except self._damage:
                return b""
            if data or not packed:
                return data
        return b""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def identify(fd: int) -> Identity:
    """Of a plain file. It holds for good once the file is rotated."""
    status = os.fstat(fd)
    return Identity(status.st_ino, status.st_mtime_ns, status.st_size & 0xFFFFFFFF)


def header(fd: int) -> bytes:
    """The gzip header for the compressed form of the plain file at fd, telling its inode in the comment (RFC 1952)."""
    status = os.fstat(fd)
    fixed = struct.pack("<4sLBB", _GZIP, int(status.st_mtime) & 0xFFFFFFFF, 0, 3)
    return fixed + _COMMENT.format(status.st_ino).encode() + b"\0"


def trailer(checksum: int, size: int) -> bytes:
    """The gzip trailer: CRC-32 and length of the original."""
    return struct.pack("<LL", checksum, size & 0xFFFFFFFF)


def open_chain(path: str, known: Entry | None = None, *, whole: bool = False) -> list[Entry]:
    """Open the log at path, newest file first, down to the one that is known (left out) or to the oldest.

    If they do not hang together at the last try, because rotation goes on or a number is missing for good, what was
    found then, each file once; nothing if they are wanted whole. Raises OSError where a file cannot be opened (EACCES,
    EMFILE).
    """
    entries: list[Entry] = []
    try:
        for _ in range(_TRIES):
            close_chain(entries)
            if _collect(path, known, entries):
                return entries
    except BaseException:
        close_chain(entries)
        raise
    if whole:
        close_chain(entries)
    return entries


def close_chain(entries: list[Entry]) -> None:
    """Close and forget all of them."""
    while entries:
        os.close(entries.pop().fd)


def newest(path: str) -> Entry | None:
    """Open the current file, or the last rotated one where there is no current one; None if there is neither."""
    return _enter(path, 0) or _enter(path, 1)


def _collect(path: str, known: Entry | None, entries: list[Entry]) -> bool:
    """Fill entries; False if they do not hang together."""
    whole = True
    met: set[Identity | int] = set()
    for number in range(_MOST):
        entry = _enter(path, number)
        if entry is None and number:
            return whole and not _there(path, number + 1) and _is_current(path, entries)
        if entry is None:
            whole = False
        elif known is not None and _names(known) & _names(entry):
            os.close(entry.fd)
            break
        elif met.isdisjoint(_names(entry)):
            met.update(_names(entry))
            entries.append(entry)
        else:  # rotation moved it on, and we came upon it again
            os.close(entry.fd)
            whole = False
    return whole and _is_current(path, entries)


def _names(entry: Entry) -> set[Identity | int]:
    """What tells the file from others: a plain one's inode too, for it is open; a packed one's original may be gone."""
    return {entry.identity} if entry.packed else {entry.identity, entry.identity.inode}


def _is_current(path: str, entries: list[Entry]) -> bool:
    try:
        return bool(entries) and os.stat(path).st_ino == entries[0].identity.inode
    except FileNotFoundError:
        return False


def _enter(path: str, number: int) -> Entry | None:
    """The file of that number, 0 for the current one; None if there is none."""
    name = f"{path}.{number}" if number else path
    fd = _open(name)
    if fd is not None:
        return Entry(fd, number, packed=False, identity=identify(fd))
    fd = _open(name + ".gz") if number else None
    return None if fd is None else Entry(fd, number, packed=True, identity=_original(fd))


def _open(path: str) -> int | None:
    """Open it for reading; None if it does not exist. O_NONBLOCK: a FIFO of that name must not hold the reader."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None


def _there(path: str, number: int) -> bool:
    return os.path.exists(f"{path}.{number}") or os.path.exists(f"{path}.{number}.gz")


def _original(fd: int) -> Identity:
    """What the compressed file at fd was made of; inode 0 if it was not our compressor who made it."""
    status = os.fstat(fd)
    start = os.pread(fd, 64, 0)
    end = os.pread(fd, _GZIP_END, max(0, status.st_size - _GZIP_END))
    words = start[10:].split(b" ", 2) if start.startswith(_GZIP) else []
    inode = int(words[1]) if len(words) == 3 and words[1].isdigit() else 0
    return Identity(inode, status.st_mtime_ns, int.from_bytes(end[4:], "little"))
