"""The outcome of comparisons: how many figures were held against the truth, and each that differs."""

from __future__ import annotations

from collections import Counter

from tests.soak.ledger import Span


class Verdict:
    """Collects; a difference is one line with truth and figure."""

    def __init__(self) -> None:
        self.compared: Counter[str] = Counter()
        self.differences: list[str] = []
        self.place = ""

    def _differs(self, what: str, truth: object, figure: object) -> None:
        self.differences.append(f"{self.place}: {what}: truth {truth}, figure {figure}")

    def same(self, family: str, who: str, truth: float | str | None, figure: float | str | None) -> None:
        """The figure is exactly this; None is no series at all."""
        self.compared[family] += 1
        if figure != truth:
            self._differs(f"{family} {who}", truth, figure)

    def within(
        self, family: str, who: str, truth: tuple[float, float], figure: float | None, slack: float = 0.0
    ) -> None:
        """The figure lies between two bounds, or at most `slack` outside."""
        self.compared[family] += 1
        least, most = truth
        if figure is None or not least - slack <= figure <= most + slack:
            self._differs(f"{family} {who}", f"{least:.9f} to {most:.9f}", figure)

    def holds(self, what: str, true: bool, detail: object = "") -> None:
        """Something that must be so."""
        self.compared[what] += 1
        if not true:
            self._differs(what, "so", f"not so: {detail}")


def around(value: float, slack: float) -> Span:
    """A value and what it may be off."""
    return Span(value - slack, value + slack)
