"""System calls that Python's library lacks, or makes in a way that a hot path cannot bear.

Calls that return at once go through PyDLL, which keeps the interpreter lock: a thread that gives the lock up for a call
of one microsecond waits for the switch interval to get it back while another thread computes, and a respawn would wait
so at each of its calls (measured under a scrape in a tight loop: 0.5 ms each).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterable

from supervisor.core.state import Consumed

_quick = ctypes.PyDLL(None, use_errno=True)
_slow = ctypes.CDLL(None)

_PR_SET_CHILD_SUBREAPER = 36
_P_ALL, _P_PIDFD = 0, 3
_EPOLL_CTL_DEL = 2
_SIGINFO_BYTES = 128
_CLD_EXITED, _CLD_DUMPED = 1, 3
_SFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
_SIGNALFD_RECORD = 128
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8

_RUSAGE_LONGS = 18

_info = (ctypes.c_int32 * (_SIGINFO_BYTES // 4))()
_used = (ctypes.c_int64 * _RUSAGE_LONGS)()
_ENDED = os.WEXITED | os.WNOHANG
_syscall, _new = _quick.syscall, tuple.__new__
# waitid(2) as the kernel has it fills a struct rusage too, for which the C library's has no room. By its number, where
# that is known; a long must have 64 bits.
_WAITID = {"x86_64": 247, "aarch64": 95, "riscv64": 95}.get(os.uname().machine if sys.maxsize > 1 << 32 else "")
_buffer = ctypes.create_string_buffer(1 << 16)


def _error(what: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{what}: {os.strerror(number)}")


def become_subreaper() -> None:
    """Orphans of our descendants become our children (prctl(2), Linux 3.4). OSError if the kernel refuses."""
    if _quick.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise _error("prctl PR_SET_CHILD_SUBREAPER")


def open_signals(signals: Iterable[int]) -> int:
    """Block `signals` in this thread, and those it starts, and give a signalfd(2) that is readable when one comes.

    Blocked and read from a descriptor they interrupt no system call and run no handler in the middle of a decision.
    """
    wanted = set(signals)
    signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
    mask = sum(1 << (number - 1) for number in wanted)
    fd: int = _quick.signalfd(-1, (mask).to_bytes(128, "little"), _SFD_NONBLOCK_CLOEXEC)
    if fd < 0:
        raise _error("signalfd")
    return fd


def read_signals(fd: int) -> list[int]:
    """The numbers of the signals that have come, each at most once a kind (they are not queued); empties `fd`."""
    count: int = _quick.read(fd, _buffer, 16 * _SIGNALFD_RECORD)
    if count <= 0:
        return []
    data = _buffer.raw[:count]
    return [int.from_bytes(data[at : at + 4], "little") for at in range(0, count, _SIGNALFD_RECORD)]


def reap(pidfd: int) -> tuple[int | None, int | None, bool, Consumed | None] | None:
    """Reap the child behind `pidfd`: its exit code, or its signal and whether it dumped core. None while it lives.

    The last is what it used, with the children that it waited for; None on a machine whose call for it is not known.
    """
    if _WAITID is None:
        _info[0] = 0
        failed = _quick.waitid(_P_PIDFD, pidfd, _info, _ENDED)
    else:
        # The kernel itself writes 0 where nothing ended; that it may not is the C library's word for other systems.
        failed = _syscall(_WAITID, _P_PIDFD, pidfd, _info, _ENDED, _used)
    if failed:
        raise _error("waitid")
    if _info[0] == 0:
        return None
    consumed = None
    if _WAITID is not None:
        # getrusage(2) has the fields; ru_maxrss is in KiB, blocks are of 512 bytes whatever the device has. Not made by
        # the class, whose constructor runs Python (1 us of a respawn).
        user, system = _used[0] + _used[1] / 1_000_000, _used[2] + _used[3] / 1_000_000
        consumed = _new(Consumed, (user, system, _used[11] << 9, _used[12] << 9, _used[4] << 10))
    # siginfo_t on every 64-bit Linux: si_signo, si_errno, si_code, (pad), si_pid, si_uid, si_status.
    how, status = _info[2], _info[6]
    if how == _CLD_EXITED:
        return status, None, False, consumed
    return None, status, how == _CLD_DUMPED, consumed


def unwatch(epoll: int, fd: int) -> None:
    """Take a descriptor out of an epoll and close it, where closing cannot block: a pidfd, not a file.

    Closing alone would not do: between vfork and exec a child of another thread holds a copy of every descriptor, so
    the epoll would go on reporting it, by a number that may mean another one by then.
    """
    _quick.epoll_ctl(epoll, _EPOLL_CTL_DEL, fd, None)
    _quick.close(fd)


def a_zombie() -> int:
    """The pid of some dead child that is not reaped yet, 0 if there is none. Reaps nothing."""
    _info[0] = _info[4] = 0
    if _quick.waitid(_P_ALL, 0, _info, os.WEXITED | os.WNOHANG | os.WNOWAIT) != 0:
        return 0  # ECHILD: no children at all
    return _info[4] if _info[0] else 0


def children(fd: int) -> bytes:
    """The text of an open /proc/PID/task/TID/children: pids in decimal, space after each."""
    count: int = _quick.pread(fd, _buffer, len(_buffer), 0)
    if count < len(_buffer):
        return _buffer.raw[:count] if count > 0 else b""
    return os.pread(fd, 1 << 22, 0)


def return_memory() -> None:
    """Let the C library give memory back: one arena for all threads, and a mapping of its own for each large buffer.

    A page for a thousand services is some megabytes for a moment; by default each thread that made one would keep them.
    Passed over where the C library is not glibc (mallopt(3)).
    """
    try:
        mallopt = _quick.mallopt
    except AttributeError:
        return
    mallopt(_M_ARENA_MAX, 1)
    mallopt(_M_MMAP_THRESHOLD, 1 << 16)
    mallopt(_M_TRIM_THRESHOLD, 1 << 18)


def trim() -> None:
    """Give back what the C library holds free, without the interpreter lock; some tenths of a millisecond."""
    with contextlib.suppress(AttributeError):  # musl has no malloc_trim(3), and holds little
        _slow.malloc_trim(0)
