"""Who depends on whom, in which order they start, and whether a condition holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor.core.model import Condition, Kind, UnitKey, UnitSpec
from supervisor.core.state import State, Unit, Want

_STARTED = frozenset({State.STARTING, State.RUNNING})


def holds(condition: Condition, unit: Unit) -> bool:
    """Whether `unit` meets `condition`. Completed conditions stay satisfied; a oneshot is ready when it has succeeded."""
    if condition is Condition.COMPLETED:
        return unit.completed
    if condition is Condition.COMPLETED_OK:
        return unit.completed_ok
    if unit.spec.kind is Kind.ONESHOT:
        return unit.completed_ok or (condition is Condition.STARTED and unit.state in _STARTED)
    return unit.state is State.RUNNING or (condition is Condition.STARTED and unit.state in _STARTED)


def cycle(specs: Mapping[str, UnitSpec]) -> tuple[str, ...]:
    """One dependency cycle as (a, b, a), or an empty tuple. Names that do not exist are passed over."""
    done: set[str] = set()
    for root in specs:
        path: list[str] = []
        stack: list[tuple[str, bool]] = [(root, False)]
        while stack:
            name, leaving = stack.pop()
            if leaving:
                done.add(path.pop())
            elif name in path:
                return (*path[path.index(name) :], name)
            elif name not in done and name in specs:
                path.append(name)
                stack.append((name, True))
                stack.extend((need, False) for need in specs[name].depends_on)
    return ()


class Graph:
    """The dependencies of one configuration; `leaving` are services that left it and still live."""

    def __init__(self, specs: Mapping[str, UnitSpec], leaving: Mapping[str, UnitSpec] | None = None) -> None:
        specs = {**(leaving or {}), **specs}
        self._keys = {name: spec.keys() for name, spec in specs.items()}
        self._dependents: dict[str, list[str]] = {}
        for name, spec in specs.items():
            for need in spec.depends_on:
                self._dependents.setdefault(need, []).append(name)
        self._rank = self._ranks(specs) if self._dependents else {}

    def keys(self, service: str) -> tuple[UnitKey, ...]:
        """The units of one service."""
        return self._keys.get(service, ())

    def dependents(self, service: str) -> Iterable[str]:
        """The services that depend on `service` directly."""
        return self._dependents.get(service, ())

    def ordered(
        self, keys: Iterable[UnitKey], units: Mapping[UnitKey, Unit], *, backwards: bool = False
    ) -> list[UnitKey]:
        """Dependencies first, then by priority, then as configured; `backwards` for stopping."""
        ranked = sorted(keys, key=lambda key: (self._rank.get(key.service, 0), units[key].spec.priority))
        return ranked[::-1] if backwards else ranked

    def with_dependencies(self, keys: Iterable[UnitKey], units: Mapping[UnitKey, Unit]) -> list[UnitKey]:
        """`keys` and before them all that they need and that the operator had stopped, dependencies first."""
        found = dict.fromkeys(key for key in keys if key in units)
        queue = list(found)
        while queue:
            for need in units[queue.pop()].spec.depends_on:
                for key in self.keys(need):
                    unit = units.get(key)
                    if unit is not None and key not in found and unit.want is Want.DOWN:
                        found[key] = None
                        queue.append(key)
        return self.ordered(found, units) if self._rank else list(found)

    @staticmethod
    def _ranks(specs: Mapping[str, UnitSpec]) -> dict[str, int]:
        """The length of the longest chain of dependencies below each service; configurations have no cycle."""
        ranks: dict[str, int] = {}
        stack = list(specs)
        while stack:
            name = stack[-1]
            needs = [need for need in specs[name].depends_on if need in specs]
            missing = [need for need in needs if need not in ranks]
            if missing:
                stack.extend(missing)
                continue
            ranks[name] = 1 + max((ranks[need] for need in needs), default=-1)
            stack.pop()
        return ranks
