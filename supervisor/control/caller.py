"""Who gives a command, as events and traces record it: the peer in words, and the trace that it belongs to.

Rules: nobody is taken at their word for who they are: the uid is the kernel's, the address the connection's. A trace is
taken as it comes where it is well-formed; anything else counts as none (W3C Trace Context, 3.2.2).
"""

from __future__ import annotations

from supervisor.control.request import Request, UnixPeer
from supervisor.core.events import Origin
from supervisor.core.traceparent import traceparent

#: An IPv4 address as an IPv6 socket tells it (RFC 4291, 2.5.5.2).
_MAPPED = "::ffff:"


def origin(request: Request) -> Origin:
    """Who sent a request, and the value of its `traceparent` header."""
    peer = request.peer
    if isinstance(peer, UnixPeer):
        who = f"uid {peer.uid} over the control socket"
    else:
        who = f"{peer.host.removeprefix(_MAPPED)} over HTTP"
    return Origin(who, traceparent(request.headers.get("traceparent", "")))
