"""Rotated log files become .gz in the background, by one thread that runs below everybody else.

Rules: a file is compressed beside itself under a name that no reader knows, made durable, and only then renamed into
place and the original removed: a crash at any point leaves the original, the whole .gz, or both, never half. Rotation
may move the file meanwhile: its place is looked up again under the lock that rotation holds. The .gz tells time, size
and inode of the original, by which a reader that was in it knows where it stands.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from queue import SimpleQueue

from supervisor.host.logchain import header, trailer
from supervisor.host.pulse import Pulse, Pulses
from supervisor.host.thread import attend

log = logging.getLogger("respawnd.output")

_CHUNK = 1 << 17  # bytes: some 4 ms of zlib, which is how soon a stop or a dropped original is noticed
_LEVEL = 6
_RAW = -15  # window bits that ask zlib for neither header nor trailer: ours tells what the original was
_NAME = "respawnd-compress"
_NICE = 10
_MOST = 10_000  # numbers looked at for a rotated file: more than any keep in use


class Compressor:
    """Compresses the rotated files of the paths it is asked for. `lock` is held while names of rotated files change."""

    def __init__(self, pulses: Pulses | None = None) -> None:
        self.lock = threading.Lock()
        self._pulses = pulses or Pulses()
        self._pulse = Pulse(_NAME, None)
        self._paths: SimpleQueue[str | threading.Event | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopping = False

    def request(self, path: str) -> None:
        """Compress all rotated files of the log at path, newest first. Returns at once."""
        if self._stopping:
            return
        if self._thread is None:
            how = {"nice": _NICE}
            life = (_NAME, self._run, self._pulses)
            thread = threading.Thread(target=attend, args=life, kwargs=how, name=_NAME, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # "can't start new thread": the next rotation asks again
                log.warning("Cannot start %s: %s", _NAME, error)
                return
            self._thread = thread
        self._paths.put(path)

    @property
    def waiting(self) -> int:
        """Requests that are not begun yet."""
        return self._paths.qsize()

    def wait(self, timeout: float) -> bool:
        """Wait until all that was asked for before is done, at most timeout seconds; False if it is not."""
        reached = threading.Event()
        self._paths.put(reached)
        return self._thread is None or reached.wait(timeout)

    def stop(self, timeout: float) -> bool:
        """Give up what is under way (its original stays) and join within timeout seconds; False if it did not end."""
        self._stopping = True
        if self._thread is None:
            return True
        self._paths.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self, pulse: Pulse) -> None:
        self._pulse = pulse
        pulse.idle()
        while (item := self._paths.get()) is not None and not self._stopping:
            pulse.busy()
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._compress(item)
            pulse.idle()

    def _compress(self, path: str) -> None:
        try:
            while self._newest(path):
                pass
        except OSError as error:
            log.warning("Cannot compress rotated files of %s: %s", path, error.strerror, extra={"path": path})

    def _newest(self, path: str) -> bool:
        """Compress the newest rotated file that is plain; False if there is none or the compressor is to stop."""
        number = _first_plain(path)
        if not number or self._stopping:
            return False
        try:
            source = os.open(f"{path}.{number}", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return True  # rotation moved it just now
        try:
            self._replace(path, source)
        finally:
            os.close(source)
        return not self._stopping

    def _replace(self, path: str, source: int) -> None:
        unfinished = f"{path}.compressing"
        try:
            if self._deflate(source, unfinished):
                self._put_in_place(path, source, unfinished)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(unfinished)

    def _deflate(self, source: int, path: str) -> bool:
        """Write source compressed to path and sync it; False if it was given up."""
        import zlib  # noqa: PLC0415 -- only a daemon that rotates needs it

        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW)
        status = os.fstat(source)
        checksum = 0
        with open(path, "wb", buffering=0, opener=_private) as target:
            fd = target.fileno()
            _write(fd, header(source))
            while chunk := os.read(source, _CHUNK):
                self._pulse.busy()
                if self._stopping or not os.fstat(source).st_nlink:
                    return False
                checksum = zlib.crc32(chunk, checksum)
                _write(fd, packer.compress(chunk))
            _write(fd, packer.flush() + trailer(checksum, status.st_size))
            os.fchmod(fd, status.st_mode & 0o7777)
            os.utime(fd, ns=(status.st_atime_ns, status.st_mtime_ns))
            os.fsync(fd)
        return True

    def _put_in_place(self, path: str, source: int, finished: str) -> None:
        with self.lock:
            number = _number_of(path, os.fstat(source))
            if number:
                os.rename(finished, f"{path}.{number}.gz")
                os.unlink(f"{path}.{number}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _numbers(path: str) -> list[int]:
    """Numbers of the rotated files of path that are plain, ascending."""
    directory, name = os.path.split(path)
    start = name + "."
    tails = [entry[len(start) :] for entry in os.listdir(directory) if entry.startswith(start)]
    return sorted(int(tail) for tail in tails if tail.isdecimal() and int(tail) < _MOST)


def _first_plain(path: str) -> int:
    return next(iter(_numbers(path)), 0)


def _number_of(path: str, status: os.stat_result) -> int:
    """Where rotation has moved a file to; 0 if it is gone."""
    for number in _numbers(path):
        found = os.stat(f"{path}.{number}")
        if (found.st_dev, found.st_ino) == (status.st_dev, status.st_ino):
            return number
    return 0
