"""Which units the names of a command mean: services, globs, replicas (`web:2`) and groups (`back`, `back:*`, `back:db`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from supervisor.core.model import UnitKey


class UnknownNameError(Exception):
    """No unit bears a name; the text says which, and what is nearest."""


def choose(names: Iterable[str], keys: Iterable[UnitKey], groups: Mapping[str, tuple[str, ...]]) -> tuple[UnitKey, ...]:
    """The units that `names` mean, each once, in the order of the names. Raises UnknownNameError for the first that means
    none; "all" means all, as supervisorctl has it."""
    present = list(keys)
    found: dict[UnitKey, None] = {}
    for name in names:
        matches = _meant(name, present, groups)
        if not matches:
            raise UnknownNameError(_complaint(name, present, groups))
        found.update(dict.fromkeys(matches))
    return tuple(found)


def _meant(name: str, keys: list[UnitKey], groups: Mapping[str, tuple[str, ...]]) -> list[UnitKey]:
    from fnmatch import fnmatchcase  # noqa: PLC0415 - the daemon itself never needs it

    exact = [key for key in keys if key.service == name]
    if exact:
        return exact
    head, colon, tail = name.partition(":")
    if not colon:
        if name == "all" or name in groups:
            members = groups.get(name)
            return [key for key in keys if members is None or key.service in members]
        return [key for key in keys if fnmatchcase(key.service, name)]
    if head in groups:
        return [key for key in keys if key.service in groups[head] and fnmatchcase(key.service, tail or "*")]
    return [key for key in keys if fnmatchcase(key.service, head) and fnmatchcase(str(key.replica), tail or "*")]


def _complaint(name: str, keys: list[UnitKey], groups: Mapping[str, tuple[str, ...]]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

    known = list(dict.fromkeys([*(key.service for key in keys), *groups]))
    near = get_close_matches(name.partition(":")[0], known, 1)
    return f"no service {name}" + (f" (did you mean {near[0]}?)" if near and near[0] != name else "")
