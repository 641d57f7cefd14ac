"""Listening sockets: bound here or inherited, handed to the server ready-made.

Rules: a socket is close-on-exec and listening when it is handed out. The Unix socket never has a wider mode than
asked for, not even for a moment; a file that is no socket is never removed, nor a socket on which somebody answers.
Every failure is a ListenError whose text is the line to show.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat

from attrs import field, frozen

from supervisor.control.request import Kind

BACKLOG = 1024
UNIX_PATH_BYTES = 107  # sun_path has 108 with its NUL (unix(7))

_WORDS = {
    errno.EADDRINUSE: "address in use",
    errno.EADDRNOTAVAIL: "no such address on this host",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "no such directory",
    errno.ENOTDIR: "not a directory",
    errno.EROFS: "read-only file system",
}


class ListenError(OSError):
    """An address that cannot be listened on; `errno` is the cause, the text is complete."""

    def __init__(self, number: int | None, place: str, why: str = "") -> None:
        super().__init__(number, why or _WORDS.get(number or 0) or os.strerror(number or 0).lower())
        self.place = place

    def __str__(self) -> str:
        return f"cannot listen on {self.place}: {self.strerror}"


@frozen
class Listener:
    """A listening socket and what kind it is. `path` is the file of a Unix socket that is ours to remove."""

    sock: socket.socket
    kind: Kind
    path: str = ""
    inode: tuple[int, int] = field(default=(0, 0))

    @property
    def loopback(self) -> bool:
        """Whether only this host can connect over TCP: then Host is checked against DNS rebinding."""
        if self.kind == "unix":
            return False
        host = str(self.sock.getsockname()[0])
        return host == "::1" or host.startswith(("127.", "::ffff:127."))

    def close(self) -> None:
        """Stop listening, and remove the file of the Unix socket unless another has taken its place."""
        self.sock.close()
        if self.path:
            with contextlib.suppress(OSError):
                if _identity(self.path) == self.inode:
                    os.unlink(self.path)


def bind_tcp(host: str, port: int) -> Listener:
    """Listen on `host` (a name, an IPv4 or IPv6 address) and `port` (0 picks a free one). ListenError."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    family, address = _resolved(host, port, place)
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT of an earlier daemon is no obstacle
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise ListenError(error.errno, place) from error
    return Listener(sock, "tcp")


def bind_unix(path: str, mode: int = 0o600) -> Listener:
    """Listen on the Unix socket `path`, created with `mode`. ListenError.

    Linux creates the file with the mode of the socket itself less the umask (unix_bind in net/unix/af_unix.c), so
    fchmod before bind leaves no moment of a wider mode; the chmod after it only gives back what the umask took.
    """
    if len(os.fsencode(path)) > UNIX_PATH_BYTES:
        raise ListenError(errno.ENAMETOOLONG, path, f"the path is longer than {UNIX_PATH_BYTES} bytes")
    _remove_stale(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(sock.fileno(), mode)
        sock.bind(path)
        os.chmod(path, mode)
        sock.listen(BACKLOG)
        return Listener(sock, "unix", path, _identity(path))
    except OSError as error:
        sock.close()
        raise ListenError(error.errno, path) from error


def inherit(descriptor: int) -> Listener:
    """Take over a listening socket of a predecessor in this process. OSError if the descriptor is none."""
    os.set_inheritable(descriptor, False)
    sock = socket.socket(fileno=descriptor)
    if sock.family != socket.AF_UNIX:
        return Listener(sock, "tcp")
    path = str(sock.getsockname())
    with contextlib.suppress(OSError):
        return Listener(sock, "unix", path, _identity(path))
    return Listener(sock, "unix")


def _resolved(host: str, port: int, place: str) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise ListenError(None, place, "no such host") from error
    return found[0][0], found[0][4]


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def _remove_stale(path: str) -> None:
    """Remove a socket file on which nobody answers; the daemon's lock keeps two of us from doing this at once."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            obstacle = (errno.EEXIST, "a file that is no socket is in the way")
        elif _answers(path):
            obstacle = (errno.EADDRINUSE, "another process answers there")
        else:
            os.unlink(path)
            return
    except FileNotFoundError:
        return
    except OSError as error:
        raise ListenError(error.errno, path) from error
    raise ListenError(obstacle[0], path, obstacle[1])


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            return True  # its backlog is full: somebody listens, busily
        return True
