"""The fork server: a small process that brings forth children of the daemon who take steps of their own before exec.

Run by host.forkserver as a program of its own (python -I -S); imports nothing of ours and little of the library, for
what is mapped here is copied at each fork, and unmapped at each exec. Rules:
- It keeps a few spares: forked ahead of need with CLONE_PARENT, so that they are the daemon's own children, and warmed
  up, so that a launch pays neither for the fork nor for the page faults after it (0.9 ms of 1.6 ms).
- Spares wait on one socket; the kernel gives each message to one of them. That one becomes the service: it takes the
  steps in order, says its pid on the status pipe, and executes. What fails is told there: pid, stage, errno, detail.
- Nothing is read from the environment; no descriptor of the daemon is held but this socket; all ends when that does.

A message is a marshalled tuple, see `become`, with the descriptors of stdin, stdout, stderr and of the status pipe; one
that is too long for the socket comes in a memory file, as the fifth.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # what signal adds are enums, a megabyte of them
import _socket
import gc
import marshal
import os
import resource
import select
import sys
from ctypes import PyDLL, c_long, get_errno

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

SPARES = 2
#: Milliseconds for which a spare is not replaced while another waits: the new service goes first.
PATIENCE = 3
#: Milliseconds between attempts to fork where that fails.
RETRY = 100
#: Spares that may fail unused, one after another, before something must be wrong with this process.
MOST_BROKEN = 10
MESSAGE = 1 << 18
_CLONE_PARENT_SIGCHLD = 0x8000 | 17
#: The number of clone(2); s390x has another order of arguments, others are not known here.
_CLONE = {
    "x86_64": 56, "aarch64": 220, "riscv64": 220, "loongarch64": 220,
    "i386": 120, "i686": 120, "armv7l": 120, "armv6l": 120, "ppc64le": 120, "ppc64": 120,
}  # fmt: skip
_PASSED_OVER = frozenset({2, 13, 20, 116, 19, 110})  # ENOENT EACCES ENOTDIR ESTALE ENODEV ETIMEDOUT: as execvp(3) does
_EACCES = 13

_syscall = PyDLL(None, use_errno=True).syscall
_syscall.argtypes = (c_long,) * 6
_syscall.restype = c_long


def become(  # noqa: C901 - a step a line, in the order of the steps
    wish: tuple[Any, ...], fds: list[int], real: bool
) -> tuple[str, int, str]:
    """Turn this process into what is wished. Returns only where that failed: the stage, its errno, and a detail.

    The wish: paths to try, argv, environment, directory, umask, nice, oom_score_adj, limits as (name, number, soft,
    hard), uid, gid, groups; None where the daemon's own shall hold. Strings are bytes. `real`: say the pid.
    """
    paths, argv, environ, cwd, umask, nice, oom, limits, uid, gid, groups = wish
    stage, detail = "limits", ""
    try:
        if oom is not None:
            stage = "oom_score_adj"
            _write("/proc/self/oom_score_adj", b"%d" % oom)
        if nice is not None:
            stage = "nice"
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        stage = "limits"
        for detail, number, soft, hard in limits:  # noqa: B007 - told when this one fails
            resource.setrlimit(number, (soft, hard))
        if umask is not None:
            os.umask(umask)
        detail = ""
        if gid is not None:
            stage = "group"
            os.setgroups(groups)
            os.setresgid(gid, gid, gid)
        if uid is not None:
            stage = "user"
            os.setresuid(uid, uid, uid)
        if cwd is not None:
            stage = "chdir"
            os.chdir(cwd)
        stage = "output"
        for target in range(3):
            os.dup2(fds[target], target)
        if real:
            os.write(fds[3], b"%d " % os.getpid())  # last, for it wakes the daemon
        stage = "exec"
        return execute(paths, argv, environ)
    except (OSError, ValueError, MemoryError) as error:
        return stage, errno_of(error), detail


def errno_of(error: OSError | ValueError | MemoryError) -> int:
    """An errno. setrlimit speaks ValueError where soft is above hard, or hard above what is allowed to us."""
    if isinstance(error, MemoryError):
        return 12  # ENOMEM: its own limits are in its way
    if isinstance(error, ValueError):
        return 1 if "not allowed" in str(error) else 22  # EPERM, EINVAL
    return error.errno or 22


def execute(paths: list[bytes], argv: list[bytes], environ: dict[bytes, bytes]) -> tuple[str, int, str]:
    """Try each path as execvp(3) does; returns what failed: EACCES if a file was there that may not be executed."""
    number = 2
    for path in paths:
        try:
            os.execve(path, argv, environ)  # noqa: S606 - what this is for
        except OSError as error:
            if error.errno not in _PASSED_OVER or len(paths) == 1:
                return "exec", errno_of(error), os.fsdecode(path)
            if number != _EACCES:
                number = errno_of(error)
    return "exec", number, ""


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, data)
    finally:
        os.close(fd)


def receive(sock: _socket.socket, flags: int) -> tuple[bytes, list[int]]:
    """The next message and its descriptors; empty when the daemon is gone."""
    data, ancillary, _, _ = sock.recvmsg(MESSAGE, _socket.CMSG_SPACE(5 * 4), flags | _socket.MSG_CMSG_CLOEXEC)
    fds = memoryview(ancillary[0][2]).cast("i").tolist() if ancillary else []
    if len(fds) == 5:
        with open(fds[4], "rb") as file:
            file.seek(0)
            data = file.read()
    return data, fds


def spare(sock: _socket.socket, used: int) -> NoReturn:
    """Wait for a wish and become it. `used` closes with exec or death, and is written to where something is wrong."""
    try:
        serve_one(sock)
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as the server
        os.write(used, b"x")
    finally:
        os._exit(127)


def serve_one(sock: _socket.socket) -> None:
    """Wait for a wish and become it; returns where that failed and was told, or the daemon is gone.

    The session is made now and not by the launch: the scheduler's group that comes with it (autogroup, sched(7)) would
    stand at the end of the queue, which cost a launch 2 ms on a busy machine.
    """
    os.setsid()
    try:  # noqa: SIM105 - contextlib would be one more module to carry
        sock.send(b"%d " % os.getpid(), _socket.MSG_DONTWAIT)
    except OSError:
        pass  # the daemon has not read for long, or is gone
    for number in (_signal.SIGPIPE, _signal.SIGXFSZ):  # which Python ignores
        _signal.signal(number, _signal.SIG_DFL)
    try:
        data, fds = receive(sock, _socket.MSG_DONTWAIT)
    except BlockingIOError:
        warm_up()
        data, fds = receive(sock, 0)
    if data:
        failure = become(marshal.loads(data), fds, True)  # noqa: S302 - from the daemon, over a pair of our own
        os.write(fds[3], told(failure) if failure[0] == "exec" else b"%d %s" % (os.getpid(), told(failure)))


def told(failure: tuple[str, int, str]) -> bytes:
    """A failure as the status pipe carries it. The pid stands before it in any case; see `become`."""
    stage, number, detail = failure
    return b"%s %d %s" % (os.fsencode(stage), number, os.fsencode(detail))


def warm_up() -> None:
    """Go the whole way once with a wish that changes nothing and an exec that fails, so that its pages are ours."""
    environ = {b"NAME_%d" % at: b"a value of usual length, as they are found in an environment" for at in range(40)}
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    wish = ([b""], [b"-"], environ, b".", None, None, None, [("CORE", resource.RLIMIT_CORE, *limit)], None, None, ())
    message = marshal.dumps(wish)
    told(become(marshal.loads(message), [0, 1, 2, 0], False))  # noqa: S302 - made in the line above


class Server:
    """Keeps spares ready until the daemon closes its end of the socket."""

    def __init__(self, sock: _socket.socket) -> None:
        self.sock = sock
        self.waiting: set[int] = set()
        self.broken = 0
        self.problem = 0
        self.clone = _CLONE.get(os.uname().machine)
        self.poll = select.poll()
        self.poll.register(sock, select.POLLRDHUP)  # not its messages, which are for the spares

    def run(self) -> NoReturn:
        """Replace what was used, at once when none is left, else when the new service has had its start."""
        while True:
            while len(self.waiting) < SPARES and self.fork():
                pass
            if not self.waiting:
                self.decline()
                continue
            self.note(self.poll.poll())
            while self.waiting and self.note(self.poll.poll(PATIENCE)):
                pass

    def fork(self) -> bool:
        """Make one more spare; False if the system has none to give."""
        read, write = os.pipe2(os.O_CLOEXEC)
        try:
            if self.lineage() == 0:
                spare(self.sock, write)
        except OSError as error:
            self.problem = error.errno or 11
            os.close(read)
            return False
        finally:
            os.close(write)
        self.waiting.add(read)
        self.poll.register(read, select.POLLIN)
        return True

    def decline(self) -> None:
        """No process can be made: wait for a launch that needs one, try again for that, and answer it."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        if not poll.poll(RETRY) or self.fork():
            return
        data, fds = receive(self.sock, _socket.MSG_DONTWAIT)
        if not data:
            os._exit(0)
        os.write(fds[3], b"0 fork %d " % self.problem)
        for fd in fds:
            os.close(fd)

    def lineage(self) -> int:
        """Fork a sibling: 0 in the new process, which is the daemon's child. Raises OSError."""
        if self.clone is not None:
            pid: int = _syscall(self.clone, _CLONE_PARENT_SIGCHLD, 0, 0, 0, 0)
            if pid < 0:
                raise OSError(get_errno(), "clone")
            return pid
        # Where clone's number is not known: a grandchild, which falls to the daemon since that is a subreaper.
        between = os.fork()
        if between == 0:
            if os.fork() == 0:
                return 0
            os._exit(0)
        os.waitpid(between, 0)
        return between

    def note(self, events: list[tuple[int, int]]) -> bool:
        """Spares that were used or ended; whether there were any. Ends with the daemon."""
        for fd, _ in events:
            if fd not in self.waiting:
                os._exit(0)
            self.broken = self.broken + 1 if os.read(fd, 1) else 0
            if self.broken > MOST_BROKEN:
                sys.exit(1)
            self.poll.unregister(fd)
            os.close(fd)
            self.waiting.remove(fd)
        return bool(events)


def main(fd: int, nofile: tuple[int, int] | None) -> NoReturn:
    """Serve on the socket `fd`. Children get `nofile` as their limit of open files, where the daemon's was raised."""
    if nofile is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, nofile)
    PyDLL(None).prctl(15, b"respawnd-fork", 0, 0, 0)  # PR_SET_NAME; 15 bytes at most
    sock = _socket.socket(fileno=fd)
    os.set_inheritable(fd, False)
    os.close(fd + 1)  # this program's text
    warm_up()
    gc.collect()
    gc.freeze()
    gc.disable()
    Server(sock).run()


if __name__ == "__main__":
    main(int(sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4])) if len(sys.argv) > 3 else None)
