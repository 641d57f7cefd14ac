"""What the fleet uses, as psutil and the processes themselves tell it, against the resource families of a page."""

from __future__ import annotations

import psutil

from tests.soak.checks import S, keys
from tests.soak.ledger import Span
from tests.soak.page import Page
from tests.soak.play import Play
from tests.soak.stage import Key, Life
from tests.soak.verdict import Verdict, around

#: Seconds of processor time between the last word of a life and its end, a clock tick: what its exit itself takes.
EXIT = 0.01
#: A process's user and system time are told in whole clock ticks each.
TICKS = 2 / 100
#: Bytes of resident memory that may come or go between two looks at an idle process, beside a fiftieth.
BREATH = 512 * 1024
#: Bytes of storage that a process may have used before it first says so.
STARTING = 1 << 20
#: By how much a ratio may be off: it is told to four digits.
RATIO = 5.1e-5


def check(play: Play, page: Page, verdict: Verdict) -> None:
    """Hold a page of a quiet moment, with samples from after it began, against what is used."""
    for key in keys(play):
        _processor(play, page, verdict, key)
        life = play.stage.living(key)
        if life is not None:
            _tree(page, verdict, life)
        else:
            for family in ("memory_resident_bytes", "threads", "processes"):
                figure = page.value(f"{S}{family}", service=key[0], replica=str(key[1]))
                # A replica that never lived was never sampled.
                verdict.within(f"{S}{family}", f"{key[0]}:{key[1]} at rest", (0, 0), figure or 0)
    _daemon(play, page, verdict)


def _processor(play: Play, page: Page, verdict: Verdict, key: Key) -> None:
    """Seconds of all lives: those that ended well have said what they used, the others were measured just before."""
    used = play.used(key, EXIT)
    figure = page.sum(f"{S}cpu_seconds_total", service=key[0], replica=str(key[1]))
    life = play.stage.living(key)
    alive = 1 + life.brood if life is not None else 0
    verdict.within(
        f"{S}cpu_seconds_total", f"{key[0]}:{key[1]}", Span(used.least - alive * TICKS, used.most), figure, 1e-3
    )
    if key[0] == "storer":  # which says at each end what it read and wrote, and is never killed
        for family, word in (("io_write_bytes_total", "written"), ("io_read_bytes_total", "read")):
            lives = play.stage.lives[key]
            truth = sum(life.answers[-1][word] for life in lives if life.answers)
            idle = not lives[-1].answers
            moved = page.value(f"{S}{family}", service=key[0], replica=str(key[1]))
            verdict.within(f"{S}{family}", key[0], Span(truth, truth + (STARTING if idle else 0)), moved)


def _tree(page: Page, verdict: Verdict, life: Life) -> None:
    """The process and all its descendants, now."""
    main = psutil.Process(life.pid)
    tree = [main, *main.children(recursive=True)]
    labels, who = {"service": life.key[0], "replica": str(life.key[1])}, f"{life.key[0]}:{life.key[1]}"
    resident = sum(process.memory_info().rss for process in tree)
    figure = page.value(f"{S}memory_resident_bytes", **labels)
    verdict.within(f"{S}memory_resident_bytes", who, around(resident, BREATH + resident / 50), figure)
    verdict.holds("what was eaten is resident", (figure or 0) > life.held, f"{who} {life.held} {figure}")
    limit = main.rlimit(psutil.RLIMIT_NOFILE)[0]
    counts = {
        "threads": sum(process.num_threads() for process in tree),
        "processes": len(tree),
        "open_fds": sum(process.num_fds() for process in tree),
        "max_fds": limit,
    }
    for family, truth in counts.items():
        verdict.same(f"{S}{family}", who, truth, page.value(f"{S}{family}", **labels))
    worst = max(process.num_fds() / process.rlimit(psutil.RLIMIT_NOFILE)[0] for process in tree)
    verdict.within(f"{S}worst_fd_ratio", who, around(worst, RATIO), page.value(f"{S}worst_fd_ratio", **labels))


def _daemon(play: Play, page: Page, verdict: Verdict) -> None:
    """The daemon itself, which is never idle."""
    process = psutil.Process(play.daemon.pid)
    times = process.cpu_times()
    now = {
        "process_start_time_seconds": around(process.create_time(), 1.0),  # the kernel tells of its boot in seconds
        "process_resident_memory_bytes": around(process.memory_info().rss, 4 << 20),
        "process_cpu_seconds_total": Span(times.user + times.system - 5.0, times.user + times.system),
        "process_open_fds": around(process.num_fds(), 12),
        "process_max_fds": around(process.rlimit(psutil.RLIMIT_NOFILE)[0], 0),
    }
    for family, truth in now.items():
        verdict.within(family, "", truth, page.value(family))
