"""What a replica has used in all its lives: snapshots of its process tree in, counters out. Pure.

The truth is what every process that ever belonged to the replica used. The kernel keeps it of a process while there is
one, and adds it to the parent that waits for it; of what dies otherwise, the last that was seen is all there is.

Rules
- Counters never fall and never tell more than the truth; they tell all of it where every parent waits for its children
  and the main process's end is told with its final figures.
- The total of a process is its own use with that of the children it waited for. While the same processes are there,
  the replica used what their totals grew by; a new one adds its whole total, for it is younger than the last snapshot.
- A process that is gone was either waited for, and then its total is within what an ancestor's children-part grew by;
  or it was not (its parent ignores SIGCHLD, or died first, and the daemon reaped it), and then its last total would be
  lost. Which of the two cannot be asked any more. So each ancestor is held against what is missing below it, nearest
  first: what its children-part did not grow by goes on to the next, and what none of them has is kept as it was last.
  An ancestor that also waited for a child never seen can hide such a loss; it can never be counted twice.
- Of bytes, and of a main process that is gone, the kernel tells no parts: there the growth of the whole total takes the
  place of the children-part, with the same consequence.
- A main process that is missing from a snapshot, with its end not told yet, stays as it was last seen, and so does what
  is missing below it, until its end is told. Its end settles it: final figures in place of the last seen. A life that
  was never seen is counted by its final figures alone, however short it was.
- A life that a predecessor counted up to a moment nobody knows (`inherited`) is counted from the first snapshot on.
- Where a control group is the replica's own, its counters are used in place of all this from the second reading on:
  the first only says where they stood. One that is made anew, or was not read, begins again in that way. In an interval
  with deaths the greater of both counts, for a group may have gone with its life.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from metrics.sampler.heirs import Top, unabsorbed
from metrics.sampler.snapshot import (
    NO_GROUP,
    NOBODY,
    NOTHING,
    Figures,
    Group,
    Identity,
    Member,
    Members,
    all_there,
    figures,
    four,
    growth,
    plus,
    sum_of,
    there,
    three,
    total,
)
from supervisor.core.state import Consumed

#: The ends of lives since the last snapshot: number of the life, and its final figures where it was our child.
Ends = Sequence[tuple[int, Consumed | None]]


class Account:
    """The counters of one replica. `opening` is what they stood at; `inherited` the life that is in there in part."""

    __slots__ = (
        "counted", "gap", "group", "held", "inherited", "life", "main", "members", "seeded", "stalled", "throttled",
    )  # fmt: skip

    def __init__(self, opening: Figures = NOTHING, inherited: int | None = None) -> None:
        self.counted: Figures = opening
        self.seeded = any(opening)
        self.inherited = inherited
        self.life, self.main = 0, NOBODY
        self.members: dict[int, Member] = {}
        self.held: Figures = NOTHING
        self.group: Group | None = None
        self.gap = False
        self.throttled: int | None = None
        self.stalled: tuple[int, int, int] | None = None

    def step(
        self, life: int, main: Identity, members: dict[int, Member], ends: Ends, group: Group | None = None
    ) -> None:
        """Take a snapshot of the life `life`: its main process, or NOBODY, and its whole tree.

        `ends` are the lives that ended since the last one, the present life too if it did. `members` is kept.
        """
        _complete(self.members, members)
        if self.inherited is not None:
            ends = [end for end in ends if end[0] != self.inherited]
            if life == self.inherited:
                self.life, self.main, self.members = life, main, members
            self.inherited = None
        grown = self._grown(life, members, ends)
        if group is not None or self.group is not None:
            grown = self._by_group(grown, group, ended=bool(ends))
        self.counted = plus(self.counted, grown)
        self.life, self.main, self.members = life, main, members

    def _grown(self, life: int, members: dict[int, Member], ends: Ends) -> Figures:
        """What the tree used since the last snapshot, by its processes."""
        before = self.members
        if not ends and self.held is NOTHING and all_there(before, members):
            return growth(sum_of(before), sum_of(members), NOTHING)
        grown, final = self._ended(life, ends)
        now, pending, place = dict(members), False, self._place()
        was, gone = before.get(place), None
        if was is not None and not there(place, was, now):
            gone = was
            # Its pid may be another's by now, even one of its own descendants': a pid below 0 is nobody's.
            place = -self.main[0] if self.main[0] in now else place
            if final is None:
                # Its end is known to none yet: it stays in the account as it was.
                pending = True
                members[place] = was
            now[place] = final or was
        lost, held = unabsorbed(before, now, Top(place, self.held, gone))
        if not pending:
            lost, held = plus(lost, held), NOTHING
        grown = plus(grown, growth(plus(sum_of(before), self.held), sum_of(now), plus(lost, held)))
        self.held = held if any(held) else NOTHING
        return grown

    def _place(self) -> int:
        """The key of the main process among the members."""
        pid, started = self.main
        one = self.members.get(pid)
        return pid if one is not None and one.started == started else -pid

    def _ended(self, life: int, ends: Ends) -> tuple[Figures, Member | None]:
        """What lives that were never seen used; and the main process as it was at its end, if it was seen and ended."""
        unseen, final = NOTHING, None
        was = self.members.get(self._place())
        for number, consumed in ends:
            if was is not None and number == self.life:
                final = _last(was, consumed)
            elif consumed is not None:
                unseen = plus(unseen, figures(consumed))
        if was is not None and final is None and life != self.life:
            final = was  # nobody told of its end, yet another life is there
        return unseen, final

    def _by_group(self, grown: Figures, now: Group | None, *, ended: bool) -> Figures:
        """What the group says in place of `grown`, where this reading and the last one are of the same group."""
        was = self.group
        if now is None or was is None or was.identity != now.identity:
            self.gap = True
        else:
            # What is not asked for any more, for now: its counter stands still in our record, not in the kernel.
            now = now._replace(
                throttled=was.throttled if now.throttled is None else now.throttled,
                stalled=was.stalled if now.stalled is None else now.stalled,
            )
        if now is None:
            return grown
        begins = was is None or was.identity != now.identity
        base = now if begins and was is None and self.seeded else NO_GROUP if begins or was is None else was
        self._stalls(base, now)
        self.group, gap, self.gap = now, self.gap, False
        if gap or was is None:
            return grown
        a, b, c, d = (_told(was[at], now[at], grown[at - 1], ended) for at in range(1, 5))
        return a, b, c, d

    def _stalls(self, was: Group, now: Group) -> None:
        if now.throttled is not None:
            self.throttled = (self.throttled or 0) + max(0, now.throttled - (was.throttled or 0))
        if now.stalled is not None:
            old, base = self.stalled or (0, 0, 0), was.stalled or (0, 0, 0)
            self.stalled = three([old[at] + max(0, now.stalled[at] - base[at]) for at in range(3)])

    # --- for a successor --------------------------------------------------------------------------------------------

    def export(self) -> list[Any]:
        """Everything, as plain data that JSON can carry."""
        return [
            self.counted, self.life, self.main, list(self.members.items()), self.held, self.group, self.throttled,
            self.stalled, self.gap,
        ]  # fmt: skip

    @classmethod
    def restored(cls, state: Sequence[Any]) -> Account:
        """An account that goes on where `export` was. TypeError, ValueError or IndexError for what is none."""
        one = cls(four(state[0]))
        pid, started = map(int, state[2])
        one.life, one.main = int(state[1]), (pid, started)
        one.members = {int(place): Member(*member) for place, member in state[3]}
        one.held = four(state[4]) if any(state[4]) else NOTHING
        one.group = _group(state[5])
        one.throttled = state[6]
        one.stalled = None if state[7] is None else three(state[7])
        one.gap = bool(state[8])
        return one


def _group(state: Sequence[Any] | None) -> Group | None:
    if state is None:
        return None
    group = Group(*state)
    return group if group.stalled is None else group._replace(stalled=three(group.stalled))


def _told(was: Any, now: Any, grown: int, ended: bool) -> int:
    if was is None or now is None:
        return grown
    told: int = now - was
    return max(told, grown if ended else 0)


def _last(was: Member, consumed: Consumed | None) -> Member:
    """The member at its end: never less than it was."""
    if consumed is None:
        return was
    user, system, read, written = map(max, figures(consumed), total(was))
    return was._replace(user=user, system=system, read=read, written=written)


def _complete(before: Members, now: dict[int, Member]) -> None:
    """Put the last known bytes where they could not be read this time: unread is not zero."""
    for pid, member in now.items():
        if member[5] is None or member[6] is None:
            was = before.get(pid)
            known = was is not None and was.started == member.started
            read, written = (was.read, was.written) if was is not None and known else (0, 0)
            now[pid] = member._replace(read=read or 0, written=written or 0)
