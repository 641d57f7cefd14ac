"""What is answered: a frozen Response, and the one shape of every error, application/problem+json (RFC 9457).

Rules: a handler states what it knows (status, type, body); framing (length, chunks, close, date) belongs to the
connection, which overrides what a handler says of it. A body is bytes, or a Stream that is still being written.
"""

from __future__ import annotations

import time
from typing import Any

from attrs import field, frozen

from supervisor.control.stream import Stream

Pairs = tuple[tuple[str, str], ...]

REASONS = {
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _final(_: object, __: object, status: int) -> None:
    if not 200 <= status <= 599:
        raise ValueError(f"status {status} is not final")


@frozen
class Response:
    """A final answer. `headers` come in the order they are sent."""

    status: int = field(validator=_final)
    body: bytes | Stream = b""
    headers: Pairs = ()

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Pairs = ()) -> Response:
        """`value` as compact JSON with a newline, for the reader with curl."""
        return cls(status, encoded(value), (("content-type", "application/json"), *headers))

    @classmethod
    def text(cls, text: str, status: int = 200, headers: Pairs = ()) -> Response:
        """`text` as UTF-8."""
        return cls(
            status, text.encode(errors="backslashreplace"), (("content-type", "text/plain; charset=utf-8"), *headers)
        )


def encoded(value: Any) -> bytes:
    """`value` as compact JSON and a newline."""
    import json  # noqa: PLC0415 - 3 ms; a daemon that only serves /metrics never needs it

    # a lone surrogate, from a path or a line that is not UTF-8, becomes the JSON escape that stands for it
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace") + b"\n"


def problem(status: int, detail: str, headers: Pairs = (), title: str = "") -> Response:
    """Build an error a script and a person can both read (RFC 9457); `detail` begins with "cannot …" where it can."""
    body = {"type": "about:blank", "title": title or REASONS.get(status, "Error"), "status": status, "detail": detail}
    return Response(status, encoded(body), (("content-type", "application/problem+json"), *headers))


def http_date(now: float) -> bytes:
    """Wall seconds as an IMF-fixdate (RFC 9110, 5.6.7); strftime would follow the locale."""
    moment = time.gmtime(now)
    day, month = _DAYS[moment.tm_wday], _MONTHS[moment.tm_mon - 1]
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}"
    return f"{day}, {moment.tm_mday:02} {month} {moment.tm_year} {clock} GMT".encode()
