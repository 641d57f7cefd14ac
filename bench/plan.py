"""What every benchmark is given: the subjects, how long to measure, and the order of turns."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Protocol

from attrs import field, frozen

from bench import figures
from bench.quiet import Quiet
from bench.running import Running, started
from bench.subjects import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.figures import Row
    from bench.subjects import Setup

_SLOW = 5.0  # seconds after which a batch ends early: a peer that polls once a second


@frozen
class Plan:
    """The subjects, the C program first, and whether a run is the short one."""

    subjects: tuple[Subject, ...]
    quick: bool = False
    quiet: Quiet = field(factory=Quiet)
    dice: random.Random = field(factory=lambda: random.Random(2))  # the same victims in each run

    def size(self, full: int, quick: int) -> int:
        """Give a number of rounds, samples or seconds."""
        return quick if self.quick else full

    def turns(self, rounds: int) -> Iterator[Subject]:
        """Give the subjects in turn, A B B A (so no drift favours one), each when the machine is at rest."""
        for number in range(rounds):
            for subject in self.subjects if number % 2 == 0 else reversed(self.subjects):
                self.quiet.wait()
                yield subject

    def main_subjects(self) -> tuple[Subject, ...]:
        """Give the C program and respawnd, without the peers."""
        return tuple(each for each in self.subjects if each.name in {figures.REFERENCE, figures.OURS})

    @contextmanager
    def all_running(self, setup: Setup, subjects: tuple[Subject, ...] | None = None) -> Iterator[dict[str, Running]]:
        """Have the subjects supervise their own copy of the setup side by side, started and at rest."""
        with ExitStack() as stack:
            fleets = {}
            for subject in self.subjects if subjects is None else subjects:
                fleet = fleets[subject.name] = stack.enter_context(started(subject, setup))
                fleet.start()
                fleet.settle()
            yield fleets

    def respawns(self, fleet: Running, count: int) -> list[float]:
        """Kill ``count`` children one after the other; give the seconds from each SIGKILL to the new first instruction.

        Between two kills lie 2 to 6 ms, as between crashes that have nothing to do with each other; the storm has them
        all at once.
        """
        until = time.monotonic() + _SLOW
        seconds: list[float] = []
        while len(seconds) < count and time.monotonic() < until:
            seconds.append(kill_one(fleet, self.dice.choice(fleet.idents)))
            time.sleep(self.dice.uniform(0.002, 0.006))
        return seconds


class Benchmark(Protocol):
    """What a benchmark module holds."""

    TITLE: str

    def measure(self, plan: Plan) -> list[Row]:
        """Measure every subject; give the rows."""


def kill_one(fleet: Running, victim: int) -> float:
    """Kill a child; give the seconds from SIGKILL to the first instruction of its next life."""
    pid = fleet.life(victim).pid
    begin = time.monotonic_ns()
    os.kill(pid, signal.SIGKILL)
    return (fleet.born([victim])[victim].time_ns - begin) / 1e9


def say(text: str) -> None:
    """Tell the one who waits what is going on; figures alone go to stdout."""
    print(text, file=sys.stderr, flush=True)
