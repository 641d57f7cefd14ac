"""Which units the names of a command mean: services, globs, replicas (`web:2`), groups (`back`, `back:*`, `back:db`).

Rules: what is called exactly so comes first, then a group, then a pattern; "all" means all, as supervisorctl has it. A
name that means nothing is a mistake, and all mistakes are told at once: nothing is done to the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor.core.model import UnitKey


class UnknownNameError(Exception):
    """No unit bears a name; the text says which, and what is nearest."""


def choose(names: Iterable[str], keys: Iterable[UnitKey], groups: Mapping[str, tuple[str, ...]]) -> tuple[UnitKey, ...]:
    """The units that `names` mean, each once, in the order of the names. UnknownNameError if any of them means none."""
    present: dict[str, list[UnitKey]] = {}
    for key in keys:
        present.setdefault(key.service, []).append(key)
    found: dict[UnitKey, None] = {}
    complaints = []
    for name in dict.fromkeys(names):
        matches = _meant(name, present, groups)
        found.update(dict.fromkeys(matches))
        if not matches:
            complaints.append(_complaint(name, present, groups))
    if complaints:
        raise UnknownNameError("; ".join(complaints))
    return tuple(found)


def _meant(name: str, present: Mapping[str, list[UnitKey]], groups: Mapping[str, tuple[str, ...]]) -> list[UnitKey]:
    if name in present:
        return present[name]
    head, colon, tail = name.partition(":")
    if colon:
        return _members(groups.get(head, ()), tail or "*", present) or _replicas(head, tail or "*", present)
    if name in groups:
        return _members(groups[name], "*", present)
    return _members(present, "*" if name == "all" else name, present)


def _members(services: Iterable[str], pattern: str, present: Mapping[str, list[UnitKey]]) -> list[UnitKey]:
    """The units of those services whose name matches."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - the daemon itself never needs it

    return [key for name in services if fnmatchcase(name, pattern) for key in present.get(name, ())]


def _replicas(service: str, pattern: str, present: Mapping[str, list[UnitKey]]) -> list[UnitKey]:
    """The units of the services that match `service` whose number matches."""
    from fnmatch import fnmatchcase  # noqa: PLC0415 - see _members

    return [key for key in _members(present, service, present) if fnmatchcase(str(key.replica), pattern)]


def _complaint(name: str, present: Mapping[str, list[UnitKey]], groups: Mapping[str, tuple[str, ...]]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    head, colon, _ = name.partition(":")
    if not present:
        return f"no service {name}: none is configured"
    if colon and head in groups:
        return f"no service {name}: the group has {_listed(groups[head])}"
    if colon and head in present:
        return f"no service {name}: the replicas of {head} are {_listed([str(key.replica) for key in present[head]])}"
    if any(sign in name for sign in "*?["):
        return f"no service {name}: nothing matches"
    if name in groups:
        return f"no service in group {name}"
    near = get_close_matches(head, [*present, *groups], 1)
    return f"no service {name}" + (f" (did you mean {near[0]}?)" if near else "")


def _listed(words: Iterable[str]) -> str:
    """The first few of them."""
    first, *rest = words
    return ", ".join([first, *rest[:9]]) + (f" and {len(rest) - 9} more" if len(rest) > 9 else "")
