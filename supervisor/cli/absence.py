"""Why no daemon answers: what the lock file says, whether its holder lives, whether the socket exists, who owns it.

Rules: nothing is asked of the lock itself, for whoever tried to take it would stand in the way of a daemon that starts;
a lock file is believed only if root or we own it; a pid is believed only while the process is older than what it wrote.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from supervisor.host import lock, procfs

LOCK = "respawnd.lock"
#: Where root's daemon listens unless told otherwise.
SYSTEM = "/run/respawnd/respawnd.sock"
_STATES = {
    "T": " is stopped: SIGCONT lets it go on",
    "t": " is held by a debugger",
    "D": " waits for a disk or a network file system",
}
_TICKS = os.sysconf("SC_CLK_TCK")
#: Seconds that two clocks may differ by: start times are counted in ticks, a file's in those of the kernel's timer.
_BLUR = 1.0


@frozen
class Holder:
    """Who wrote the lock file of a state directory; all of it may be missing. `alive`: that process is still there."""

    pid: int | None = None
    socket: str | None = None
    config: str | None = None
    alive: bool = False
    facts: Mapping[str, Any] = field(factory=dict)


def holder(state_dir: str) -> Holder:
    """What the lock file in `state_dir` says."""
    try:
        facts = os.stat(os.path.join(state_dir, LOCK))
    except OSError:
        return Holder()
    told = lock.read(state_dir) if facts.st_uid in {0, os.geteuid()} else None
    if not told:
        return Holder()
    pid = told.get("pid") if isinstance(told.get("pid"), int) else None
    alive = pid is not None and _wrote(pid, facts.st_mtime)
    return Holder(pid, _text(told.get("socket")), _text(told.get("config")), alive, told)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _wrote(pid: int, moment: float) -> bool:
    """Whether the process `pid` can have written something at `moment` (wall seconds): a reused pid began later."""
    one = procfs.entry(pid)
    if one is None or one.dead:
        return False
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - one.started / _TICKS
    return time.time() - age <= moment + _BLUR


def told(socket: str, why: str, state_dir: str | None) -> str:
    """The line for a daemon that cannot be reached at `socket`, for the reason `why`."""
    known = holder(state_dir) if state_dir is not None else Holder()
    line = f"no daemon: {socket}: {described(socket, why)}"
    if known.alive:
        return f"{line}; pid {known.pid} holds {state_dir}/{LOCK}: it is starting or ending, or lost its socket"
    if known.pid is not None:
        return f"{line}; the last one, pid {known.pid}, was killed or crashed; start one with `respawnd run`"
    if os.geteuid() != 0 and os.path.exists(SYSTEM):
        return f"{line}; root may run one, which only root may ask: {SYSTEM}"
    return f"{line}; start one with `respawnd run`"


def stuck(pid: int) -> str:
    """Why a process that is there does not answer, as far as its state tells (proc(5), field 3 of stat)."""
    one = procfs.entry(pid) if pid else None
    if one is None:
        return ""
    return f"; pid {pid}" + _STATES.get(one.state, " runs: its log may say more")


def described(socket: str, why: str) -> str:
    """Whether a socket exists, and who owns it."""
    try:
        facts = os.stat(socket)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    asking = os.geteuid()
    you = f"; you are {_owner(asking)}" if asking != facts.st_uid else ""
    return f"{why} (it belongs to {_owner(facts.st_uid)}, mode {facts.st_mode & 0o777:04o}{you})"


def _owner(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name}, uid {uid}"
    except KeyError:
        return f"uid {uid}"
