"""Who depends on whom, before there are specifications: cycles, all of them told at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def cycles(needs: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Dependency cycles as (a, b, a); none is left when these are cut. Unknown names are passed over."""
    done: set[str] = set()
    found: list[tuple[str, ...]] = []
    for root in needs:
        if root not in done:
            _walk(root, needs, done, found)
    return found


def _walk(root: str, needs: Mapping[str, Iterable[str]], done: set[str], found: list[tuple[str, ...]]) -> None:
    """Depth first without recursion: chains of services may be longer than Python's stack."""
    path = {root: iter(needs[root])}
    while path:
        name, rest = next(reversed(path.items()))
        need = next((need for need in rest if need in needs and need not in done), None)
        if need is None:
            done.add(name)
            del path[name]
        elif need in path:
            trail = list(path)
            found.append((*trail[trail.index(need) :], need))
        else:
            path[need] = iter(needs[need])
