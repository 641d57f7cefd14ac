"""What the facts of the core are called in spans: attributes of a unit, an exit, a failed launch.

Rules (docs/tracing.md): no argument vector, environment or directory, and no text that could hold one; names from the
semantic conventions where there are any; error.type is from a closed list.
"""

from __future__ import annotations

import errno
import os
import signal
from datetime import UTC, datetime

from metrics.tracing.spans import Attributes, Value
from supervisor.core.events import Exited, Origin
from supervisor.core.state import Exit, LaunchError, Reason, Trigger, Unit, Want

#: error.type of an exit that nobody asked for, by its reason. The others are no errors.
_ERRORS = {
    Reason.ERROR: "exit",
    Reason.SIGNAL: "signal",
    Reason.OOM: "oom",
    Reason.TIMEOUT: "timeout",
    Reason.KILLED: "timeout",
    Reason.UNKNOWN: "exit",
}
#: Reasons that a failed check leads to.
_FORCED = frozenset({Reason.TIMEOUT, Reason.KILLED})
#: What a unit waits for that is no dependency.
_LIMITS = frozenset({"rate", "parallelism", "stop"})


def common(unit: Unit) -> dict[str, Value]:
    """What every span of a unit bears."""
    return {
        "respawnd.service": unit.key.service,
        "respawnd.replica": unit.key.replica,
        "respawnd.kind": unit.spec.kind.value,
    }


def executable(unit: Unit) -> str:
    """The name of the program, without its directory and arguments."""
    spec = unit.launched_as or unit.spec
    return os.path.basename(spec.command[0])


def instant(wall: float) -> str:
    """A wall time in ISO 8601, as process.exit.time and process.creation.time are."""
    try:
        return datetime.fromtimestamp(wall, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    except (OverflowError, ValueError):
        return ""  # a clock from before the first year, or after the last


def signal_name(number: int) -> str:
    """SIGTERM for 15; real-time signals by number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def exit_attributes(how: Exit) -> dict[str, Value]:
    """How a life ended. The code is negative for a signal, as in respawnd_service_last_exit_code."""
    found: dict[str, Value] = {"exit.reason": how.reason.value, "process.exit.time": instant(how.at)}
    if how.code is not None:
        found["process.exit.code"] = how.code
    elif how.signal is not None:
        found["process.exit.code"] = -how.signal
        found["exit.signal"] = signal_name(how.signal)
    if how.core:
        found["exit.core_dumped"] = True
    return found


def consumed(event: object) -> Attributes:
    """What the dead life used, where its exit tells."""
    used = event.consumed if isinstance(event, Exited) else None
    if used is None:
        return {}
    return {
        "process.cpu.user_seconds": used.user,
        "process.cpu.system_seconds": used.system,
        "process.memory.peak_bytes": used.peak,
    }


def exit_error(unit: Unit) -> str | None:
    """The error.type of the unit's last exit, None where it was asked for or clean."""
    if unit.exit is None:
        return None
    ill = unit.want is Want.UP and (unit.blame is not None or unit.trigger is Trigger.HEALTH)
    return "health" if ill and unit.exit.reason in _FORCED else _ERRORS.get(unit.exit.reason)


def launch_error(error: LaunchError) -> str:
    """The error.type of a failed launch."""
    missing = error.stage == "exec" and error.errno in (errno.ENOENT, errno.ENOTDIR)
    return "exec_not_found" if missing else "spawn_failed"


def errno_name(number: int) -> str:
    """ENOENT for 2."""
    return errno.errorcode.get(number, str(number))


def dependencies(waiting_for: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the things waited for that are dependencies, not the host's limits."""
    return tuple(word for word in waiting_for if word not in _LIMITS)


def asked_by(origin: Origin | None) -> Attributes:
    """Who asked, where anybody did."""
    return {"respawnd.origin": origin.who} if origin is not None and origin.who else {}
