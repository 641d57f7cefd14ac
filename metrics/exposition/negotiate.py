"""Which format a scraper gets: text 0.0.4 or OpenMetrics 1.0.0, and whether it is compressed (RFC 9110, 12.5).

Rules: the client's weights decide, and its order where they are equal; what it cannot be given is passed over, and if
nothing is left it gets text 0.0.4, which every reader of metrics knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Format(NamedTuple):
    """A format of the page, with its media type."""

    openmetrics: bool
    content_type: str


TEXT = Format(openmetrics=False, content_type="text/plain; version=0.0.4; charset=utf-8")
OPENMETRICS = Format(openmetrics=True, content_type="application/openmetrics-text; version=1.0.0; charset=utf-8")


def _weighed(header: str) -> Iterator[tuple[float, str, Mapping[str, str]]]:
    """Yield weight, name and parameters of each element of an Accept or Accept-Encoding header."""
    for element in header.split(","):
        name, *rest = element.split(";")
        pairs = [part.strip().partition("=") for part in rest]
        parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 0.0
        yield weight, name.strip().lower(), parameters


def _offered(name: str, parameters: Mapping[str, str]) -> Format | None:
    if name == "application/openmetrics-text":
        return OPENMETRICS if parameters.get("version", "1.0.0") == "1.0.0" else None
    if name in {"text/plain", "text/*", "*/*"}:
        return TEXT if parameters.get("version", "0.0.4") == "0.0.4" else None
    return None


def negotiate(accept: str) -> Format:
    """Choose the format for an Accept header, which may be empty."""
    best, chosen = 0.0, TEXT
    for weight, name, parameters in _weighed(accept):
        offered = _offered(name, parameters)
        if offered is not None and weight > best:
            best, chosen = weight, offered
    return chosen


def gzip_accepted(accept_encoding: str) -> bool:
    """Tell whether an Accept-Encoding header takes gzip; an empty one takes none."""
    weights = {name: weight for weight, name, _ in _weighed(accept_encoding)}
    return weights.get("gzip", weights.get("*", 0.0)) > 0
