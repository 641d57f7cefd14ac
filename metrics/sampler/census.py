"""One pass over the process trees of all replicas, and what has to be remembered from one pass to the next.

Rules
- The main process of a life is the pid that the picture of the fleet gives, if that process did not start after the
  life did; from then on it is that pid with that start time. A pid that was given anew is nobody's.
- A process that once belonged to a life belongs to it as long as both last: nothing that it does to its session, group
  or environment takes it out of the accounts.
- What cannot be looked at for another reason than being gone stays in the accounts as it was last seen.
- A figure of which a part could not be read is not told: None is better than less than the truth.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

from attrs import frozen

from metrics.recorder.store import Replica, Usage
from metrics.sampler.accounts import Ends
from metrics.sampler.cgroup import Groups, Memory, own
from metrics.sampler.proc import Proc, Reading, Scan
from metrics.sampler.pss import Proportional
from metrics.sampler.series import Series, Tree
from metrics.sampler.snapshot import Group
from metrics.sampler.tree import Entry, owners
from supervisor.core.model import UnitKey
from supervisor.core.state import Unit
from supervisor.core.view import FleetView

_TICKS = os.sysconf("SC_CLK_TCK")
_INIT = 1
#: What ended since the last pass, by unit.
EndsOf = Mapping[UnitKey, Ends]


@frozen
class SamplerSettings:
    """`interval` is seconds; `pressure` asks for pressure and throttling of control groups, `pss` for PSS."""

    interval: float = 5.0
    pressure: bool = False
    pss: bool = False


class Census:
    """Takes passes, one at a time. `tag` names a life as the environment of its processes does."""

    def __init__(
        self,
        tag: Callable[[UnitKey, int], str],
        failed: Callable[[str], None],
        aside: Callable[[], None],
        replicas: Mapping[UnitKey, Replica],
        groups: Groups | None = None,
    ) -> None:
        self._tag, self._aside, self._replicas = tag, aside, replicas
        self._proc = Proc(failed, aside)
        self._groups = Groups(failed) if groups is None else groups
        self._pss = Proportional(failed, aside, self._same)
        self._daemon = os.getpid()
        self._series: dict[UnitKey, Series] = {}
        self._tags: dict[tuple[int, int], bytes | None] = {}
        self._carried: dict[UnitKey, Sequence[Any]] = {}

    def take(self, view: FleetView, ends: EndsOf, at: float, asked: SamplerSettings) -> dict[UnitKey, Usage]:
        """Look at all processes, and tell what each replica of the picture uses, as of `at`.

        `ends` are the lives that ended since the last pass: all of those before the lives in `view`.
        """
        self._keep(view)
        living = {key: unit for key, unit in view.units.items() if _lives(unit, ends.get(key, ()))}
        scan = self._proc.scan(self._known(), {unit.pid or 0 for unit in living.values()})
        mains = self._mains(living, scan)
        alone = self._alone()
        trees = self._trees(view, mains, scan, alone)
        self._pss.begin(asked.interval)
        usages = {}
        for key, unit in view.units.items():
            series = self._series[key]
            main = unit.pid if key in living and unit.pid is not None else 0
            group, memory = self._group(alone.get(key), asked)
            tree = Tree(main, self._read(trees.get(key, ()), scan), scan.blind, group, memory)
            series.settle(unit, tree, ends.get(key, ()))
            self._share_memory(series, tree, at, asked)
            usages[key] = series.usage(tree, at, counts_io=self._proc.counts_io, pressure=asked.pressure)
            self._aside()
        return usages

    # --- who there is -------------------------------------------------------------------------------------------------

    def _keep(self, view: FleetView) -> None:
        """Begin a series for each unit that has none, and again where the record of it began anew; drop the others."""
        for key, unit in view.units.items():
            replica, series = self._replicas.get(key), self._series.get(key)
            if series is None or (replica is not series.replica and series.replica is not None):
                made = self._series[key] = Series(replica, unit, self._carried.pop(key, None))
                made.before = series.life if series is not None else 0
            elif replica is not None:
                series.replica = replica
        for key in [key for key in self._series if key not in view.units]:
            del self._series[key]

    def _known(self) -> dict[int, int]:
        return {
            pid: member.started for series in self._series.values() for pid, member in series.account.members.items()
        }

    def _mains(self, living: Mapping[UnitKey, Unit], scan: Scan) -> dict[int, UnitKey]:
        """The main processes that are there, and are who they should be."""
        # Start times count from boot with the time that the machine slept, moments of ours without.
        slept = time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()
        mains = {}
        for key, unit in living.items():
            series = self._series[key]
            entry = scan.everyone.get(unit.pid or 0)
            if entry is None:
                continue
            if (series.life, series.main) == (unit.life, entry.pid):
                if entry.started == series.started:
                    mains[entry.pid] = key
            elif unit.started_at is None or entry.started / _TICKS - slept <= unit.started_at + 1 / _TICKS:
                path = self._groups.path(entry.pid)
                series.begin(unit.life, entry, None if path == self._groups.daemon else path)
                mains[entry.pid] = key
        return mains

    def _alone(self) -> dict[UnitKey, str]:
        """The control groups that are a replica's own."""
        paths = {key: series.path for key, series in self._series.items() if series.path is not None}
        return {key: paths[key] for key in own(paths, self._groups.daemon)} if paths else {}

    def _trees(
        self, view: FleetView, mains: dict[int, UnitKey], scan: Scan, alone: Mapping[UnitKey, str]
    ) -> dict[UnitKey, list[Entry]]:
        """The processes of each replica."""
        everyone = scan.everyone
        claimed: dict[int, UnitKey | None] = dict(mains)
        claimed[self._daemon] = None
        leaders = dict(mains)
        present = set(mains.values())
        for key, series in self._series.items():
            if series.life != view.units[key].life:
                continue
            for pid, member in series.account.members.items():
                if pid in everyone and everyone[pid].started == member.started:
                    claimed.setdefault(pid, key)
            # A pid is not given anew while a session or group bears it: if it is there, it is a stranger's.
            if key not in present and series.main and series.main not in everyone:
                leaders[series.main] = key
        for key, path in alone.items():
            for pid in self._groups.processes(path):
                claimed.setdefault(pid, key)
        trees: dict[UnitKey, list[Entry]] = {}
        found = owners(everyone, claimed, leaders, self._tagged(view, everyone))
        for pid, key_or_none in found.items():
            if key_or_none is not None and pid in everyone:
                trees.setdefault(key_or_none, []).append(everyone[pid])
        self._proc.nobodys(scan, found)
        self._tags = {seen: tag for seen, tag in self._tags.items() if _there(seen, everyone)}
        return trees

    def _tagged(self, view: FleetView, everyone: Container[int]) -> Callable[[Entry], UnitKey | None]:
        """Tell whose an orphan is by its tag, which is read once; its entry may be older than its being one."""
        names: dict[bytes, UnitKey] = {}

        def ask(entry: Entry) -> UnitKey | None:
            if (entry.parent not in (self._daemon, _INIT) and entry.parent in everyone) or entry.dead:
                return None
            seen = entry.pid, entry.started
            if seen not in self._tags:
                self._tags[seen] = self._proc.tag(entry.pid)
            tag = self._tags[seen]
            if tag is not None and not names:
                names.update((self._tag(key, unit.life).encode(), key) for key, unit in view.units.items())
            return names.get(tag) if tag is not None else None

        return ask

    # --- what they use ------------------------------------------------------------------------------------------------

    def _read(self, entries: Iterable[Entry], scan: Scan) -> list[tuple[Entry, Reading]]:
        """The processes with what else is read of them; one that is gone by now is left to the next pass."""
        found = []
        for entry in entries:
            reading = scan.readings.get(entry.pid)
            read = self._proc.fresh(entry) if reading is None else (entry, reading)
            if read is not None:
                found.append(read)
        return found

    def _group(self, path: str | None, asked: SamplerSettings) -> tuple[Group | None, Memory | None]:
        if path is None:
            return None, None
        return self._groups.counters(path, pressure=asked.pressure), self._groups.memory(path)

    def _share_memory(self, series: Series, tree: Tree, at: float, asked: SamplerSettings) -> None:
        """Look at proportional memory, if it is asked for and this tree's turn."""
        if not asked.pss:
            series.proportional = series.proportional_at = None
        elif tree.found and self._pss.due(series.proportional_at):
            series.proportional = self._pss.of(entry for entry, _ in tree.found if not entry.dead)
            series.proportional_at = at

    def _same(self, entry: Entry) -> bool:
        again = self._proc.entry(entry.pid)
        return again is not None and again.started == entry.started

    # --- for a successor ----------------------------------------------------------------------------------------------

    def export(self) -> list[Any]:
        """The accounts, as plain data that JSON can carry."""
        return [[*key, series.account.export()] for key, series in self._series.items()]

    def carry(self, state: Iterable[Sequence[Any]]) -> None:
        """Take over the accounts of a predecessor, for units that come into view."""
        self._carried = {UnitKey(service, replica): account for service, replica, account in state}


def _lives(unit: Unit, ends: Ends) -> bool:
    """Whether its main process should be there."""
    return unit.pid is not None and not unit.main_gone and all(life != unit.life for life, _ in ends)


def _there(seen: tuple[int, int], everyone: Mapping[int, Entry]) -> bool:
    pid, started = seen
    return pid in everyone and everyone[pid].started == started
