"""The sampler's accounts against a simulated kernel: never falling, never above the truth, exact where they can be."""

from __future__ import annotations

import json
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics.sampler.accounts import Account
from metrics.sampler.snapshot import NO_GROUP, NOBODY, NOTHING, Figures, Group, Member, microseconds
from supervisor.core.state import Consumed
from tests.metrics.sampling import KINDS, Kernel, Proc

#: What may happen, as often as it stands here.
ACTIONS = (
    "use use use use fork fork die die die wait wait ignore subreaper end reap look look look look look carry".split()
)
SEEDS = st.integers(0, 1 << 32)
STEPS = 150


class Replica:
    """A simulated kernel under an account: what the sampler would do with one replica."""

    def __init__(self) -> None:
        self.kernel = Kernel()
        self.account = Account()
        self.life = 0
        self.main = NOBODY
        self.ends: list[tuple[int, Consumed | None]] = []
        self.untold: Consumed | None = None
        self.launch()

    def launch(self) -> None:
        """A new life, if none is there; what is left of the last one was swept."""
        for proc in list(self.kernel.living.values()):
            if not proc.dead:
                self.kernel.die(proc)
        self.life += 1
        main = self.kernel.launch()
        self.main = main.pid, main.started

    def look(self) -> Figures:
        """One pass of the sampler; the counters after it. A main process that is gone untold is still in the view."""
        ends, self.ends = self.ends, []
        self.account.step(self.life, self.main, self.kernel.snapshot(), ends)
        return self.account.counted

    def die(self) -> None:
        """The main process dies and is reaped; that is not told yet."""
        main = self.kernel.main
        if main is not None:
            self.kernel.die(main)
            self.untold = self.kernel.reap()

    def end(self) -> None:
        """The end of the main process is told; then the next life begins."""
        self.die()
        self.ends.append((self.life, self.untold))
        self.main = NOBODY
        self.launch()

    def chosen(self, number: int) -> Proc:
        """One of the living, by any number; a new one where none is left."""
        living = [proc for proc in self.kernel.living.values() if not proc.dead]
        if not living:
            self.end()
            return self.chosen(number)
        return living[number % len(living)]

    def act(self, chance: Random, *, gentle: bool) -> bool:
        """Let something happen, in a gentle world nothing that is not waited for; whether it is time to look."""
        action, proc = chance.choice(ACTIONS), self.chosen(chance.randrange(1000))
        match action:
            case "use":
                self.kernel.use(proc, chance.randrange(KINDS), chance.randrange(1, 50_000))
            case "fork":
                self.kernel.fork(proc)
            case "die" if proc is not self.kernel.main and not (gentle and self.children(proc)):
                self.kernel.die(proc)
            case "wait":
                self.kernel.wait(proc)
            case "ignore" if not gentle:
                proc.ignores = not proc.ignores
            case "subreaper" if not gentle:
                proc.subreaper = True
            case "end" | "reap" if chance.random() < 0.3:
                if gentle:
                    self.settle()
                (self.end if action == "end" else self.die)()
            case "carry":
                self.account = Account.restored(json.loads(json.dumps(self.account.export())))
        return action == "look"

    def children(self, proc: Proc) -> bool:
        """Whether a process has any."""
        return any(one.parent is proc for one in self.kernel.living.values())

    def settle(self) -> None:
        """Everyone but main ends and is waited for, the youngest first: what a well written program does."""
        for proc in sorted(self.kernel.living.values(), key=lambda one: -one.started):
            if proc.parent is not None:
                if not proc.dead:
                    self.kernel.die(proc)
                self.kernel.wait(proc.parent)


@given(seed=SEEDS, reused=st.booleans())
def test_counters_never_fall_and_never_exceed_the_truth(seed: int, reused: bool) -> None:
    """Whatever dies unwaited-for, is reparented, or takes a used pid: no figure falls, none is above what was used."""
    replica, chance, last = Replica(), Random(seed), NOTHING
    for _ in range(STEPS):
        if reused:
            replica.kernel.pids = [pid for pid in range(2, 9) if pid not in replica.kernel.living]
        if replica.act(chance, gentle=False):
            now = replica.look()
            assert all(before <= after for before, after in zip(last, now, strict=True))
            assert all(told <= true for told, true in zip(now, replica.kernel.truth, strict=True))
            last = now


@given(seed=SEEDS)
def test_all_is_told_where_all_is_waited_for(seed: int) -> None:
    """Where every parent waits for its children, the counters are the truth at each look, however seldom one looks."""
    replica, chance = Replica(), Random(seed)
    for _ in range(STEPS):
        if replica.act(chance, gentle=True) and replica.kernel.main is not None:
            assert tuple(replica.kernel.truth) == replica.look()
    replica.settle()
    replica.end()
    assert tuple(replica.kernel.truth) == replica.look()


@given(seed=SEEDS)
def test_what_was_seen_is_never_lost(seed: int) -> None:
    """The processor time that a process had used when it was last seen stays in the counters, whatever became of it."""
    replica, chance, seen = Replica(), Random(seed), dict[int, list[int]]()
    for _ in range(STEPS):
        if replica.act(chance, gentle=False):
            told = replica.look()
            seen |= {proc.started: proc.own[:2] for proc in replica.kernel.living.values()}
            least = [sum(kinds) for kinds in zip(*seen.values(), strict=True)]
            assert all(one >= sure for one, sure in zip(told, least, strict=False))


def member(pid: int, parent: int, user: int = 0, waited: int = 0, started: int | None = None, read: int = 0) -> Member:
    """A process that started at the moment of its pid, unless told otherwise."""
    return Member(pid, parent, pid if started is None else started, user, 0, read, 0, waited, 0)


def tree(*members: Member) -> dict[int, Member]:
    """A snapshot."""
    return {one.pid: one for one in members}


MAIN = (10, 10)


def test_a_subreaper_above_the_parent_has_waited() -> None:
    """A daemon whose parent died is waited for by the subreaper above it: counted there, and not a second time."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1), member(11, 10), member(12, 11), member(13, 12, user=50)), [])
    # 13 was left by 12 to main, which is a subreaper, and is gone; 12 was waited for by 11, which still lives.
    account.step(1, MAIN, tree(member(10, 1, user=60, waited=60), member(11, 10)), [])
    assert (60, 0, 0, 0) == account.counted


def test_what_took_the_pid_of_a_parent_inherits_nothing() -> None:
    """A new process with the pid of a dead parent has not waited for that one's children."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1), member(12, 11, user=50)), [])
    account.step(1, MAIN, tree(member(10, 1), member(11, 10, user=40, waited=40, started=90)), [])
    assert (90, 0, 0, 0) == account.counted


def test_what_a_missing_main_process_waited_for_is_counted_once() -> None:
    """Between the death of main and the news of it nothing moves, nor over a change of daemon; then its figures say."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1, user=10), member(11, 10, user=5)), [])
    account.step(1, MAIN, tree(), [])
    assert (15, 0, 0, 0) == account.counted
    account = Account.restored(json.loads(json.dumps(account.export())))
    account.step(1, MAIN, tree(), [])
    assert (15, 0, 0, 0) == account.counted
    account.step(1, NOBODY, tree(), [(1, Consumed(17e-6, 0.0, 0, 0, 0))])
    assert (17, 0, 0, 0) == account.counted


def test_a_life_too_short_to_be_seen_is_counted() -> None:
    """A crash loop between two looks is told by final figures alone."""
    account = Account()
    account.step(7, NOBODY, tree(), [(life, Consumed(0.25, 0.125, 4096, 512, 0)) for life in range(1, 8)])
    assert (1_750_000, 875_000, 7 * 4096, 7 * 512) == account.counted


def test_an_end_without_figures_settles_what_was_seen() -> None:
    """A life that was not our child ends with what was last seen of it."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1, user=10)), [])
    account.step(1, NOBODY, tree(), [(1, None)])
    assert (10, 0, 0, 0) == account.counted


def test_bytes_that_cannot_be_read_are_not_zero() -> None:
    """While a process forbids the look, its bytes stand still; then they go on."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1, read=100)), [])
    account.step(1, MAIN, tree(member(10, 1)._replace(read=None, written=None)), [])
    assert 100 == account.counted[2]
    account.step(1, MAIN, tree(member(10, 1, read=130)), [])
    assert 130 == account.counted[2]


def test_an_inherited_life_is_counted_from_the_first_look() -> None:
    """What a predecessor has counted of a life, to a moment unknown, is not counted again; what comes after is."""
    account = Account((1_000, 0, 0, 0), inherited=3)
    account.step(3, MAIN, tree(member(10, 1, user=700)), [])
    assert (1_000, 0, 0, 0) == account.counted
    account.step(4, NOBODY, tree(), [(3, Consumed(900e-6, 0.0, 0, 0, 0)), (4, Consumed(5e-6, 0.0, 0, 0, 0))])
    assert (1_205, 0, 0, 0) == account.counted
    unseen = Account((1_000, 0, 0, 0), inherited=3)
    unseen.step(3, NOBODY, tree(), [(3, Consumed(900e-6, 0.0, 0, 0, 0))])
    assert (1_000, 0, 0, 0) == unseen.counted


def group(user: int, identity: int = 1, throttled: int | None = None, stalled: int | None = None) -> Group:
    """What a control group counted."""
    return Group(identity, user, 0, None, None, throttled, None if stalled is None else (stalled, 0, 0))


def test_a_group_takes_the_place_of_its_processes_from_the_second_reading_on() -> None:
    """The first reading tells where the group stood, which may be before the life; from then on it tells all."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1, user=100)), [], group(5_000))
    assert 100 == account.counted[0]
    account.step(1, MAIN, tree(member(10, 1, user=100)), [], group(5_250))
    assert 350 == account.counted[0]


def test_a_group_made_anew_begins_again() -> None:
    """A life in a new group of the old name is counted by its processes, then by the group."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1, user=100)), [], group(100))
    account.step(
        2, (20, 20), tree(member(20, 1, user=30)), [(1, Consumed(150e-6, 0.0, 0, 0, 0))], group(30, identity=2)
    )
    assert 180 == account.counted[0]
    account.step(2, (20, 20), tree(member(20, 1, user=30)), [], group(70, identity=2))
    assert 220 == account.counted[0]


def test_a_group_that_goes_with_its_life_leaves_the_final_figures() -> None:
    """Where the group is gone, what ended is told by its final figures; where it is there, it has told already."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1, user=100)), [], group(100))
    account.step(1, NOBODY, tree(), [(1, Consumed(150e-6, 0.0, 0, 0, 0))], None)
    assert 150 == account.counted[0]
    shared = Account()
    shared.step(1, MAIN, tree(member(10, 1, user=100)), [], group(100))
    shared.step(1, NOBODY, tree(), [(1, Consumed(150e-6, 0.0, 0, 0, 0))], group(160))
    assert 160 == shared.counted[0]


def test_what_a_group_was_not_read_for_is_counted_once() -> None:
    """A pass without the group is told by the processes; the group goes on after it, over a change of daemon too."""
    account = Account()
    account.step(1, MAIN, tree(member(10, 1, user=100)), [], group(100))
    account.step(1, MAIN, tree(member(10, 1, user=130)), [])
    account = Account.restored(json.loads(json.dumps(account.export())))
    account.step(1, MAIN, tree(member(10, 1, user=150)), [], group(150))
    assert 150 == account.counted[0]
    account.step(1, MAIN, tree(member(10, 1, user=170)), [], group(180))
    assert 180 == account.counted[0]


def test_stalls_count_on_over_groups_and_pauses() -> None:
    """Throttling and pressure are counters of the replica: groups come and go, and so does the wish to know."""
    account = Account()
    for one in (group(0, 1, 10, 7), group(0, 1), group(0, 1, 30, 9), group(0, 2, 5, 1)):
        account.step(1, MAIN, tree(member(10, 1)), [], one)
    assert (35, (10, 0, 0)) == (account.throttled, account.stalled)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.30000000000000004, 1234.567891, 12345678.123456])
def test_a_counter_taken_over_does_not_fall(seconds: float) -> None:
    """Whole microseconds that stand for seconds are never less than those, and less than one more."""
    assert seconds <= microseconds(seconds) / 1e6 < seconds + 2e-6


def test_nothing_is_nothing() -> None:
    """An account of a replica that never lived stays at zero, with and without a group."""
    account = Account()
    account.step(0, NOBODY, {}, [], NO_GROUP)
    account.step(0, NOBODY, {}, [])
    assert NOTHING == account.counted
