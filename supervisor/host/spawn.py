"""The plain road to exec: posix_spawn(3), called through ctypes.

Rules:
- The C library runs it as clone(CLONE_VM | CLONE_VFORK): no page table is copied, and it returns when exec has
  succeeded or failed, with the errno of the failure.
- The spawn itself gives up the interpreter lock, so that a slow exec in one thread stops no other. (os.posix_spawn, and
  subprocess before 3.11.4, hold it.) The calls that only prepare it return at once and keep the lock: see host.kernel.
- A child leads its own session, has no signal blocked and none ignored, and sees the descriptors 0, 1 and 2 alone.

The structures of <spawn.h> are opaque here: 80 and 336 bytes in glibc and musl, given room to spare. The flags have the
same values in both.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

_SETSIGDEF, _SETSIGMASK, _SETSID = 0x04, 0x08, 0x80
_SIGSET_WORDS = 16  # 1024 bits, more than any kernel has signals
_SPACE = ctypes.c_uint64 * 128

_slow = ctypes.CDLL(None)
_quick = ctypes.PyDLL(None)

_posix_spawn = _slow.posix_spawn
_posix_spawn.argtypes = (ctypes.c_void_p,) * 6
_init, _destroy = _quick.posix_spawn_file_actions_init, _quick.posix_spawn_file_actions_destroy
_adddup2 = _quick.posix_spawn_file_actions_adddup2
_adddup2.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
_init.argtypes = _destroy.argtypes = (ctypes.c_void_p,)


def _optional(name: str, argument: type) -> ctypes._NamedFuncPointer | None:
    """A function that older C libraries lack."""
    function: ctypes._NamedFuncPointer | None = getattr(_quick, name, None)
    if function is not None:
        function.argtypes = (ctypes.c_void_p, argument)
    return function


# glibc 2.29, musl 1.1.24; glibc 2.34.
_addchdir = _optional("posix_spawn_file_actions_addchdir_np", ctypes.c_char_p)
_addclosefrom = _optional("posix_spawn_file_actions_addclosefrom_np", ctypes.c_int)

#: Whether this road can set a working directory here.
CAN_CHDIR = _addchdir is not None

Vector = ctypes.Array[ctypes.c_char_p]


def _attributes() -> ctypes.Array[ctypes.c_uint64]:
    """Session leader, no signal blocked, all at their defaults. Never changed again, so that threads can share it."""
    attributes, signals = _SPACE(), (ctypes.c_uint64 * _SIGSET_WORDS)()
    _quick.posix_spawnattr_init(attributes)
    _quick.sigemptyset(signals)
    _quick.posix_spawnattr_setsigmask(attributes, signals)
    _quick.sigfillset(signals)
    _quick.posix_spawnattr_setsigdefault(attributes, signals)
    setflags = _quick.posix_spawnattr_setflags
    setflags.argtypes = (ctypes.c_void_p, ctypes.c_short)
    setflags(attributes, _SETSIGDEF | _SETSIGMASK | _SETSID)
    return attributes


_ATTRIBUTES = _attributes()


def vector(items: Sequence[bytes]) -> Vector:
    """An argv or envp. It keeps the strings alive; an item may be exchanged between two spawns."""
    return (ctypes.c_char_p * (len(items) + 1))(*items, None)


def spawn(path: bytes, argv: Vector, envp: Vector, cwd: bytes | None, stdio: Sequence[int]) -> tuple[int, int]:
    """Start `path` in `cwd` with `stdio` as its descriptors 0, 1, 2 and so on; (0, pid), or (errno, 0) if that failed.

    The descriptors may have any numbers, the daemon's own 0 to 2 included, as long as none is needed after it was
    covered: see `_order`.
    """
    actions, pid = _SPACE(), ctypes.c_int()
    _init(actions)
    if cwd is not None and _addchdir is not None:
        _addchdir(actions, cwd)
    for target in _order(stdio):
        _adddup2(actions, stdio[target], target)
    if _addclosefrom is not None:
        _addclosefrom(actions, len(stdio))
    number: int = _posix_spawn(ctypes.byref(pid), path, actions, _ATTRIBUTES, argv, envp)
    _destroy(actions)
    return number, pid.value


def _order(stdio: Sequence[int]) -> Sequence[int]:
    """In which order the targets are filled: 2 before 1 where stderr goes to the daemon's own stdout."""
    return (0, 2, 1) if len(stdio) == 3 and stdio[2] == 1 else range(len(stdio))
