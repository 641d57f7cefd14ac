"""Who a service runs as: ids, groups and names, from the system's databases.

Rules: looked up in a launcher thread, since a directory service may take its time; every call here lets other threads
run meanwhile (os.getgrouplist would not). Supplementary groups are the user's own and never one of the daemon's. What
was found holds for a few seconds, so that a storm of respawns asks once.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable

from attrs import frozen

from supervisor.host.refusal import Refusal

#: Seconds for which an answer is believed.
FRESH = 5.0
_MOST_GROUPS = 65536  # NGROUPS_MAX, limits.h

_getgrouplist = ctypes.CDLL(None).getgrouplist
_getgrouplist.argtypes = (ctypes.c_char_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p)


@frozen
class Account:
    """What a process becomes. `uid` is None where only a group was asked for, and so are the names then.

    `change` is False where all that was asked for is what the daemon is anyway.
    """

    uid: int | None
    gid: int
    groups: tuple[int, ...]
    name: str | None
    home: str
    shell: str
    change: bool = True


class Accounts:
    """Looks accounts up, and remembers them for FRESH seconds of `clock`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[tuple[str | None, str | None], tuple[float, Account]] = {}

    def fresh(self, user: str | None, group: str | None) -> Account | None:
        """The account if it was looked up a moment ago; never blocks."""
        found = self._known.get((user, group))
        return found[1] if found is not None and self._clock() - found[0] < FRESH else None

    def find(self, user: str | None, group: str | None) -> Account:
        """The account of a user, a group, or both. May block. Raises Refusal of the stages user and group."""
        account = self.fresh(user, group)
        if account is None:
            account = _look_up(user, group)
            with self._lock:
                self._known[user, group] = (self._clock(), account)
        return account


def _look_up(user: str | None, group: str | None) -> Account:
    """Ask the databases. A daemon that is not root can only give what it is itself."""
    gid = _group(group) if group is not None else None
    if user is None:
        return _permitted(Account(None, gid or 0, (gid or 0,), None, "", ""), "group", str(group))
    name, uid, primary, home, shell = _user(user)
    gid = primary if gid is None else gid
    found = Account(uid, gid, _groups(name, gid), name, home, shell)
    same_user = os.geteuid() in (0, uid)
    return _permitted(found, "group" if same_user else "user", str(group) if same_user else user)


def _permitted(account: Account, stage: str, name: str) -> Account:
    if os.geteuid() == 0:
        return account
    if account.uid in (None, os.geteuid()) and account.gid == os.getegid():
        return Account(account.uid, account.gid, (), account.name, account.home, account.shell, change=False)
    raise Refusal(stage, errno.EPERM, f"{stage} {name}: only root can run a service as another {stage}")


def _user(name: str) -> tuple[str, int, int, str, str]:
    import pwd  # noqa: PLC0415 - NSS is not touched by a daemon whose services all run as itself

    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError, ValueError):
        raise Refusal("user", errno.ENOENT, f"no such user: {name}") from None
    except OSError as error:
        raise Refusal("user", error.errno or errno.EIO, f"user {name}: {error.strerror}") from None
    return entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell or "/bin/sh"


def _group(name: str) -> int:
    import grp  # noqa: PLC0415 - as above

    try:
        entry = grp.getgrgid(int(name)) if name.isdecimal() else grp.getgrnam(name)
    except (KeyError, OverflowError, ValueError):
        raise Refusal("group", errno.ENOENT, f"no such group: {name}") from None
    except OSError as error:
        raise Refusal("group", error.errno or errno.EIO, f"group {name}: {error.strerror}") from None
    return entry.gr_gid


def _groups(user: str, gid: int) -> tuple[int, ...]:
    """The groups of a user, `gid` among them. Through ctypes: CPython's own holds the interpreter lock meanwhile."""
    size = 64
    while True:
        groups, count = (ctypes.c_uint32 * size)(), ctypes.c_int(size)
        if _getgrouplist(os.fsencode(user), gid, groups, ctypes.byref(count)) >= 0:
            return tuple(groups[: count.value])
        if size >= _MOST_GROUPS:
            raise Refusal("user", errno.EINVAL, f"user {user}: cannot list its groups")
        size = min(_MOST_GROUPS, max(size * 4, count.value))
