"""Counters and gauges of the daemon, for every thread: a short lock around a dictionary a family."""

from __future__ import annotations

from threading import Lock

from metrics.catalog import BY_NAME, OTHER, Family, Kind

Labels = tuple[str, ...]


def closed(family: Family, labels: Labels) -> Labels:
    """Return the label values, "other" for what is not on a closed list. ValueError for a wrong number of them."""
    if len(labels) != len(family.labels):
        raise ValueError(f"cannot count {family.name}: it has the labels {', '.join(family.labels) or 'none'}")
    allowed = dict(family.values)
    return tuple(
        value if value in allowed.get(name, (value,)) else OTHER
        for name, value in zip(family.labels, labels, strict=True)
    )


def _start(family: Family) -> dict[Labels, float]:
    """Return what a counter that is built shows before anything happened: 0 where the label values are known."""
    if family.since is None:
        return {}
    if len(family.labels) == 1:
        return {(value,): 0.0 for value in family.initial}
    return {(): 0.0} if not family.labels else {}


class Tally:
    """Values by family and label values. Counters of the daemon exist from the start, at 0 where that is known."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._values: dict[str, dict[Labels, float]] = {}

    def _of(self, name: str) -> dict[Labels, float]:
        """Return the values of a family; KeyError for one that the catalogue does not have."""
        found = self._values.get(name)
        if found is None:
            family = BY_NAME[name]
            found = self._values[name] = _start(family) if family.kind is Kind.COUNTER else {}
        return found

    def add(self, name: str, labels: Labels, amount: float) -> None:
        """Raise a counter by `amount`. ValueError for a negative amount: counters never go back."""
        if amount < 0:
            raise ValueError(f"cannot count {name}: {amount} is negative")
        with self._lock:
            values = self._of(name)
            before = values.get(labels)
            if before is None:
                labels = closed(BY_NAME[name], labels)
                before = values.get(labels, 0.0)
            values[labels] = before + amount

    def put(self, name: str, labels: Labels, value: float) -> None:
        """Set a gauge."""
        with self._lock:
            self._of(name)[closed(BY_NAME[name], labels)] = value

    def read(self, name: str) -> list[tuple[Labels, float]]:
        """Return a copy of the values of one family."""
        with self._lock:
            return list(self._of(name).items())

    def export(self) -> dict[str, list[tuple[Labels, float]]]:
        """Return a copy of all counters; gauges are set anew by whoever knows them."""
        with self._lock:
            return {
                name: list(values.items())
                for name, values in self._values.items()
                if BY_NAME[name].kind is Kind.COUNTER
            }
