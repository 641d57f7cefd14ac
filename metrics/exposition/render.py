"""One page in pieces: the families in the catalogue's order, then those of the users' collectors.

Rules: a piece takes about a tenth of a millisecond; an empty one is a moment to step aside. What decides how many
series there are is taken before the first of them is rendered, so that a page keeps its budget to the line.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import NamedTuple

from metrics.catalog import FAMILIES, Family
from metrics.exposition.batch import Batch, batches
from metrics.exposition.budget import Budget, folded
from metrics.exposition.cold import Cold
from metrics.exposition.custom import LONGEST, users
from metrics.exposition.hot import HOT
from metrics.exposition.memory import Memory, encoded
from metrics.exposition.negotiate import Format
from metrics.exposition.patterns import LATENCY, LINES, make_room
from metrics.exposition.text import headers
from metrics.recorder import Recorder
from supervisor.core.view import FleetView


class Ask(NamedTuple):
    """What is asked for: `names` are those of `name[]`, none for all; `packed` is whether the page is compressed."""

    chosen: Format
    names: frozenset[str]
    packed: bool


class Renderer:
    """Renders one page at a time. After it, `series` and `left_out` (by family) tell what it has and has not."""

    def __init__(
        self,
        recorder: Recorder,
        view: Callable[[], FleetView],
        clock: Callable[[], float],
        wall: Callable[[], float],
        limit: int,
    ) -> None:
        self._recorder, self._view, self._clock, self._wall = recorder, view, clock, wall
        self.cold = Cold(recorder, clock, wall)
        self.budget = Budget(limit)
        self._memory = Memory()
        self._headers: dict[bool, dict[str, str]] = {}
        self.series = 0
        self.left_out: Mapping[str, int] = {}

    def pieces(self, ask: Ask, patience: float = LONGEST) -> Iterator[bytes]:
        """Yield the page; users' collectors may take `patience` seconds together."""
        openmetrics = ask.chosen.openmetrics
        families = [family for family in FAMILIES if _chosen(family, ask.names)]
        theirs, self.series = self._users(ask, patience)
        cold = yield from self._cold(families, openmetrics=openmetrics)
        parts = yield from self._parts()
        self.left_out = {} if ask.names else (yield from self.budget.plan(parts, self.series))
        make_room()
        above, small = self._above(openmetrics=openmetrics), ""
        for family in families:
            small += above[family.name]
            if family.name in cold:
                small += cold[family.name]
                continue
            yield encoded(small)
            small = ""
            yield from self._hot(family, parts, openmetrics=openmetrics)
        yield encoded(small)
        yield theirs
        if openmetrics:
            yield b"# EOF\n"

    def _cold(self, families: Sequence[Family], *, openmetrics: bool) -> Generator[bytes, None, dict[str, str]]:
        """Return the lines of each family that does not grow with the fleet."""
        texts = {}
        for family in families:
            if family.name not in HOT:
                texts[family.name] = text = self.cold.text(family, openmetrics=openmetrics)
                self.series += text.count("\n")
                yield b""
        return texts

    def _parts(self) -> Generator[bytes, None, list[Batch]]:
        """Return a picture of the fleet, in batches."""
        now = self._clock()
        parts = []
        for part in batches(self._view(), self._recorder, now, self._wall() - now):
            if part is not None:
                parts.append(part)
            yield b""
        self._memory.shrink(len(parts))
        return parts

    def _hot(self, family: Family, parts: Sequence[Batch], *, openmetrics: bool) -> Iterator[bytes]:
        if family.name not in self.left_out:
            for number, part in enumerate(parts):
                for text, lines in self._memory.render(family, number, part, openmetrics=openmetrics):
                    self.series += lines
                    yield text
        elif family.name == LATENCY:
            self.series += LINES[LATENCY]
            yield encoded((yield from folded(parts, openmetrics=openmetrics)))

    def _above(self, *, openmetrics: bool) -> dict[str, str]:
        made = self._headers.get(openmetrics)
        if made is None:
            made = {family.name: headers(family, openmetrics=openmetrics) for family in FAMILIES}
            self._headers[openmetrics] = made
        return made

    def _users(self, ask: Ask, patience: float) -> tuple[bytes, int]:
        """Return what the users' collectors give, and how many series that is."""
        text, failed = users(ask.names, openmetrics=ask.chosen.openmetrics, patience=patience)
        for name, error in failed:
            self.cold.note(name, error)
        return text, text.count(b"\n") - text.count(b"\n#") - text.startswith(b"#")


def _chosen(family: Family, names: frozenset[str]) -> bool:
    return not names or family.name in names or not names.isdisjoint((family.base, *family.samples))
