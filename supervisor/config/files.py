"""Reading a file that the daemon trusts: as root, only what nobody else could have written.

Rules: the checks are made on the descriptor that is read, so that a file cannot be exchanged in between; a pipe,
device or directory is refused instead of being waited for.
"""

from __future__ import annotations

import os
import stat

from supervisor.config.problem import Refused

#: Far more than the largest configuration; what is larger is some other file.
_LARGEST = 32 * 1024 * 1024
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def read_text(path: str, euid: int) -> str:
    """The text of a regular file in UTF-8, or Refused with the reason, in the operator's words."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(f"cannot read: {_reason(error)}") from None
    except ValueError:
        raise Refused("cannot read: its name holds a NUL byte") from None
    try:
        _check(path, os.fstat(descriptor), euid)
        with open(descriptor, "rb", closefd=False) as file:
            return file.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"cannot read: not UTF-8 at byte {error.start}") from None
    except OSError as error:
        raise Refused(f"cannot read: {_reason(error)}") from None
    finally:
        os.close(descriptor)


def _check(path: str, found: os.stat_result, euid: int) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Refused("cannot read: not a regular file")
    if found.st_size > _LARGEST:
        raise Refused("cannot read: larger than 32 MiB")
    _trust(path, found, euid)


def check_trust(path: str, euid: int) -> None:
    """Refuse, as root, an existing file that others own or can write. What does not exist is told by who reads it."""
    if euid != 0:
        return
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return
    _trust(path, found, euid)


def check_target(path: str, euid: int) -> None:
    """Refuse, as root, a file to write to that others could replace by a link; pipes and devices are none."""
    if euid != 0:
        return
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        _ancestors(path)
        return
    if stat.S_ISREG(found.st_mode):
        _trust(path, found, euid)


def _trust(path: str, found: os.stat_result, euid: int) -> None:
    if euid != 0:
        return
    reason = distrust(found.st_uid, found.st_mode)
    if reason:
        raise Refused(f"refused as root: {reason}")
    _ancestors(path)


def _ancestors(path: str) -> None:
    """Refuse a path below a directory in which everybody can exchange what is there; what is missing is nobody's."""
    directory = os.path.dirname(os.path.realpath(path))
    while True:
        try:
            mode = os.stat(directory).st_mode
        except FileNotFoundError:
            mode = 0
        except OSError as error:
            raise Refused(f"refused as root: cannot look at {directory}: {_reason(error)}") from None
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Refused(f"refused as root: everybody can write its directory {directory}")
        if directory == (directory := os.path.dirname(directory)):
            return


def distrust(owner: int, mode: int) -> str:
    """Why root should not believe a file with this owner and mode, or ""."""
    if owner != 0:
        return f"it is owned by uid {owner}"
    if mode & _WRITABLE:
        return f"others can write it (mode {stat.S_IMODE(mode):04o})"
    return ""


def _reason(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
