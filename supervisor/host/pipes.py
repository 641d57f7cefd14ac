"""The pipes that carry a child's output: made once per replica and stream, emptied by splice(2).

Rules:
- One descriptor a stream. It is a single read-write description, lent to every life as its stdout or stderr: so no
  respawn pays for a pipe, the child holds a read end itself (no SIGPIPE while no daemon is there) and there is neither
  end of file nor hang-up.
- That description stays blocking for the child; we never block on it, because SPLICE_F_NONBLOCK speaks for one call.
- Bytes are never held in this process on their way to a file: what a killed daemon had not written is still in the
  pipe.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import resource
import termios

#: Bytes asked for, largest first. Unprivileged users get 1 MiB for 64 pipes (fs.pipe-user-pages-soft), then less.
CAPACITIES = (1 << 20, 1 << 18, 1 << 16)
_READ = 1 << 16  # bytes looked at in one piece when lines are counted

# PyDLL, which keeps the interpreter lock: this one is on the way of every respawn, and getting the lock back from a
# thread that computes takes far longer than the call.
_fcntl = ctypes.PyDLL(None).fcntl


def reserve(count: int) -> None:
    """Make room for count descriptors, as far as the soft limit goes. To be called before the first thread is started.

    Once threads share it, the table of descriptors waits for an RCU grace period at each doubling (expand_fdtable in
    the kernel's fs/file.c): 36 ms while the pipes of a thousand services are made.
    """
    top = max(min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0]) - 1, 0)
    null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.close(fcntl.fcntl(null, fcntl.F_DUPFD_CLOEXEC, top))
    finally:
        os.close(null)


def create(uid: int | None = None) -> int:
    """Return a new pipe as one blocking, close-on-exec descriptor, open for reading and writing; see `enlarge`.

    It belongs to uid if given, else `echo > /dev/stdout` in a child that changed user fails with EACCES.
    Raises OSError: EMFILE, ENFILE, or EPERM from the change of owner.
    """
    ends = os.pipe2(os.O_CLOEXEC)
    try:
        fd = os.open(f"/proc/self/fd/{ends[0]}", os.O_RDWR | os.O_CLOEXEC)
    finally:
        os.close(ends[0])
        os.close(ends[1])
    try:
        if uid is not None:
            os.fchown(fd, uid, -1)
    except OSError:
        os.close(fd)
        raise
    return fd


def enlarge(fd: int) -> int:
    """Give the pipe the largest capacity that is granted and return it in bytes; a refusal is no error.

    Apart from `create`, for it is a third of the price: 10 us, and 16 KiB of the kernel's memory for 1 MiB.
    """
    for size in CAPACITIES:
        with contextlib.suppress(OSError):
            return fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
    return capacity(fd)


def lend(fd: int) -> int:
    """Return fd fit for the next life: a former one may have left O_NONBLOCK on it (node does), to which cat fails."""
    _fcntl(fd, fcntl.F_SETFL, 0)
    return fd


def capacity(fd: int) -> int:
    """Bytes the pipe can hold."""
    return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


def pending(fd: int) -> int:
    """Bytes in the pipe now."""
    return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), "little")


class Scratch:
    """A private pipe through which a child's pipe is emptied or read without ever waiting for it.

    Owned by one thread. Its descriptors are taken at once: it is needed just when there are none left.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC)
        enlarge(self._write)
        self._buffer = bytearray()

    def discard(self, fd: int, limit: int) -> tuple[int, int]:
        """Drop at most limit bytes of what the pipe holds now; return (bytes, lines) dropped, (0, 0) if it is empty."""
        size = self._take(fd, limit)
        return size, self._count(size)

    def read(self, fd: int, limit: int) -> bytes:
        """Take at most limit bytes out of the pipe into memory; empty if there are none."""
        return self._drink(self._take(fd, limit))

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self._read)
        os.close(self._write)

    def _take(self, fd: int, limit: int) -> int:
        try:
            return os.splice(fd, self._write, limit, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return 0

    def _count(self, size: int) -> int:
        self._buffer = self._buffer or bytearray(_READ)
        lines = 0
        while size:
            got = os.readv(self._read, [self._buffer])
            lines += self._buffer.count(b"\n", 0, got)
            size -= got
        return lines

    def _drink(self, size: int) -> bytes:
        parts = []
        while size:
            parts.append(os.read(self._read, size))
            size -= len(parts[-1])
        return b"".join(parts)
