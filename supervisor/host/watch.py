"""Looking after the loop: a stall is told while it lasts, with the stacks of all threads, and its length after it.

Rules:
- The loop says at each turn that it turned; another thread calls `look` at least every `EVERY` seconds. Nobody is woken
  for this.
- Only what the loop alone did not do is a stall. Where this process was stopped (SIGSTOP, a frozen cgroup, a starved
  machine) the watcher was late as well, and that time does not count.
- A call in C that holds the interpreter's lock stops the watcher too: no look happens until it returns, and then the
  time does not count. faulthandler.dump_traceback_later could speak in that case, but it would have to be armed anew at
  each turn (some microseconds, and a thread that is woken for it), knows no names, and writes to a descriptor beside
  the log.
- Stacks are read without touching a disk: it may be the one that hangs. So they bear no lines of source.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import FrameType
from typing import NamedTuple

log = logging.getLogger("respawnd.watch")

#: Seconds between looks at the longest.
EVERY = 5.0
#: Seconds by which the loop may be late before its stall is told.
PATIENCE = 5.0
LOOP = "respawnd-loop"
_MOST_THREADS = 48
_MOST_FRAMES = 24
_MOST_LETTERS = 200  # of one frame


class Stack(NamedTuple):
    """Where a thread is. `tid` is what top and strace know it by, 0 if unknown; innermost frame last.

    `state` is the kernel's letter (proc(5)): R runs, S sleeps, D waits for a disk; "?" if unknown.
    """

    name: str
    tid: int
    state: str
    frames: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join((f"{self.name} (thread {self.tid}, state {self.state})", *self.frames))


class Watch:
    """Watches a loop that promises to turn every `longest` seconds; `now` is monotonic, here and everywhere below."""

    def __init__(self, now: float, longest: float) -> None:
        self.last_turn = now
        self._longest = longest
        self._looked = now
        self._turn_seen = now
        self._unwatched = 0.0  # seconds since the last turn in which the watcher was not there either
        self._stalled = False

    def turned(self, now: float) -> None:
        """The loop has turned. For its thread, at each turn: 0.1 us."""
        away, self.last_turn = now - self.last_turn, now
        if self._stalled:
            self._stalled = False
            log.warning("The loop turns again: it was away for %.1f s", away, extra={"seconds": round(away, 3)})

    def look(self, now: float) -> None:
        """Dump all stacks if the loop has just been found stalled. For one thread, at least every `EVERY` seconds."""
        gap, self._looked = now - self._looked, now
        turn = self.last_turn
        if turn != self._turn_seen:
            self._turn_seen, self._unwatched = turn, 0.0
        self._unwatched += max(0.0, min(gap, now - turn) - EVERY)
        late = now - turn - self._longest - self._unwatched
        if late > PATIENCE and not self._stalled:
            self._stalled = True
            self._tell(now - turn, late)

    def _tell(self, away: float, late: float) -> None:
        found = stacks()
        log.error("The loop has not turned for %.1f s: stacks of %d threads follow", away, len(found),
                  extra={"seconds": round(away, 3), "late": round(late, 3)})  # fmt: skip
        for stack in found[:_MOST_THREADS]:
            _log_stack(stack)
        if len(found) > _MOST_THREADS:
            log.error("Stacks of %d more threads are left out", len(found) - _MOST_THREADS)


def stacks() -> list[Stack]:
    """Where every thread of this process is, the loop first, then by name. From any thread, some 20 us for each."""
    frames = sys._current_frames()  # noqa: SLF001 - documented; there is no other way to another thread's stack
    threads = {thread.ident: thread for thread in threading.enumerate()}
    found = []
    for ident, frame in frames.items():
        thread = threads.get(ident)
        name, tid = ("unknown", 0) if thread is None else (thread.name, thread.native_id or 0)
        found.append(Stack(name, tid, _state(tid), _lines(frame)))
    return sorted(found, key=lambda stack: (stack.name != LOOP, stack.name, stack.tid))


def _lines(innermost: FrameType) -> tuple[str, ...]:
    """The frames as text, outermost first; of a deep stack only the inner ones."""
    lines: list[str] = []
    frame: FrameType | None = innermost
    while frame is not None and len(lines) < _MOST_FRAMES:
        code = frame.f_code
        lines.append(f"  {code.co_filename[-_MOST_LETTERS:]}:{frame.f_lineno} in {code.co_qualname[:_MOST_LETTERS]}")
        frame = frame.f_back
    if frame is not None:
        lines.append("  … outer frames left out")
    return tuple(reversed(lines))


def _state(tid: int) -> str:
    try:
        with open(f"/proc/self/task/{tid}/stat", "rb") as file:
            return file.read(512).rpartition(b")")[2].split()[0].decode()
    except (OSError, IndexError):
        return "?"


def _log_stack(stack: Stack) -> None:
    """One record a thread; the frames take the place of a traceback, which every format knows how to show."""
    record = log.makeRecord(
        log.name, logging.ERROR, __file__, 0, "Stack of %s (thread %d, state %s)", (stack.name, stack.tid, stack.state),
        None, extra={"tid": stack.tid},
    )  # fmt: skip
    record.exc_text = "\n".join(stack.frames)
    log.handle(record)
