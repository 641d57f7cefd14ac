"""Who gives a command, as events and traces record it: the peer in words, and the trace that it belongs to.

Rules: nobody is taken at his word for who he is: the uid is the kernel's, the address the connection's. A trace id is
only an address too, and is taken as it comes where it is well-formed; anything else counts as none (W3C Trace Context,
3.2.2: what cannot be parsed is ignored).
"""

from __future__ import annotations

import re

from supervisor.control.request import Request, UnixPeer
from supervisor.core.events import Origin

#: version 00; neither id may be all zeroes (W3C Trace Context, 3.2.2.3 and 3.2.2.4).
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def origin(request: Request) -> Origin:
    """Who sent a request, and the value of its `traceparent` header."""
    peer = request.peer
    who = f"uid {peer.uid} over the control socket" if isinstance(peer, UnixPeer) else f"{peer.host} over HTTP"
    return Origin(who, traceparent(request.headers.get("traceparent", "")))


def traceparent(value: str) -> str:
    """`value` if it is a traceparent that may be passed on, else nothing."""
    return value if _TRACEPARENT.fullmatch(value) else ""
