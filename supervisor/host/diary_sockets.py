"""The daemon's own log in syslog and in the journal: messages on a socket, connected at need, never waited for.

Rules: a message goes whole or not at all. After any trouble the socket is made anew, at most once a second (ten for
UDP, where a name may have to be looked up, in the diary's thread).
"""

from __future__ import annotations

import abc
import errno
import fcntl
import os
from typing import TYPE_CHECKING

from supervisor.host.diary_lines import journal
from supervisor.host.diary_target import Target

if TYPE_CHECKING:
    import socket

    from supervisor.host.diary_lines import Render

DEV_LOG = "/dev/log"
_JOURNAL = "/run/systemd/journal/socket"
_RETRY_NAME = 10.0  # seconds: looking up a host may hold the thread for as long
_SEALS = 0xF  # F_SEAL_SEAL | SHRINK | GROW | WRITE: journald takes no memfd without them


class Datagrams(Target):
    """A socket that is connected at need, and anew after each trouble; it never waits."""

    def __init__(self, name: str, render: Render) -> None:
        super().__init__(name, render)
        self._socket: socket.socket | None = None

    def send(self, data: bytes) -> None:
        """Send it as one message."""
        try:
            if self._socket is None:
                self._socket = self.connect()
                self._socket.setblocking(False)
            self.put(self._socket, data)
        except OSError:
            self.close()
            raise

    @abc.abstractmethod
    def connect(self) -> socket.socket:
        """A connected socket. OSError."""

    def put(self, connection: socket.socket, data: bytes) -> None:
        """Send one message, whole or not at all."""
        if connection.send(data) < len(data):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class LocalSyslog(Datagrams):
    """The socket that syslog(3) writes to, of datagrams or, as with some syslog-ng, a stream of NUL-ended messages."""

    def __init__(self, name: str, render: Render, path: str = DEV_LOG) -> None:
        super().__init__(name, render)
        self._path = path
        self._end = b""

    def connect(self) -> socket.socket:
        """As syslog(3) does: datagrams first."""
        import socket  # noqa: PLC0415 -- 3 ms that stderr and a file do without

        number = 0
        for kind, self._end in ((socket.SOCK_DGRAM, b""), (socket.SOCK_STREAM, b"\0")):
            connection = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
            number = connection.connect_ex(self._path)
            if not number:
                return connection
            connection.close()
            if number != errno.EPROTOTYPE:
                break
        raise OSError(number, os.strerror(number))

    def put(self, connection: socket.socket, data: bytes) -> None:
        """With its end."""
        super().put(connection, data + self._end)


class RemoteSyslog(Datagrams):
    """UDP to host and port. A name is looked up when the socket is made, in the diary's thread."""

    retry = _RETRY_NAME

    def __init__(self, name: str, render: Render, host: str, port: int) -> None:
        super().__init__(name, render)
        self._to = (host, port)

    def connect(self) -> socket.socket:
        """To the first address of the host."""
        import socket  # noqa: PLC0415 -- as above

        family, kind, protocol, _, address = socket.getaddrinfo(*self._to, type=socket.SOCK_DGRAM)[0]
        connection = socket.socket(family, kind, protocol)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
            raise
        return connection


class Journal(Datagrams):
    """systemd's journal, by its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL)."""

    def __init__(self, name: str, render: Render = journal, path: str = _JOURNAL) -> None:
        super().__init__(name, render)
        self._path = path

    def connect(self) -> socket.socket:
        """To journald's socket."""
        import socket  # noqa: PLC0415 -- as above

        connection = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            connection.connect(self._path)
        except OSError:
            connection.close()
            raise
        return connection

    def put(self, connection: socket.socket, data: bytes) -> None:
        """As a datagram, or, where it is too large for one, as a sealed memory file."""
        try:
            connection.send(data)
        except OSError as error:
            if error.errno != errno.EMSGSIZE:
                raise
            _send_memory(connection, data)


def _send_memory(connection: socket.socket, data: bytes) -> None:
    import socket  # noqa: PLC0415 -- as above

    memory = os.memfd_create("respawnd-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(memory, "wb", buffering=0) as file:
        file.write(data)
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
        socket.send_fds(connection, [b""], [memory])
