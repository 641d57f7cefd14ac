"""What became of processes that are gone: whether an ancestor has their figures. Pure; the rules are in `accounts`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from metrics.sampler.snapshot import Figures, Member, Members, four, there, total


class Top(NamedTuple):
    """A main process, and its `place` among the members now. `held` is missing below it since before.

    One that is not there any more is `gone`, as it was last seen: of its end, only totals are known.
    """

    place: int
    held: Figures
    gone: Member | None


def unabsorbed(before: Members, now: Members, top: Top) -> tuple[Figures, Figures]:
    """What is missing from `now` and in no ancestor's growth: below nobody who is left, and below a whole top."""
    lost, above = [0] * 4, [0] * 4
    needs: dict[int, list[int]] = {top.place: list(top.held)} if any(top.held) else {}
    for pid, was in before.items():
        if was is not top.gone and not there(pid, was, now):
            heir = _heir(was, before, now, top)
            _add(lost if heir is None else needs.setdefault(heir, [0] * 4), total(was))
    while needs:
        pid = max(needs, key=lambda one: _depth(one, now))
        whole = top.gone is not None and pid == top.place
        rest = _short(needs.pop(pid), top.gone if whole else before.get(pid), now[pid], parts=not whole)
        parent = now[pid].parent
        if whole:
            _add(above, rest)
        elif any(rest):
            _add(lost if parent not in now else needs.setdefault(parent, [0] * 4), rest)
    return four(lost), four(above)


def _add(to: list[int], figures: Figures) -> None:
    for at in range(4):
        to[at] += figures[at]


def _short(need: Sequence[int], was: Member | None, now: Member, *, parts: bool) -> Figures:
    """How much of `need` the process did not grow by."""
    if was is None or was.started != now.started:
        was = now._replace(user=0, system=0, read=0, written=0, waited_user=0, waited_system=0)
    grown = [new - old for new, old in zip(total(now), total(was), strict=True)]
    if parts:
        grown[0], grown[1] = now.waited_user - was.waited_user, now.waited_system - was.waited_system
    a, b, c, d = (max(0, need[at] - max(0, grown[at])) for at in range(4))
    return a, b, c, d


def _heir(gone: Member, before: Members, now: Members, top: Top) -> int | None:
    """The nearest ancestor that is still there: who waited for `gone` is it, or above it. None where there is none."""
    pid = gone.parent
    for _ in range(len(before) + 1):
        one, link = now.get(pid), before.get(pid)
        if link is None:
            # Not seen last time, though it was there, if it is older.
            return pid if one is not None and one.started <= gone.started else None
        if one is not None and one.started == link.started:
            return pid
        if link is top.gone:
            return top.place
        pid = link.parent
    return None


def _depth(pid: int, now: Members) -> int:
    """Steps to the top of the tree."""
    steps = 0
    while pid in now and steps <= len(now):
        pid, steps = now[pid].parent, steps + 1
    return steps
