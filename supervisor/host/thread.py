"""What each helper thread does first: keep out of the way of the loop and let itself be seen.

Rules: signals belong to the main thread (Python's wakeup descriptor is written by whichever thread the kernel picks,
and a helper may be deep in a slow disk); a helper bears its name in /proc too, so that top, strace and perf show it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading

# Raised by the thread's own fault: blocked, the kernel would kill the process before faulthandler could speak.
_FAULTS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP})


def settle(name: str, nice: int = 0) -> None:
    """Block signals in the calling thread, name it for the kernel (15 bytes of it), lower its priority by nice."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)
    with contextlib.suppress(OSError), open("/proc/thread-self/comm", "wb", buffering=0) as comm:
        comm.write(name.encode()[:15])
    if nice:
        # A thread id is enough for Linux: priority is per thread there, see setpriority(2), BUGS.
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
