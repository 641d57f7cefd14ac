"""The edge: one epoll over pidfds, mailbox, signals; it turns the kernel's news into events, and carries effects out.

Rules: events of one wait come out in the order of precedence (core.events); a death is looked at once, where it is
seen; nothing here blocks but `wait`.
"""

from __future__ import annotations

import logging
import random
import select
import signal
import time
from collections.abc import Callable
from typing import Protocol

from supervisor.core import effects as fx
from supervisor.core.events import PRECEDENCE, Event, Exited, Gone, Launched, LaunchFailed, Start
from supervisor.core.model import UnitKey
from supervisor.core.ports import Ask
from supervisor.core.state import LaunchError
from supervisor.host import kernel
from supervisor.host.lives import Death, Lives
from supervisor.host.mailbox import Mailbox
from supervisor.host.pulse import Pulse

log = logging.getLogger("respawnd.edge")

_SIGCHLD = int(signal.SIGCHLD)
_COMMANDS = PRECEDENCE[Start]
_MOST_EVENTS = 4096


class LauncherPort(Protocol):
    """What the edge asks of the launcher."""

    def launch(self, effect: fx.Launch, *, inline_ok: bool) -> Launched | LaunchFailed | None:
        """Launch; the answer, or None when it comes through the mailbox."""

    def in_flight(self) -> int:
        """Launches whose answer is still to come."""

    def taken(self, answer: Launched | LaunchFailed) -> None:
        """An answer that came through the mailbox was taken, and its child is watched."""

    def reaped(self, pid: int) -> bool:
        """A child that is no life died and was reaped; whether it was a helper of the launcher's."""

    def forget(self, key: UnitKey) -> None:
        """The unit is no more."""


class OutputPort(Protocol):
    """What the edge asks of the output thread."""

    def forget(self, key: UnitKey) -> None:
        """The unit is no more."""


class HostEdge:
    """The real edge. `on_signal` is called in the loop's turn for each signal but SIGCHLD."""

    def __init__(
        self,
        launcher: LauncherPort,
        outputs: OutputPort,
        mailbox: Mailbox[Event | Ask],
        signals: int,
        on_signal: Callable[[int], None],
        tag: Callable[[UnitKey, int], str],
    ) -> None:
        self._launcher, self._outputs, self._mailbox = launcher, outputs, mailbox
        self._signals, self._on_signal = signals, on_signal
        self._epoll = select.epoll()
        self._epoll.register(mailbox.fd, select.EPOLLIN)
        self._epoll.register(signals, select.EPOLLIN)
        self.lives = Lives(self._epoll, tag, launcher.in_flight, launcher.reaped)
        self._strays = False
        self.pulse = Pulse("loop", None)  # its owner's to exchange for one that is listed
        self._woke = 0.0

    def wait(self, timeout: float) -> list[Event | Ask]:
        """Block until something happened or `timeout` seconds passed; what happened, in order of precedence."""
        if self._strays:
            # Only now, when the turn that saw the signal is over: respawns go first.
            self._strays = not self.lives.reap_strays()
        self.pulse.idle()
        fired = self._epoll.poll(timeout, _MOST_EVENTS)
        self.pulse.busy()
        if not fired:
            return []
        self._woke = time.monotonic()
        self.lives.new_turn()
        batch: list[Event | Ask] = [_exited(death, self._woke) for death in self.lives.let_go()]
        for fd, _ in fired:
            if self.lives.known(fd):
                self._pidfd(fd, batch)
            elif fd == self._mailbox.fd:
                self._mail(batch)
            elif fd == self._signals:
                self._signalled()
        if len(batch) > 1:
            batch.sort(key=_precedence)
        return batch

    def _pidfd(self, fd: int, batch: list[Event | Ask]) -> None:
        news = self.lives.fired(fd)
        if isinstance(news, Death):
            batch.append(_exited(news, self._woke))
        elif news is not None:
            batch.append(Gone(news.key, news.number))

    def _mail(self, batch: list[Event | Ask]) -> None:
        for item in self._mailbox.take():
            batch.append(self._watched(item) if isinstance(item, Launched) else item)
            if isinstance(item, (Launched, LaunchFailed)):
                self._launcher.taken(item)

    def _signalled(self) -> None:
        for number in kernel.read_signals(self._signals):
            if number == _SIGCHLD:
                self._strays = True
            else:
                self._on_signal(number)

    def launch(self, effect: fx.Launch, *, alone: bool) -> Event | None:
        """Start a life; the answer at once when it was launched inline."""
        answer = self._launcher.launch(effect, inline_ok=alone)
        return self._watched(answer) if isinstance(answer, Launched) else answer

    def _watched(self, launched: Launched) -> Launched | LaunchFailed:
        """Watch the new life from here on: an exit before this is noticed by the next wait."""
        try:
            self.lives.begin(launched.key, launched.life, launched.pid)
        except OSError as error:
            reason = LaunchError("watch", error.errno or 0, f"cannot watch it: {(error.strerror or '').lower()}")
            return LaunchFailed(launched.key, launched.life, reason)
        return launched

    def signal(self, effect: fx.Signal) -> None:
        """Signal a life; one that is dead already is passed over."""
        problem = self.lives.signal(effect.key, effect.life, effect.signal, effect.scope)
        if problem is not None:
            log.error("Cannot signal %s: %s", effect.key, problem, extra={"service": effect.key.service})

    def send(self, key: UnitKey, signum: int) -> str | None:
        """Send one signal to the main process that lives now; what went wrong, in words."""
        return self.lives.send(key, signum)

    def sweep(self, effect: fx.Sweep) -> Event | None:
        """Signal all that is left of a life; Gone at once where nothing is."""
        if self.lives.sweep(effect.key, effect.life, effect.signal):
            return None
        return Gone(effect.key, effect.life)

    def forget(self, effect: fx.Forget) -> None:
        """Close what is kept for a unit that is no more."""
        self._outputs.forget(effect.key)
        self._launcher.forget(effect.key)

    def close(self) -> None:
        """Close the descriptors of the edge; for the end of the program."""
        self.lives.close()
        self._epoll.close()


def _precedence(item: Event | Ask) -> int:
    return _COMMANDS if isinstance(item, Ask) else PRECEDENCE[type(item)]


def _exited(death: Death, woke: float) -> Exited:
    life = death.life
    return Exited(
        life.key,
        life.number,
        death.code,
        death.signal,
        at=time.monotonic(),
        wall=time.time(),
        core=death.core,
        left=death.left,
        draw=random.random(),  # noqa: S311 - the jitter of a delay, not a secret
        woke=woke,
        consumed=death.consumed,
    )
