"""``python -m bench.render SERVICES ROUNDS``: renders pages in turn with prometheus-client; prints the times in JSON.

First both sides' pages are held against each other, line for line, so that the race is fair. Times are of the thread
that renders: CLOCK_THREAD_CPUTIME_ID, with compression and the pauses that let the daemon's loop go first. Before each
page of ours every replica's resources are sampled anew: a page whose figures have not changed is not the one in use.
"""

from __future__ import annotations

import gc
import gzip
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from attrs import frozen
from prometheus_client.exposition import generate_latest as text_page
from prometheus_client.openmetrics.exposition import generate_latest as open_page

from bench import library, program
from bench.history import History
from metrics.exposition import OPENMETRICS, TEXT, Exposition, identify, install

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from prometheus_client import CollectorRegistry

    from metrics.exposition import Format

_ACCEPT = {TEXT: "text/plain;version=0.0.4", OPENMETRICS: "application/openmetrics-text;version=1.0.0"}
_LIBRARY: Mapping[Format, Callable[[Any], bytes]] = {TEXT: text_page, OPENMETRICS: open_page}
_NAMES = {TEXT: "text", OPENMETRICS: "OpenMetrics"}


class Unfair(Exception):
    """The two pages do not say the same."""


@frozen
class Side:
    """Ours and the library's, filled with the same."""

    history: History
    exposition: Exposition
    instruments: CollectorRegistry
    collector: CollectorRegistry


@frozen
class Race:
    """One kind of page, and who makes it."""

    what: str
    ours: Callable[[], bytes]
    instruments: Callable[[], bytes]
    collector: Callable[[], bytes] | None


def _side(services: int, *, exemplars: bool) -> Side:
    """Make a past, and let the library say what our page says of it."""
    history = History(services, exemplars=exemplars)
    recorder = history.recorder
    identify(recorder, "0.1.0", "", "/var/lib/respawnd", {"pidfd": True, "psi": True})
    stopped = Exposition(recorder, lambda: history.view, clock=lambda: history.now, wall=lambda: history.epoch)
    stopped.render(OPENMETRICS)  # each page tells the series of the one before
    page = library.families(stopped.render(OPENMETRICS).decode())
    side = Side(history, stopped, library.instruments(page), library.collected(page))
    for chosen in (TEXT, OPENMETRICS):
        _compare(stopped.render(chosen), _LIBRARY[chosen](side.instruments), f"{_NAMES[chosen]}, instruments")
        _compare(stopped.render(chosen), _LIBRARY[chosen](side.collector), f"{_NAMES[chosen]}, collector")
    install(recorder)  # not before: what a process tells of itself differs from page to page
    shift = history.now - time.monotonic()
    running = Exposition(recorder, lambda: history.view, clock=lambda: time.monotonic() + shift)
    return Side(history, running, side.instruments, side.collector)


def _compare(ours: bytes, theirs: bytes, which: str) -> None:
    """Raise Unfair with the first sample that only one side has."""
    mine, other = (
        sorted(_sample(line) for line in page.splitlines() if not line.startswith(b"#")) for page in (ours, theirs)
    )
    if mine != other:
        only = min(set(mine) ^ set(other), default=(b"(a sample twice)", 0.0, ()))
        raise Unfair(f"{which}: {len(mine)} samples of ours, {len(other)} of the library's; {only!r} is on one side")


def _sample(line: bytes) -> tuple[bytes, float, tuple[object, ...]]:
    """Give name and labels, value, and the exemplar's labels, value and time, if there is one."""
    series, _, exemplar = line.partition(b" # ")
    name, _, value = series.rpartition(b" ")
    labels, *numbers = exemplar.rsplit(b" ", 2)
    return name, float(value), (labels, *map(float, numbers))


def _races(plain: Side, marked: Side) -> Iterator[Race]:
    for side, which in ((plain, ""), (marked, ", exemplars")):
        for chosen in (TEXT, OPENMETRICS) if side is plain else (OPENMETRICS,):
            name = f"{_NAMES[chosen]}{which}"
            yield Race(
                name, _ours(side, chosen, ""), _theirs(side.instruments, chosen), _theirs(side.collector, chosen)
            )
            packed = _packed(_theirs(side.instruments, chosen))
            yield Race(f"{name}, gzip", _ours(side, chosen, "gzip"), packed, None)


def _ours(side: Side, chosen: Format, encoding: str) -> Callable[[], bytes]:
    return lambda: side.exposition.page(_ACCEPT[chosen], encoding).body


def _theirs(registry: CollectorRegistry, chosen: Format) -> Callable[[], bytes]:
    return lambda: _LIBRARY[chosen](registry)


def _packed(make: Callable[[], bytes]) -> Callable[[], bytes]:
    return lambda: gzip.compress(make())  # as prometheus_client.exposition does it


def _timed(make: Callable[[], bytes]) -> tuple[float, int]:
    """Give the seconds of processor time of one page, and its bytes."""
    gc.collect()
    spent = time.thread_time()
    size = len(make())
    return time.thread_time() - spent, size


def _run(race: Race, rounds: int, histories: list[History]) -> dict[str, object]:
    cpu: dict[str, list[float]] = defaultdict(list)
    sizes: dict[str, int] = {}
    sides = [("respawnd", race.ours), ("instruments", race.instruments), ("collector", race.collector)]
    for number in range(rounds + 1):
        for name, make in sides if number % 2 else reversed(sides):
            if make is None:
                continue
            if name == "respawnd":
                for history in histories:
                    history.sample()
            spent, sizes[name] = _timed(make)
            if number:  # the first of each fills caches, unrecorded
                cpu[name].append(spent)
    return {"cpu": cpu, "bytes": sizes}


def main(services: int, rounds: int) -> None:
    """Run every race."""
    plain, marked = _side(services, exemplars=False), _side(services, exemplars=True)
    samples = sum(not line.startswith(b"#") for line in plain.exposition.render(TEXT).splitlines())
    gc.collect()
    gc.freeze()  # what both sides are filled with is not to be walked through in either's time
    histories = [plain.history, marked.history]
    races = {race.what: _run(race, rounds, histories) for race in _races(plain, marked)}
    program.answer({"samples": samples, "races": races})


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
