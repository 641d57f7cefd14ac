"""The staged road to exec, the daemon's side: the fork server, started at first need, and what is asked of it.

Rules:
- One message a launch, one status pipe a launch. The pipe says the new pid, then nothing if exec succeeded (it closes),
  or the stage that failed. A message that no spare has taken dies with the server, and its pipe closes without a pid:
  so nothing is lost in silence, it can be sent again, and no answer has to be matched with its question.
- The server's death is noticed when a message cannot be sent (it is started again, the launch is none the wiser), or by
  the loop, which reaps it.
- The server's program is read when the daemon starts, and runs from memory: a package that is upgraded or removed
  afterwards does not change what an old daemon starts.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import marshal
import os
import select
import socket
import sys
import threading
import time
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supervisor.host.refusal import Refusal, reason
from supervisor.host.spawn import spawn, vector

NAME = "respawnd-forkserver"
#: Bytes that go through the socket, less than its buffer holds (net.core.wmem_default); what is longer takes a file.
_LARGEST = 96 * 1024
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF})
Failure = tuple[str, int, str]


class ForkServer:
    """The one fork server of a daemon, asked by any thread. `nofile` is the limit of open files that children get."""

    def __init__(self, nofile: tuple[int, int] | None, environ: Mapping[str, str]) -> None:
        self._nofile = nofile
        # The interpreter may need it to find its own library; nothing else of the environment is its business.
        self._environ = [os.fsencode(f"{k}={v}") for k, v in environ.items() if k == "LD_LIBRARY_PATH"]
        with open(os.path.join(os.path.dirname(__file__), "forkserver_main.py"), "rb") as program:
            self._program = program.read()
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False
        # Not reaped yet: one server, unless an old one is just dying, and the spares that have said who they are.
        self._servers: set[int] = set()
        self._latest = 0
        self._spares: set[int] = set()

    def send(self, wish: Sequence[Any], stdio: Sequence[int], *, wait: bool) -> int | None:
        """Ask for a process; the status pipe to read with `outcome`, or None if that cannot be done without waiting.

        `wish` is what forkserver_main.become takes, `stdio` three descriptors. Raises Refusal of the stages descriptors
        and forkserver.
        """
        if not wait and self._socket is None:
            return None
        message = marshal.dumps(tuple(wish))
        try:
            status, told = os.pipe2(os.O_CLOEXEC)
        except OSError as error:
            raise Refusal("descriptors", error.errno or errno.EMFILE, f"status pipe: {_words(error)}") from None
        try:
            with _attachment(message) as attached:
                sent = self._send(b"-" if attached else message, array("i", [*stdio, told, *attached]), wait)
        except OSError as error:
            os.close(status)
            raise Refusal("forkserver", error.errno or errno.EIO, f"fork server: {_words(error)}") from None
        except BaseException:
            os.close(status)
            raise
        finally:
            os.close(told)
        if sent:
            return status
        os.close(status)
        return None

    def _send(self, message: bytes, fds: array[int], wait: bool) -> bool:
        """Send, once more to a new server where the old one is dead. False if it would block and we must not wait."""
        try:
            return self._offer(message, fds, wait)
        except OSError as error:
            if error.errno not in _GONE:
                raise
        return self._offer(message, fds, wait)

    def _offer(self, message: bytes, fds: array[int], wait: bool) -> bool:
        while self._lock.acquire(blocking=wait):
            try:
                if self._socket is None and not wait:
                    return False
                sock = self._socket or self._start()
                sock.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)], socket.MSG_DONTWAIT)
            except BlockingIOError:
                full = self._socket
            except OSError as error:
                if error.errno in _GONE:
                    self._drop()
                raise
            else:
                return True
            finally:
                self._lock.release()
            if not wait:
                return False
            _room(full)
        return False

    def _start(self) -> socket.socket:
        """Start the server; with the lock held. Raises Refusal of the stage forkserver."""
        if self._closed:
            raise Refusal("forkserver", errno.ESHUTDOWN, "fork server: the daemon is ending")
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.ExitStack() as closing:
            closing.callback(theirs.close)
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            closing.callback(os.close, null)
            program = os.memfd_create(NAME, os.MFD_CLOEXEC)
            closing.callback(os.close, program)
            os.write(program, self._program)
            # Above the numbers they will have there, so that none covers another.
            stdio = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 16) for fd in (null, null, null, theirs.fileno(), program)]
            for fd in stdio:
                closing.callback(os.close, fd)
            self._launch(stdio)
            self._socket = ours
        return ours

    def _launch(self, stdio: Sequence[int]) -> None:
        argv = [sys.executable, "-ISB", "/dev/fd/4", NAME, "3", *map(str, self._nofile or ())]
        number, pid = spawn(_interpreter(), vector([*map(os.fsencode, argv)]), vector(self._environ), b"/", stdio)
        if number:
            raise Refusal("forkserver", number, f"fork server: {sys.executable}: {reason(number)}")
        self._servers.add(pid)
        self._latest = pid

    def _drop(self) -> None:
        """Let go of a server that is dead or to end; its spares end with the socket. With the lock held."""
        self._learn()
        sock, self._socket = self._socket, None
        if sock is not None:
            sock.close()

    def outcome(self, status: int) -> tuple[int, Failure | None, float]:
        """Wait for the end of a launch and close its pipe: the pid, what failed if something did, the seconds of exec.

        A process that failed is reaped. Raises Refusal of the stage forkserver where the server died first.
        """
        told, seconds = _drain(status)
        words = told.decode(errors="surrogateescape").split(" ", 3)
        if not words[0]:
            raise Refusal("forkserver", errno.EPIPE, "fork server: it ended before it had started the process")
        pid = int(words[0])
        with self._lock:
            self._learn()
            self._spares.discard(pid)
        if len(words) < 4:
            return pid, None, seconds
        if pid:  # 0: it could not even be forked
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        return pid, (words[1], int(words[2]), words[3]), seconds

    def _learn(self) -> None:
        """Read which spares there are: each says its pid. With the lock held."""
        with contextlib.suppress(OSError):  # no more for now, or a dead server's reset
            while self._socket is not None and (told := self._socket.recv(64, socket.MSG_DONTWAIT)):
                self._spares.add(int(told))

    def pids(self) -> frozenset[int]:
        """The children that are no service: servers and spares."""
        with self._lock:
            self._learn()
        return frozenset(self._servers | self._spares)

    def reaped(self, pid: int) -> bool:
        """The loop has reaped `pid`: whether it was one of ours. A dead server is replaced at the next need."""
        if pid not in self.pids():
            return False
        with self._lock:
            self._spares.discard(pid)
            self._servers.discard(pid)
            if pid == self._latest:
                self._drop()
        return True

    def close(self, timeout: float) -> None:
        """End server and spares, which have nothing to lose, and reap them. No launch may be under way."""
        with self._lock:
            self._closed = True
            if self._socket is not None:
                # They end when they find it shut; until the last one has, those born meanwhile say who they are.
                self._socket.settimeout(timeout)
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_WR)
                    while told := self._socket.recv(64):
                        self._spares.add(int(told))
            self._drop()
            for pid in self._servers | self._spares:
                _reap(pid, timeout)
            self._servers, self._spares = set(), set()


def _reap(pid: int, timeout: float) -> None:
    """Wait for the death of a child, and reap it; one that does not come within `timeout` seconds is left."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        poll.poll(timeout * 1000)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
    finally:
        os.close(pidfd)


def _drain(status: int) -> tuple[bytes, float]:
    """All that a status pipe tells, and the seconds from its first word, which is said just before exec, to its end."""
    try:
        told = os.read(status, 4096)
        began = time.monotonic()
        while piece := os.read(status, 4096):
            told += piece
    finally:
        os.close(status)
    return told, time.monotonic() - began


@contextlib.contextmanager
def _attachment(message: bytes) -> Iterator[list[int]]:
    """The memory file of a message that is too long for the socket, in a list; an empty list for others."""
    if len(message) <= _LARGEST:
        yield []
        return
    fd = os.memfd_create(NAME, os.MFD_CLOEXEC)
    try:
        view = memoryview(message)
        while view:
            view = view[os.write(fd, view) :]
        yield [fd]
    finally:
        os.close(fd)


def _room(sock: socket.socket | None) -> None:
    """Wait until a message is taken, or the server is dead; a second at most, then it is tried in any case."""
    if sock is None:
        return
    with contextlib.suppress(OSError, ValueError):  # closed meanwhile by another thread
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        poll.poll(1000)


def _interpreter() -> bytes:
    """This interpreter, as the kernel knows it: an upgrade may have replaced the file that bore its name."""
    return b"/proc/self/exe" if os.path.exists("/proc/self/exe") else os.fsencode(sys.executable)


def _words(error: OSError) -> str:
    return reason(error.errno) if error.errno else str(error)
