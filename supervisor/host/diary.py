"""The daemon's own log: structured records, handed to a thread that writes them wherever log_target says.

Rules:
- A logging call never waits: the record goes into a bounded queue, and when that is full it is counted instead.
- Each target fails on its own (a full disk, a closed stderr, a terminal that is stopped, a collector that is away);
  that is told once to the others and on stderr, what it loses is counted, and told in the target itself once it takes
  records again.
- The thread sleeps while there is nothing to write.
Modules log as the library has it, below the logger "respawnd":
    log = logging.getLogger("respawnd.host")
    log.info("Started web: pid 123", extra={"service": "web", "pid": 123})
"""

from __future__ import annotations

import logging
import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING

from supervisor.host.diary_targets import make_target
from supervisor.host.pulse import Pulse, Pulses
from supervisor.host.thread import attend

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from supervisor.host.diary_target import Target

LEVELS = ("debug", "info", "warning", "error")
FORMATS = ("auto", "text", "json")
_CAPACITY = 10_000  # records
_NAME = "respawnd-diary"
_STDERR = "stderr"

# A record to write, an event to set when it is reached, or the end.
_Item = logging.LogRecord | threading.Event | None


class _Gate(logging.Handler):
    """What the library calls. Nothing to flush or to close for it: at exit that would be too late."""

    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__()
        self._take = take

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue it, without the library's lock around it: no thread may wait here for another. Never raises."""
        self._take(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """As handle."""
        self._take(record)


class Diary:
    """The queue of records, the thread that writes them and its targets; made by `configure`.

    `messages` counts records by level, written or not (a race of two threads may cost one). `capacity` is how many may
    wait. `last_resort` hears of a target that fails, and nothing else; it is no target itself.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        capacity: int = _CAPACITY,
        pulses: Pulses | None = None,
        last_resort: Target | None = None,
    ) -> None:
        self.messages = dict.fromkeys((*LEVELS, "critical"), 0)
        self.capacity = capacity
        self._targets = tuple(targets)
        self._last_resort = last_resort
        self._at_hand = False
        self._queue: SimpleQueue[_Item] = SimpleQueue()
        self._refused = self._told = 0
        self._deadline = float("inf")
        self._closed = False
        life = (_NAME, self._run, pulses or Pulses())
        self._thread = threading.Thread(target=attend, args=life, name=_NAME, daemon=True)
        self._thread.start()

    def attach(self, logger: logging.Logger) -> None:
        """Be the one handler of logger and of those below it.

        The library is told not to look for each record's source line and process, which no line of ours bears: a third
        of the cost of a record (logging HOWTO, "Optimization").
        """
        logging._srcfile = None  # noqa: SLF001 - the documented switch
        logging.logProcesses = logging.logMultiprocessing = False
        logger.handlers[:] = [_Gate(self._take)]
        logger.propagate = False

    @property
    def dropped(self) -> dict[str, int]:
        """Records that were not written, by target as it is spelled in log_target."""
        unseen = self._refused - self._told
        return {target.name: target.dropped + unseen for target in self._targets}

    @property
    def waiting(self) -> int:
        """Records that are not written yet."""
        return self._queue.qsize()

    def set_level(self, level: str) -> None:
        """Log what is of that level, one of LEVELS, and above."""
        logging.getLogger("respawnd").setLevel(level.upper())

    def flush(self, timeout: float) -> bool:
        """Wait until all that was logged before is written or lost, at most timeout seconds; False if it is not."""
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Write what is queued, for at most timeout seconds, and end; what is logged after this is only counted.

        False if the thread hangs in a target: it is left to the end of the process.
        """
        self._closed = True
        self._deadline = time.monotonic() + timeout
        self._queue.put(None)
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _take(self, record: logging.LogRecord) -> None:
        """Queue the record, its message made now, since arguments may change; never waits, never raises."""
        level = record.levelname.lower()
        self.messages[level] = self.messages.get(level, 0) + 1
        if self._closed or self._queue.qsize() >= self.capacity:
            self._refused += 1
            return
        try:
            record.msg = record.getMessage()
        except Exception as error:  # noqa: BLE001 -- a wrong format string is told, and costs its arguments
            record.msg = f"{record.msg} (with {record.args!r}: {error})"
        record.args = None
        self._queue.put(record)

    def _run(self, pulse: Pulse) -> None:
        if self._at_hand:  # what was being written when this failed
            self._at_hand = False
            self._refused += 1
        pulse.idle()
        while (item := self._queue.get()) is not None:
            pulse.busy()
            if isinstance(item, threading.Event):
                item.set()
            elif time.monotonic() > self._deadline:
                self._refused += 1
            else:
                self._write(item)
            if self._refused != self._told and self._queue.empty():
                self._own_up()
            pulse.idle()
        self._own_up()
        for target in (*self._targets, *self._resort()):
            target.close()

    def _write(self, record: logging.LogRecord) -> None:
        self._at_hand = True
        self._spread_refusals()
        for target in self._targets:
            target.deliver(record)
        self._at_hand = False
        for target in self._targets:
            if (why := target.news()) is not None:
                self._tell_others(target, why)

    def _tell_others(self, failing: Target, why: str) -> None:
        words = "Cannot log to %s: %s; what it does not take is lost, and counted"
        level = logging.ERROR
        note = logging.LogRecord("respawnd.diary", level, __file__, 0, words, (failing.name, why), None)
        for other in (*self._targets, *self._resort()):
            if other is not failing:
                other.deliver(note)

    def _resort(self) -> tuple[Target, ...]:
        return () if self._last_resort is None else (self._last_resort,)

    def _own_up(self) -> None:
        """Tell at once what was lost: there may be no next record for long."""
        self._spread_refusals()
        for target in self._targets:
            target.catch_up()

    def _spread_refusals(self) -> None:
        """What the queue refused is lost to every target."""
        unseen = self._refused - self._told
        if unseen:
            self._told += unseen
            for target in self._targets:
                target.lose(unseen)


def configure(
    level: str = "info",
    form: str = "auto",
    targets: Sequence[str] = ("stderr",),
    *,
    capacity: int = _CAPACITY,
    stderr: int = 2,
    pulses: Pulses | None = None,
) -> Diary:
    """Send what is logged below "respawnd" to the targets, as log_level, log_format and log_target say.

    It starts the diary's thread and takes the place of a former diary, which the caller closes. capacity is in
    records; stderr is the descriptor that the target of that name writes to. No target has to be reachable. Raises
    ValueError for an unknown level, form or target.
    """
    if level not in LEVELS:
        raise ValueError(f"cannot log at level {level!r}: not one of {', '.join(LEVELS)}")
    if form not in FORMATS:
        raise ValueError(f"cannot log as {form!r}: not one of {', '.join(FORMATS)}")
    made = [make_target(spec, form, stderr) for spec in targets]
    last_resort = None if _STDERR in targets else make_target(_STDERR, form, stderr)
    diary = Diary(made, capacity, pulses, last_resort)
    diary.attach(logging.getLogger("respawnd"))
    diary.set_level(level)
    return diary
