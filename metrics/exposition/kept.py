"""The last whole page of each format, for a scraper whose patience ends before a new one can be ready.

Rules: pages are kept compressed (0.5 MB for 1,000 services), and only once a scraper has said how long it waits.
"""

from __future__ import annotations

import zlib

from metrics.exposition.negotiate import Format

#: Seconds after which a page is too old to be given away.
OLDEST = 60.0
#: For zlib: a gzip header, and the largest window.
GZIP = 31


class Kept:
    """Pages by format, each with the moment (monotonic) at which it was made. From any thread."""

    def __init__(self) -> None:
        self.asked_for = False
        self._pages: dict[Format, tuple[bytes, float]] = {}

    def keep(self, chosen: Format, body: bytes, at: float) -> None:
        """Keep a compressed page in place of the one before it, if somebody may need it."""
        if self.asked_for:
            self._pages[chosen] = body, at

    def find(self, chosen: Format, now: float, *, packed: bool) -> tuple[bytes, float] | None:
        """Return the page and its age in seconds, or None; too old a page is forgotten."""
        found = self._pages.get(chosen)
        if found is None:
            return None
        body, at = found
        if now - at > OLDEST:
            self._pages.pop(chosen, None)
            return None
        return body if packed else zlib.decompress(body, GZIP), now - at

    def has(self, chosen: Format, now: float) -> bool:
        """Tell whether there is a page to give away."""
        found = self._pages.get(chosen)
        return found is not None and now - found[1] <= OLDEST
