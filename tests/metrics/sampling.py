"""A simulated kernel for the accounts: processes that use, fork, wait, ignore, die, and the truth of what they used.

What it keeps is what Linux keeps (wait_task_zombie, release_task in kernel/exit.c): a child that is waited for adds its
own use and that of its own children to its parent's; one that is reaped without being waited for adds nothing. Orphans
go to the nearest subreaper above, at last to the daemon.
"""

from __future__ import annotations

from attrs import define, field

from metrics.sampler.snapshot import Member
from supervisor.core.state import Consumed

DAEMON = 1
KINDS = 4


@define(eq=False)
class Proc:
    """One process. `own` and `waited` are user, system (microseconds), read, written (bytes)."""

    pid: int
    started: int
    parent: Proc | None
    own: list[int] = field(factory=lambda: [0] * KINDS)
    waited: list[int] = field(factory=lambda: [0] * KINDS)
    dead: bool = False
    ignores: bool = False
    subreaper: bool = False

    def total(self) -> list[int]:
        """What getrusage's RUSAGE_BOTH tells."""
        return [own + waited for own, waited in zip(self.own, self.waited, strict=True)]


class Kernel:
    """One replica's processes below the daemon. `truth` is what all of them ever used; `pids` are given out first."""

    def __init__(self) -> None:
        self.living: dict[int, Proc] = {}
        self.main: Proc | None = None
        self.truth = [0] * KINDS
        self.clock = 0
        self.pids: list[int] = []

    def _new(self, parent: Proc | None) -> Proc:
        self.clock += 1
        pid = self.pids.pop(0) if self.pids else 100 + self.clock
        proc = Proc(pid, self.clock, parent)
        self.living[pid] = proc
        return proc

    def launch(self) -> Proc:
        """Start a life: a child of the daemon."""
        assert self.main is None
        self.main = self._new(None)
        return self.main

    def fork(self, parent: Proc) -> Proc:
        """A child; whether SIGCHLD is ignored is inherited."""
        child = self._new(parent)
        child.ignores = parent.ignores
        return child

    def use(self, proc: Proc, kind: int, amount: int) -> None:
        """Let a process use something."""
        proc.own[kind] += amount
        self.truth[kind] += amount

    def die(self, proc: Proc) -> None:
        """End a process: a zombie until its parent waits, or gone at once where that one ignores it."""
        proc.dead = True
        for child in [one for one in self.living.values() if one.parent is proc]:
            child.parent = self._reaper(proc)
            if child.dead and child.parent is None:
                self._release(child, told=False)
        if proc is self.main:
            return
        if proc.parent is None or proc.parent.ignores:
            self._release(proc, told=False)

    def _reaper(self, proc: Proc) -> Proc | None:
        above = proc.parent
        while above is not None and (above.dead or not above.subreaper):
            above = above.parent
        return above

    def _release(self, proc: Proc, *, told: bool) -> None:
        del self.living[proc.pid]
        if told and proc.parent is not None:
            proc.parent.waited = [a + b for a, b in zip(proc.parent.waited, proc.total(), strict=True)]

    def wait(self, parent: Proc) -> None:
        """Let a process wait for all its dead children."""
        for child in [one for one in self.living.values() if one.parent is parent and one.dead]:
            self._release(child, told=True)

    def reap(self) -> Consumed:
        """Reap the dead main process, as the daemon does."""
        assert self.main is not None
        assert self.main.dead
        user, system, read, written = self.main.total()
        self._release(self.main, told=False)
        self.main = None
        return Consumed(user / 1e6, system / 1e6, read, written, 0)

    def snapshot(self) -> dict[int, Member]:
        """All that /proc shows of the replica."""
        return {pid: self._seen(proc) for pid, proc in self.living.items()}

    def _seen(self, proc: Proc) -> Member:
        parent = DAEMON if proc.parent is None else proc.parent.pid
        user, system, read, written = proc.total()
        return Member(proc.pid, parent, proc.started, user, system, read, written, proc.waited[0], proc.waited[1])
