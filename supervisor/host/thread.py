"""What each helper thread does first: keep out of the way of the loop and let itself be seen; and what becomes of it.

Rules: signals belong to the main thread (Python's wakeup descriptor is written by whichever thread the kernel picks,
and a helper may be deep in a slow disk); a helper bears its name in /proc too, so that top, strace and perf show it.
No helper dies in silence, and none stays dead: what its body raises is logged with its stack and counted, and the body
begins again in the same thread. A new thread might not be had (a limit of processes), and children that asked to die
with the thread that launched them (PR_SET_PDEATHSIG, prctl(2)) live on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable

from supervisor.host.pulse import PREFIX, Pulse, Pulses

log = logging.getLogger("respawnd.thread")

# Raised by the thread's own fault: blocked, the kernel would kill the process before faulthandler could speak.
_FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP})
_HEALTHY = 60.0  # seconds of work after which a failure is the first again
_AT_ONCE = 3  # failures after which there is no delay: most are of one piece of work
_FIRST, _LONGEST = 0.1, 5.0  # seconds of delay after the next ones, each twice the last


def settle(name: str, nice: int = 0) -> None:
    """Block signals in the calling thread, name it for the kernel (15 bytes of it), lower its priority by nice."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
    with contextlib.suppress(OSError), open("/proc/thread-self/comm", "wb", buffering=0) as comm:
        comm.write(name.encode()[:15])
    if nice:
        # A thread id is enough for Linux: priority is per thread there, see setpriority(2), BUGS.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)


def attend(
    name: str,
    body: Callable[[Pulse], None],
    pulses: Pulses,
    *,
    listed: str = "",
    nice: int = 0,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """The whole life of a helper thread called `name`, whose work is `body`: to be given to Thread as its target.

    It ends when body returns. When body raises it is called again, so it has to find its way from any state. It is
    listed among pulses as `listed`, for a pool the name of all, otherwise as name without PREFIX.
    """
    settle(name, nice)
    pulse = pulses.begin(listed or name.removeprefix(PREFIX))
    failures = 0
    while True:
        began = time.monotonic()
        try:
            body(pulse)
            break
        except BaseException:  # SystemExit too: nobody may end a thread but who owns it
            log.exception("Thread %s failed and begins again", name)
        pulses.restarted(pulse.name)
        failures = failures + 1 if time.monotonic() - began < _HEALTHY else 1
        pulse.busy()
        pulse.down = True
        pause(delay(failures))
        pulse.down = False
    pulses.end(pulse)


def delay(failures: int) -> float:
    """Seconds before a body begins again after so many failures in a row: none at first, 5 at the most."""
    return 0.0 if failures <= _AT_ONCE else min(_LONGEST, _FIRST * 2.0 ** min(failures - _AT_ONCE - 1, 10))


def tell_of_deaths() -> None:
    """Let the log tell of every thread that ends by an exception nobody caught, which only stderr would otherwise."""
    threading.excepthook = _died


def _died(args: threading.ExceptHookArgs) -> None:
    name = args.thread.name if args.thread is not None else "that is unknown"
    assert args.exc_value is not None
    log.critical("Thread %s died", name, exc_info=(args.exc_type, args.exc_value, args.exc_traceback))
