"""The one form in which a trace is named between programs (W3C Trace Context, 3.2): checked before it is passed on."""

from __future__ import annotations

import re

#: Version 00; neither id may be all zeroes (3.2.2.3 and 3.2.2.4).
_FORM = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}")


def traceparent(value: str) -> str:
    """`value` if it is a traceparent that may be passed on, else nothing."""
    return value if _FORM.fullmatch(value) else ""


def identifiers(value: str) -> tuple[int, int] | None:
    """The trace and the span that a traceparent names; None where it is none."""
    found = _FORM.fullmatch(value)
    return None if found is None else (int(found[1], 16), int(found[2], 16))
