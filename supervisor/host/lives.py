"""Lives and what they leave behind: noticing death, reaping, signalling, and sweeping stragglers.

Rules
- A life's pid is ours to signal until we reap it, and only the loop reaps: so no stranger can be hit.
- A life is watched by its pidfd. Its exit is taken from waitid(P_PIDFD) and never guessed.
- We are a subreaper: what a life leaves behind becomes our child. It belongs to the life if it is in its session or
  group, or carries its tag (RESPAWND_LIFE); what cannot be attributed with certainty is never signalled, only reaped.
- Stragglers are signalled through pidfds opened before they are looked at again, so that a reused pid cannot be hit.
"""

from __future__ import annotations

import errno
import logging
import os
import select
import signal
from collections.abc import Callable

from supervisor.core.model import Scope, UnitKey
from supervisor.core.state import Consumed
from supervisor.host import kernel, procfs

log = logging.getLogger("respawnd.lives")

_TAG = b"RESPAWND_LIFE"


class Life:
    """One living main process of ours."""

    __slots__ = ("key", "number", "pid", "pidfd", "tag", "token")

    def __init__(self, key: UnitKey, number: int, pid: int, pidfd: int, tag: bytes) -> None:
        self.key, self.number, self.pid, self.pidfd, self.tag = key, number, pid, pidfd, tag
        self.token = b"%d" % pid


class Remains:
    """What is left of a dead life and is being swept: pidfds of the stragglers that still live."""

    __slots__ = ("life", "signal", "watched")

    def __init__(self, life: Life) -> None:
        self.life = life
        self.signal = 0
        self.watched: dict[int, int] = {}


class Death:
    """How a life ended and what it used, as waitid told it; `left` when something of it still lives."""

    __slots__ = ("code", "consumed", "core", "left", "life", "signal")

    def __init__(
        self, life: Life, code: int | None, signal: int | None, core: bool, consumed: Consumed | None, left: bool
    ) -> None:
        self.life, self.code, self.signal, self.core, self.left = life, code, signal, core, left
        self.consumed = consumed


class Lives:
    """All lives and remains.

    `epoll` is the loop's; `tag` names a life as its environment does; `in_flight` counts
    launches not yet answered, whose children must not be taken for strays; `helper_died` is told of a dead child that
    is no life and says whether it was a helper of ours.
    """

    def __init__(
        self,
        epoll: select.epoll,
        tag: Callable[[UnitKey, int], str],
        in_flight: Callable[[], int] = lambda: 0,
        helper_died: Callable[[int], bool] = lambda _pid: False,
    ) -> None:
        self._epoll = epoll
        self._tag = tag
        self._in_flight = in_flight
        self._helper_died = helper_died
        self._living: dict[UnitKey, Life] = {}
        self._by_fd: dict[int, Life | Remains] = {}
        self._remains: dict[UnitKey, Remains] = {}
        self._held: list[Life] = []
        self._tokens: set[bytes] = set()
        self._orphans: dict[bytes, tuple[int, bytes | None]] = {}
        self._snapshot: dict[int, procfs.Entry] | None = None
        # Orphans go to the first thread of the process, the main one. The loop runs in another, whose children the
        # lives are, so this list holds orphans alone and is short (0.4 us a child to read, at each death).
        self._children = os.open(f"/proc/self/task/{os.getpid()}/children", os.O_RDONLY | os.O_CLOEXEC)
        self.orphans_reaped = 0

    def __len__(self) -> int:
        return len(self._living)

    def begin(self, key: UnitKey, number: int, pid: int) -> None:
        """Watch a child that was launched. One that is dead already is a zombie until we reap it: its pidfd opens.

        Raises OSError (too many open files) after having ended the child, which nobody could watch.
        """
        try:
            self._begin(key, number, pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def _begin(self, key: UnitKey, number: int, pid: int) -> None:
        life = Life(key, number, pid, os.pidfd_open(pid), self._tag(key, number).encode())
        self._living[key] = life
        self._by_fd[life.pidfd] = life
        self._tokens.add(life.token)
        self._epoll.register(life.pidfd, select.EPOLLIN)

    def new_turn(self) -> None:
        """The process table read in an earlier turn is no longer true."""
        self._snapshot = None

    def known(self, fd: int) -> bool:
        """Whether `fd` is a pidfd of ours."""
        return fd in self._by_fd

    def fired(self, fd: int) -> Death | Life | None:
        """A pidfd is readable: the death of a life, a dead life whose last straggler is gone, or None."""
        one = self._by_fd.get(fd)
        if isinstance(one, Life):
            return self._died(one)
        return self._straggler_died(one, fd) if one is not None else None

    def let_go(self) -> list[Death]:
        """Deaths that a tracer had kept from us until now."""
        deaths = [death for life in self._held if (death := self._died(life)) is not None]
        self._held = [life for life in self._held if self._living.get(life.key) is life]
        return deaths

    def _died(self, life: Life) -> Death | None:
        ended = kernel.reap(life.pidfd)
        if ended is None:
            # Dead, but a tracer has not let go of it: its pidfd would wake us for ever. SIGCHLD comes when it does.
            if life not in self._held:
                self._epoll.unregister(life.pidfd)
                self._held.append(life)
            return None
        del self._by_fd[life.pidfd], self._living[life.key]
        kernel.unwatch(self._epoll.fileno(), life.pidfd)
        self._tokens.discard(life.token)
        left = self._leaves_something(life)
        if left:
            self._remains[life.key] = Remains(life)
        return Death(life, *ended, left)

    def _leaves_something(self, life: Life) -> bool:
        """Whether others of the group, or orphans that carry session or tag, still live. Cheap where there are none."""
        if _group_exists(life.pid):
            self.reap_strays()  # its members may be dead too, and only wait for us as their new parent
            if _group_exists(life.pid):
                return True
        return any(self._belongs(token, life) for token in self._unknown_children())

    def _unknown_children(self) -> set[bytes]:
        unknown = set(kernel.children(self._children).split()) - self._tokens
        for token in self._orphans.keys() - unknown:
            del self._orphans[token]
        return unknown

    def _belongs(self, token: bytes, life: Life) -> bool:
        """Whether an orphan is of `life`.

        What was learnt of it is kept until it is gone: a pid of a child is not reused before we reap it.
        """
        if token not in self._orphans:
            one = procfs.entry(int(token))
            if one is None or one.dead:
                return False
            self._orphans[token] = (one.session, procfs.tag(int(token), _TAG))
        session, tag = self._orphans[token]
        return session == life.pid or tag == life.tag

    # --- signals -----------------------------------------------------------------------------------------------------

    def signal(self, key: UnitKey, number: int, signum: int, scope: Scope) -> str | None:
        """Signal a life, or its group; an error in words, None when it was sent or the life is dead already."""
        life = self._living.get(key)
        if life is None or life.number != number:
            return None
        try:
            if scope is Scope.GROUP:
                os.killpg(life.pid, signum)
            else:
                signal.pidfd_send_signal(life.pidfd, signum)
        except ProcessLookupError:
            return None
        except OSError as error:
            return error.strerror or str(error)
        return None

    def send(self, key: UnitKey, signum: int) -> str | None:
        """Signal the main process of a unit, whichever life it is; what is in the way, in words, None if sent."""
        life = self._living.get(key)
        if life is None:
            return "no such process"
        return self.signal(key, life.number, signum, Scope.MAIN)

    def sweep(self, key: UnitKey, number: int, signum: int) -> bool:
        """Signal all of a life: its main process if that lives, its group, session, tag, and their descendants.

        False when nothing of it is left, which is final; otherwise `fired` tells when it is.
        """
        life = self._living.get(key)
        if life is not None and life.number == number:
            self._sweep_living(life, signum)
            return True
        remains = self._remains.get(key)
        if remains is None or remains.life.number != number:
            return False
        remains.signal = signum
        return self._sweep_remains(remains)

    def _sweep_living(self, life: Life, signum: int) -> None:
        """The main process and its group first: else it outlives what it waits for, and makes up an exit code."""
        others = self._members(life) - {life.pid}
        try:
            os.killpg(life.pid, signum)
        except ProcessLookupError:
            return
        except OSError as error:
            log.error("Cannot signal %s: %s", life.key, error.strerror)  # noqa: TRY400 - an expected refusal
        for pid in others:
            self._signal_straggler(pid, signum)

    def _sweep_remains(self, remains: Remains) -> bool:
        for pid in self._members(remains.life):
            self._watch(remains, pid)
        if remains.watched:
            return True
        del self._remains[remains.life.key]
        return False

    def _watch(self, remains: Remains, pid: int) -> None:
        """Open the straggler's pidfd, look at it again, signal it and wait for its end."""
        if pid in remains.watched.values():
            fd = next(fd for fd, known in remains.watched.items() if known == pid)
        else:
            try:
                fd = os.pidfd_open(pid)
            except ProcessLookupError:
                return
            seen = self._snapshot[pid] if self._snapshot else None
            now = procfs.entry(pid)
            if now is None or seen is None or now.started != seen.started:
                os.close(fd)
                return
            remains.watched[fd] = pid
            self._by_fd[fd] = remains
            self._epoll.register(fd, select.EPOLLIN)
        _send(fd, remains.signal)

    def _straggler_died(self, remains: Remains, fd: int) -> Life | None:
        """One straggler is dead; when it was the last that we knew, look for others before saying so."""
        pid = remains.watched.pop(fd)
        del self._by_fd[fd]
        try:
            kernel.reap(fd)
        except OSError as error:
            if error.errno != errno.ECHILD:  # not our child: its parent, a straggler too, reaps it or leaves it to us
                raise
        kernel.unwatch(self._epoll.fileno(), fd)
        self._orphans.pop(b"%d" % pid, None)
        if remains.watched:
            return None
        self._snapshot = None
        return None if self._sweep_remains(remains) else remains.life

    def _members(self, life: Life) -> set[int]:
        """Living processes of a life, by session, group, tag and descent."""
        if self._snapshot is None:
            self._snapshot = procfs.table()
        everyone = self._snapshot
        living = self._living.get(life.key) is life
        if living or life.pid not in everyone:
            # A pid is not given anew while a session or group bears it. If it is there although its life is dead, the
            # session and the group are a stranger's.
            roots = [one.pid for one in everyone.values() if life.pid in (one.session, one.group)]
        else:
            roots = []
        roots.extend(int(token) for token in self._unknown_children() if self._belongs(token, life))
        if living:
            roots.append(life.pid)
        strangers = {other.pid for other in self._living.values() if other is not life} | {os.getpid()}
        return {pid for pid in procfs.family(everyone, roots, strangers) if not everyone[pid].dead}

    def _signal_straggler(self, pid: int, signum: int) -> None:
        try:
            fd = os.pidfd_open(pid)
        except ProcessLookupError:
            return
        _send(fd, signum)
        os.close(fd)

    # --- strays ------------------------------------------------------------------------------------------------------

    def reap_strays(self) -> bool:
        """Reap dead orphans that no life owns; as a subreaper, and as pid 1, that is our duty.

        False when a zombie that is not a stray hides what may be behind it: its own event comes first, then ask again.
        """
        while pid := kernel.a_zombie():
            token = b"%d" % pid
            if (
                token in self._tokens
                or self._in_flight()
                or any(pid in r.watched.values() for r in self._remains.values())
            ):
                return False
            os.waitpid(pid, os.WNOHANG)
            self._orphans.pop(token, None)
            if not self._helper_died(pid):
                self.orphans_reaped += 1
        return True

    def close(self) -> None:
        """Close what is open; for the end of the program."""
        for fd in list(self._by_fd):
            os.close(fd)
        self._by_fd.clear()
        os.close(self._children)


def _send(pidfd: int, signum: int) -> None:
    try:
        signal.pidfd_send_signal(pidfd, signum)
    except ProcessLookupError:
        return  # dead already, which its pidfd tells next
    except OSError as error:
        log.error("Cannot signal a straggler: %s", error.strerror)  # noqa: TRY400 - an expected refusal, its words are enough


def _group_exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
