"""Who may ask what: the door of the HTTP server, passed before a body is read (`admit` of Server).

Rules: whoever may open the Unix socket (mode 0600) may do everything. Over TCP only what `OPEN` lists is open to
whoever reaches the port, so that a route added later is closed until somebody says otherwise; all else needs the bearer
token (RFC 6750), and without a token file nobody has it. Host and Origin are looked at first, on both roads.
"""

from __future__ import annotations

import hmac
import os

from supervisor.config import HttpSettings
from supervisor.config.files import read_text
from supervisor.config.problem import Refused
from supervisor.control.origin import SAFE_METHODS, refusal
from supervisor.control.request import Request
from supervisor.control.response import Response, problem

#: Routes whose reads need no token (docs/api.md): metrics, health, discovery, states of services.
OPEN = frozenset({"/", "/metrics", "/-/healthy", "/-/ready", "/sd", "/api/v1/services", "/api/v1/services/{name}"})

_REALM = 'Bearer realm="respawnd"'


class Guard:
    """The checks of one daemon.

    The token file is read anew for each request that bears a token, so that a new token holds at once; it must be as
    trustworthy then as at boot.
    """

    def __init__(self, http: HttpSettings) -> None:
        self._allowed_hosts = http.allowed_hosts
        self._token_file = http.token_file

    def __call__(self, request: Request) -> Response | None:
        """The refusal of a request, or None to let it in."""
        foreign = refusal(request, self._allowed_hosts)
        if foreign is not None:
            return problem(403, foreign)
        if request.kind == "unix" or (request.route in OPEN and request.method in SAFE_METHODS):
            return None
        return self._without_token(request)

    def _without_token(self, request: Request) -> Response | None:
        if not self._token_file:
            return problem(403, "cannot do this over TCP: no http.token_file is configured; use the Unix socket")
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return problem(401, "cannot do this without the bearer token", (("www-authenticate", _REALM),))
        try:
            token = read_text(self._token_file, os.geteuid()).strip()
        except Refused as refused:
            return problem(503, f"cannot check the token: {self._token_file}: {refused}")
        if not token:
            return problem(503, f"cannot check the token: {self._token_file}: it is empty")
        # Headers are decoded as latin-1 (Headers), so this gives back the bytes that were sent.
        if hmac.compare_digest(given.strip().encode("latin-1"), token.encode()):
            return None
        return problem(401, "cannot do this: wrong token", (("www-authenticate", f'{_REALM}, error="invalid_token"'),))
