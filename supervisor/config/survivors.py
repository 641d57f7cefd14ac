"""Which services are in, once broken includes are left out, and what that leaves out in turn.

Rules: a service that nobody has is a problem of the file that asks for it; one that a broken include has, or might
have, costs the service that needs it, wherever that is, and says why. Looked at until nothing more falls out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from supervisor.config.dependencies import cycles
from supervisor.config.parts import Part
from supervisor.config.problem import Problem, dotted, nearest, quoted


class Survivors:
    """The services of some parts; `needs` are the dependencies of each, defaults included."""

    def __init__(self, parts: Iterable[Part], needs: Mapping[str, Iterable[str]]) -> None:
        self.parts = tuple(parts)
        self.needs = needs
        self._left: dict[str, Problem] = {}
        self._cut: dict[Problem, None] = {}

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is broken, and what was left out because of it."""
        broken = (problem for part in self.parts if part.broken for problem in part.problems)
        return (*broken, *self._left.values(), *self._cut)

    def alive(self) -> dict[str, Part]:
        """The services that are in, each with its part, in the order of the files."""
        return {name: part for part in self._whole() for name in part.services if name not in self._left}

    def settle(self) -> None:
        """Find what is missing or goes in circles, until nothing more falls out."""
        before = None
        while before != (alive := self.alive()):
            before = alive
            for name, part in alive.items():
                for need in self.needs[name]:
                    if need not in alive:
                        self._missing(part, name, need)
            self._circles(alive)
            for part in self._whole():
                self._members(part, alive)

    def _whole(self) -> Iterator[Part]:
        return (part for part in self.parts if not part.broken)

    def _missing(self, part: Part, name: str, need: str) -> None:
        path = ("service", name, "depends_on", need)
        away = self._why_away(need)
        if away is None:
            part.problem(path, f"no such service{nearest(need, self.needs)}")
        else:
            self._left[name] = Problem(part.label, dotted(path), f"{name} is left out: {away}")

    def _why_away(self, name: str) -> str | None:
        """Why a service is not in; None where it is nowhere, and every include could be read."""
        if name in self._left:
            return f"{name} is left out"
        for part in self.parts:
            if part.broken and (part.missing or name in part.services):
                return f"{name} is not there, and {part.label} is broken"
        return None

    def _circles(self, alive: Mapping[str, Part]) -> None:
        """A cycle is the fault of the includes in it, or else of the main file."""
        for cycle in cycles({name: self.needs[name] for name in alive}):
            parts = [alive[name] for name in cycle]
            for part in [part for part in parts if part.included] or parts[:1]:
                part.problem(("service", cycle[0], "depends_on"), f"dependency cycle: {' -> '.join(cycle)}")

    def _members(self, part: Part, alive: Mapping[str, Part]) -> None:
        known = {group for other in self.parts for group in other.groups}
        for group, found in part.groups.items():
            for member in found.get("services", ()):
                if member not in alive and member not in known - {group}:
                    self._unknown(part, group, member)

    def _unknown(self, part: Part, group: str, member: str) -> None:
        path = ("group", group, "services")
        away = self._why_away(member)
        if away is None:
            part.problem(path, f"no service {quoted(member)}{nearest(member, self.needs)}")
        else:
            self._cut.setdefault(Problem(part.label, dotted(path), away))

    def groups(self) -> dict[str, tuple[str, ...]]:
        """The groups that are in, with their members that are; a group as a member stands for its own members."""
        alive = self.alive()
        given = {group: found.get("services", ()) for part in self._whole() for group, found in part.groups.items()}
        groups = {}
        for group, members in given.items():
            names = (name for member in members for name in ((member,) if member in alive else given.get(member, ())))
            groups[group] = tuple(dict.fromkeys(name for name in names if name in alive))
        return groups


def memberships(groups: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The groups that each service is in."""
    found: dict[str, tuple[str, ...]] = {}
    for group, members in groups.items():
        for name in members:
            found[name] = (*found.get(name, ()), group)
    return found
