"""Which file a command means, and how fast files of that name start.

A program that has always started quickly is launched from the loop itself, which saves the way through a thread (0.1 ms
of a respawn's 0.4); one that was slow a short while ago, or lies on a network file system, is not.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat

from supervisor.host.refusal import Refusal, refuse

#: Seconds that a quick launch takes at most.
QUICK = 0.020
#: Quick launches that make up for a slow one.
_FORGIVEN = 5

_statfs = ctypes.CDLL(None).statfs  # gives up the interpreter lock: a dead server lets it wait
_statfs.argtypes = (ctypes.c_char_p, ctypes.c_void_p)

# f_type of statfs(2); the numbers are those of linux/magic.h and of the file systems' own headers.
_NETWORK = frozenset({
    0x6969,  # nfs
    0x517B, 0xFE534D42, 0xFF534D42,  # smb, smb2, cifs
    0x65735546,  # fuse: sshfs, glusterfs, s3fs
    0x01021997,  # 9p
    0x00C36400,  # ceph
    0x5346414F, 0x6B414653, 0x73757245,  # afs, kafs, coda
    0x0187,  # autofs
    0x0BD00BD0, 0x47504653, 0x19830326, 0x786F4256, 0x7461636F, 0x01161970,  # lustre gpfs beegfs vboxsf ocfs2 gfs2
})  # fmt: skip


class Program:
    """One executable file, by the name it is launched under. `score` is above 0 while its launches are quick."""

    __slots__ = ("path", "remote", "score")

    def __init__(self, path: str) -> None:
        self.path = path
        self.score = 0
        self.remote: bool | None = None

    @property
    def quick(self) -> bool:
        """Whether it has always, or for long enough, started within QUICK seconds, from a local disk."""
        return self.score > 0

    @property
    def slow(self) -> bool:
        """Whether it is known to be slow; what was never launched is neither."""
        return self.score < 0

    def took(self, seconds: float) -> None:
        """A launch of it took so long. Not for the loop's thread where it was never launched: asks the file system."""
        if self.remote is None:
            self.remote = is_remote(self.path)
        if self.remote or seconds >= QUICK:
            self.score = -_FORGIVEN
        elif self.score <= 0:
            self.score += 1


class Programs:
    """The programs that were launched, and what a command was found to be along a PATH."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None, str | None], str] = {}
        self._programs: dict[str, Program] = {}

    def known(self, name: str, path: str | None, cwd: str | None) -> Program | None:
        """The program that `name` was found to be before; never blocks."""
        found = self._found.get((name, path, cwd))
        return self._programs.get(found) if found is not None else None

    def find(self, name: str, path: str | None, cwd: str | None) -> Program:
        """The program that `name` means in a child with that PATH and directory. May block. Raises Refusal (exec)."""
        known = self.known(name, path, cwd)
        if known is not None:
            return known
        found = look_up(name, path, cwd)
        self._found[name, path, cwd] = found
        return self.named(found)

    def named(self, path: str) -> Program:
        """The program of that path, or of that name where somebody else looks for it."""
        return self._programs.get(path) or self._programs.setdefault(path, Program(path))

    def lost(self, program: Program) -> None:
        """It is not there any more: look again, and judge its speed anew."""
        self._programs.pop(program.path, None)
        for key in [key for key, found in list(self._found.items()) if found == program.path]:
            self._found.pop(key, None)


def candidates(name: str, path: str | None) -> list[str]:
    """Where a command may be: itself if it has a slash, else a place for each directory of PATH, as execvp(3) does."""
    if "/" in name:
        return [name]
    return [os.path.join(directory or ".", name) for directory in (path or "").split(":")]


def look_up(name: str, path: str | None, cwd: str | None) -> str:
    """The first executable file among the candidates. A relative one counts from `cwd`, the child's directory.

    Raises Refusal of the stage exec, unless the name has a slash: then exec itself says what is wrong.
    """
    places = [os.path.join(cwd, place) if cwd is not None else place for place in candidates(name, path)]
    if "/" in name:
        return places[0]
    number = errno.ENOENT
    for place in places:
        try:
            mode = os.stat(place).st_mode
        except (OSError, ValueError):
            continue
        if stat.S_ISREG(mode):
            if os.access(place, os.X_OK):
                return place
            number = errno.EACCES
    if number == errno.EACCES:
        raise refuse("exec", number, name)
    raise Refusal("exec", number, f"exec {name}: no such program along PATH ({path})")


def is_remote(path: str) -> bool:
    """Whether a file lies where another machine, or another process, must answer before it can be read. May block."""
    buffer = (ctypes.c_long * 128)()
    if _statfs(os.fsencode(path), buffer) != 0:
        return False
    return buffer[0] & 0xFFFFFFFF in _NETWORK
