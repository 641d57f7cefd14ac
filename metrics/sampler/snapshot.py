"""What the accounts reckon with: processes and control groups at one moment, and figures of four. Pure.

Processor time is in whole microseconds, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from supervisor.core.state import Consumed

#: User and system microseconds, bytes read and written.
Figures = tuple[int, int, int, int]
NOTHING: Figures = (0, 0, 0, 0)


class Member(NamedTuple):
    """One process at the moment of a snapshot; `pid` and `started` are its identity.

    `user`, `system`, `read` and `written` are totals; the bytes are None where they could not be read. `waited_user`
    and `waited_system` are the part of those that came from children.
    """

    pid: int
    parent: int
    started: int
    user: int
    system: int
    read: int | None
    written: int | None
    waited_user: int
    waited_system: int


class Group(NamedTuple):
    """The counters of a control group. `identity` is never given to another one; None is what it does not count."""

    identity: int
    user: int
    system: int
    read: int | None
    written: int | None
    throttled: int | None
    stalled: tuple[int, int, int] | None


#: Where a group stands that was just made.
NO_GROUP = Group(0, 0, 0, 0, 0, 0, (0, 0, 0))
#: A process: its pid, and its start time in any unit that tells it from others of its pid.
Identity = tuple[int, int]
NOBODY: Identity = (0, 0)
#: A tree at one moment, by pid.
Members = Mapping[int, Member]


def microseconds(seconds: float) -> int:
    """Whole microseconds, never less than `seconds`: a counter taken over must not fall."""
    whole = round(seconds * 1e6)
    return whole if whole / 1e6 >= seconds else whole + 1


def figures(consumed: Consumed) -> Figures:
    """The final figures of a life."""
    return round(consumed.user * 1e6), round(consumed.system * 1e6), consumed.read, consumed.written


def four(values: Sequence[int]) -> Figures:
    """Figures of any four whole numbers; ValueError for another count."""
    a, b, c, d = map(int, values)
    return a, b, c, d


def three(values: Sequence[int]) -> tuple[int, int, int]:
    """A tuple of three; ValueError for another count."""
    a, b, c = map(int, values)
    return a, b, c


def plus(one: Figures, other: Figures) -> Figures:
    """The sums, by kind."""
    if one is NOTHING or other is NOTHING:
        return other if one is NOTHING else one
    return one[0] + other[0], one[1] + other[1], one[2] + other[2], one[3] + other[3]


def growth(before: Figures, now: Figures, kept: Figures) -> Figures:
    """What `now` and what is `kept` are above `before`, by kind; never below 0."""
    return (
        max(0, now[0] + kept[0] - before[0]),
        max(0, now[1] + kept[1] - before[1]),
        max(0, now[2] + kept[2] - before[2]),
        max(0, now[3] + kept[3] - before[3]),
    )


def total(member: Member) -> Figures:
    """What one process used, with the children it waited for."""
    return member.user, member.system, member.read or 0, member.written or 0


def sum_of(members: Members) -> Figures:
    """What these processes used together."""
    user = system = read = written = 0
    for _, _, _, one, two, three_, four_, _, _ in members.values():
        user += one
        system += two
        read += three_ or 0
        written += four_ or 0
    return user, system, read, written


def there(pid: int, was: Member, now: Members) -> bool:
    """Whether this very process is still there: its pid, with its start time."""
    one = now.get(pid)
    return one is not None and one.started == was.started


def all_there(before: Members, now: Members) -> bool:
    """Whether none is gone."""
    for pid, was in before.items():  # a loop, not all(): every replica comes through here at each pass
        one = now.get(pid)
        if one is None or one[2] != was[2]:
            return False
    return True
