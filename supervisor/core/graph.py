"""Who depends on whom, in which order they start, and whether a condition holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from supervisor.core.model import Condition, Kind
from supervisor.core.state import State, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from supervisor.core.model import UnitKey, UnitSpec

#: Whether a unit is down, or will be, because somebody wants it so.
Down = Callable[[Unit], bool]
_STARTED = frozenset({State.STARTING, State.RUNNING})


def holds(condition: Condition, unit: Unit) -> bool:
    """Whether `unit` meets `condition`. Completed conditions stay satisfied; a oneshot is ready once it succeeded."""
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
    """The dependencies of one configuration; `leaving` are units that left it and are still here."""

    def __init__(self, specs: Mapping[str, UnitSpec], leaving: Iterable[Unit] = ()) -> None:
        leaving = tuple(leaving)
        self._keys = {name: spec.keys() for name, spec in specs.items()}
        self._members = {name: list(keys) for name, keys in self._keys.items()}
        self._dependents: dict[str, dict[str, None]] = {}
        for unit in leaving:
            self._members.setdefault(unit.key.service, []).append(unit.key)
        for spec in (*specs.values(), *(unit.spec for unit in leaving)):
            for need in spec.depends_on:
                self._dependents.setdefault(need, {})[spec.name] = None
        self._rank = self._ranks(specs) if self._dependents else {}

    def keys(self, service: str) -> tuple[UnitKey, ...]:
        """The units of one service, as configured."""
        return self._keys.get(service, ())

    def members(self, service: str) -> Iterable[UnitKey]:
        """The units of one service, with those that are leaving."""
        return self._members.get(service, ())

    def above(self, service: str) -> Iterator[UnitKey]:
        """The units of the services that depend on `service`, as they are configured or were when they left."""
        for name in self._dependents.get(service, ()):
            yield from self._members[name]

    def ordered(
        self, keys: Iterable[UnitKey], units: Mapping[UnitKey, Unit], *, backwards: bool = False
    ) -> list[UnitKey]:
        """Dependencies first, then by priority, then as configured; `backwards` for stopping."""
        ranked = sorted(keys, key=lambda key: (self._rank.get(key.service, 0), units[key].spec.priority))
        return ranked[::-1] if backwards else ranked

    def with_dependencies(self, keys: Iterable[UnitKey], units: Mapping[UnitKey, Unit], down: Down) -> list[UnitKey]:
        """`keys` and before them all that they need and that is `down`, dependencies first."""
        found = dict.fromkeys(key for key in keys if key in units)
        queue = list(found)
        while queue:
            for need in units[queue.pop()].spec.depends_on:
                for key in self.keys(need):
                    if key not in found and key in units and down(units[key]):
                        found[key] = None
                        queue.append(key)
        return self.ordered(found, units) if self._rank else list(found)

    @staticmethod
    def _ranks(specs: Mapping[str, UnitSpec]) -> dict[str, int]:
        """The length of the longest chain of dependencies below each service; a configuration has no cycle."""
        ranks: dict[str, int] = {}
        stack = [(name, False) for name in specs]
        while stack:
            name, needs_ranked = stack.pop()
            needs = [need for need in specs[name].depends_on if need in specs]
            if needs_ranked:
                ranks[name] = 1 + max((ranks[need] for need in needs), default=-1)
            elif name not in ranks:
                ranks[name] = 0
                stack.append((name, True))
                stack.extend((need, False) for need in needs)
        return ranks
