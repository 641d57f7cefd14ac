"""The door: takes connections from the listening sockets.

Rules: the listening sockets belong to whoever handed them in and are never closed here. When descriptors have run out
the door is shut for a moment: a level-triggered epoll would otherwise report the same knock again and again, and burn
a core saying so.
"""

from __future__ import annotations

import errno
import logging
import select
import socket
import struct
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from supervisor.control.listen import Listener
from supervisor.control.request import Peer, TcpPeer, UnixPeer

if TYPE_CHECKING:
    from supervisor.control.reactor import Reactor

log = logging.getLogger("respawnd.http")

_SCARCE = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_AT_ONCE = 64  # connections taken in one turn, before those that are there get theirs

OnAccept = Callable[[socket.socket, Peer, Listener], None]


class Acceptor:
    """Hands each new socket, non-blocking, to `on_accept`; calls `on_scarce` when descriptors have run out."""

    def __init__(
        self, reactor: Reactor, listeners: tuple[Listener, ...], on_accept: OnAccept, on_scarce: Callable[[], None]
    ) -> None:
        self._reactor = reactor
        self._listeners = listeners
        self._on_accept = on_accept
        self._on_scarce = on_scarce

    def open(self) -> None:
        """Listen to every knock from now on."""
        for listener in self._listeners:
            listener.sock.setblocking(False)
            self._reactor.add(listener.sock.fileno(), select.EPOLLIN, partial(self._take, listener))

    def shut(self) -> None:
        """Leave further knocks in the backlog."""
        for listener in self._listeners:
            self._reactor.remove(listener.sock.fileno())

    def _take(self, listener: Listener, _events: int) -> None:
        for taken in range(_AT_ONCE):
            try:
                sock, address = listener.sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _SCARCE and taken:
                    return  # accept(2) looks for a descriptor before it looks for a knock: is there one, it comes again
                if error.errno in _SCARCE:
                    log.warning("Cannot accept a connection: %s", error.strerror)
                    self._on_scarce()
                    return
                continue  # it was gone before we came (accept(2): pending errors of the new socket are passed on)
            self._greet(sock, address, listener)

    def _greet(self, sock: socket.socket, address: tuple[str, int], listener: Listener) -> None:
        try:
            sock.setblocking(False)
            peer = _unix_peer(sock) if listener.kind == "unix" else _tcp_peer(sock, address)
        except OSError:
            sock.close()
            return
        self._on_accept(sock, peer, listener)


def _unix_peer(sock: socket.socket) -> UnixPeer:
    return UnixPeer(*struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))


def _tcp_peer(sock: socket.socket, address: tuple[str, int]) -> TcpPeer:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a streamed line is to be seen when it is written
    return TcpPeer(address[0], address[1])
