"""Starting a life: by which road, in which thread, and what came of it.

Rules:
- Each launch is answered exactly once: at once where it was done inline, else by `post` from a launcher thread.
- Inline, in the loop's own turn, is launched only what has always started quickly (host.programs) by the plain road; a
  staged launch is at most begun there, with one message, and awaited in a thread.
- A child that was launched is the loop's: the launcher reaps only what has failed.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Mapping
from functools import partial

from supervisor.core.effects import Launch
from supervisor.core.events import Launched, LaunchFailed
from supervisor.core.model import Kind, UnitKey, UnitSpec
from supervisor.core.state import LaunchError
from supervisor.host.environ import life_tag
from supervisor.host.forkserver import Failure, ForkServer
from supervisor.host.launch_threads import LaunchThreads
from supervisor.host.pulse import Pulses
from supervisor.host.recipe import Plain, Recipes, Staged
from supervisor.host.refusal import Refusal, refuse
from supervisor.host.spawn import spawn

Answer = Launched | LaunchFailed
Trace = Callable[[UnitKey, int, Kind], str | None]
#: Deaths of the fork server, or of the spare at work, that one launch bears; killed together they are three.
_DEATHS = 3
#: What the two roads are called in Launched.method.
_PLAIN, _STAGED = "posix_spawn", "fork_server"


class Launcher:
    """Carries out Launch effects.

    `instance` names the daemon in RESPAWND_LIFE; `outputs` gives the descriptors for 1 and 2 of a unit's next life,
    which stay their owner's (it may raise OSError); `post` takes answers, from any thread; `clock` is monotonic, in
    seconds; `raised_nofile` is the daemon's original limit of open files (soft, hard) where it has raised it.
    `trace`, if one is set before the first launch, gives the TRACEPARENT of a life, or None, in any thread.
    """

    def __init__(
        self,
        instance: str,
        base_environment: Mapping[str, str],
        outputs: Callable[[UnitKey, UnitSpec], tuple[int, int]],
        post: Callable[[Answer], None],
        clock: Callable[[], float],
        raised_nofile: tuple[int, int] | None,
        pulses: Pulses | None = None,
    ) -> None:
        self._instance, self._outputs, self._post, self._clock = instance, outputs, post, clock
        self.trace: Trace | None = None
        self._recipes = Recipes(base_environment, clock, raised_nofile is not None)
        self._server = ForkServer(raised_nofile, base_environment)
        self._threads = LaunchThreads(pulses=pulses)
        self._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        self._waiting: set[tuple[UnitKey, int]] = set()

    def launch(self, effect: Launch, *, inline_ok: bool) -> Answer | None:
        """Launch; the answer if it is known at once, None if it is posted later. For the loop's thread."""
        try:
            recipe = self._recipes.ready(effect.key, effect.spec)
            if isinstance(recipe, Plain):
                if inline_ok and recipe.program.score > 0:
                    return self._plain(effect, recipe)
                job: Callable[[], Answer] = partial(self._plain, effect, recipe)
            elif recipe is not None:
                job = self._begin(effect, recipe)
            else:
                job = partial(self._slowly, effect)
            return self._hand_over(effect, job, recipe)
        except Exception as error:  # noqa: BLE001 - whatever it is costs this launch, and is told with it
            return _failure(effect, error)

    def _hand_over(self, effect: Launch, job: Callable[[], Answer], recipe: Plain | Staged | None) -> Answer | None:
        """Give a job to a launcher thread."""
        self._waiting.add((effect.key, effect.life))
        try:
            self._threads.submit(partial(self._answered, job, effect), slow=recipe is not None and recipe.program.slow)
        except RuntimeError as error:
            self._waiting.discard((effect.key, effect.life))
            if isinstance(recipe, Staged):
                return job()  # it may have begun, and must not be left alone
            return _failed(effect, LaunchError("launcher", errno.EAGAIN, f"launcher: {error}"))
        return None

    # --- in whichever thread -----------------------------------------------------------------------------------------

    def _answered(self, job: Callable[[], Answer], effect: Launch) -> None:
        """Run a job in a launcher thread and post its answer."""
        answer: Answer = _failed(effect, LaunchError("launcher", errno.EIO, "launcher: its thread died"))
        try:
            answer = job()
        except Exception as error:  # noqa: BLE001 - as in launch
            answer = _failure(effect, error)
        finally:
            self._post(answer)

    def _slowly(self, effect: Launch) -> Answer:
        """Launch what needs files or accounts to be read first, or was never launched before."""
        began = self._clock()
        recipe = self._recipes.make(effect.key, effect.spec)
        if isinstance(recipe, Plain):
            return self._plain(effect, recipe)
        status = self._send(effect, recipe, wait=True)
        assert status is not None
        return self._finish(effect, recipe, began, status)

    def _plain(self, effect: Launch, recipe: Plain) -> Answer:
        self._name(effect, recipe)
        stdio = (self._null, *self._streams(effect))
        began = self._clock()
        number, pid = spawn(recipe.path, recipe.argv, recipe.envp, recipe.cwd, stdio)
        at = self._clock()
        if number:
            return self._plain_failed(effect, recipe, number)
        recipe.program.took(at - began)
        return Launched(effect.key, effect.life, pid, at, time.time(), at - began, _PLAIN)

    def _plain_failed(self, effect: Launch, recipe: Plain, number: int) -> Answer:
        """Say what failed. A program that was found along PATH and has moved since is looked for once more."""
        self._recipes.forget(effect.key)
        refusal = _stage(recipe, number)
        if refusal.error.stage == "exec":
            self._recipes.programs.lost(recipe.program)
            if number == errno.ENOENT and "/" not in recipe.spec.command[0]:
                again = self._recipes.make(effect.key, effect.spec)
                if isinstance(again, Plain) and again.path != recipe.path:
                    return self._plain(effect, again)
        return _failed(effect, refusal.error)

    def _begin(self, effect: Launch, recipe: Staged) -> Callable[[], Answer]:
        """Ask the fork server at once if that takes no waiting; what is left to do in a thread."""
        began = self._clock()
        status = self._send(effect, recipe, wait=False)
        if status is None:
            return partial(self._slowly, effect)
        return partial(self._finish, effect, recipe, began, status)

    def _send(self, effect: Launch, recipe: Staged, *, wait: bool) -> int | None:
        self._name(effect, recipe)
        return self._server.send(recipe.wish, (self._null, *self._streams(effect)), wait=wait)

    def _finish(self, effect: Launch, recipe: Staged, began: float, status: int) -> Answer:
        pid, failure, seconds = self._outcome(effect, recipe, status)
        at = self._clock()
        if failure is not None:
            self._recipes.forget(effect.key)
            raise recipe.refusal(failure)
        recipe.program.took(seconds)  # not what it waited for the server
        return Launched(effect.key, effect.life, pid, at, time.time(), at - began, _STAGED)

    def _outcome(self, effect: Launch, recipe: Staged, status: int) -> tuple[int, Failure | None, float]:
        """What became of a staged launch. One that died with its server was nothing yet, and is asked for again."""
        for _ in range(_DEATHS):
            try:
                return self._server.outcome(status)
            except Refusal:
                again = self._send(effect, recipe, wait=True)
                assert again is not None
                status = again
        return self._server.outcome(status)

    def _name(self, effect: Launch, recipe: Plain | Staged) -> None:
        """Put into the environment what belongs to this one life."""
        key, life = effect.key, effect.life
        trace = None if self.trace is None else self.trace(key, life, effect.spec.kind)
        recipe.name(life_tag(self._instance, key, life), trace)

    def _streams(self, effect: Launch) -> tuple[int, int]:
        try:
            return self._outputs(effect.key, effect.spec)
        except OSError as error:
            raise refuse("output", error.errno or errno.EIO) from error

    # --- for the loop ------------------------------------------------------------------------------------------------

    def in_flight(self) -> int:
        """Launches whose answer the loop has not taken yet: a dead child that nobody knows may be theirs."""
        return len(self._waiting)

    def taken(self, answer: Answer) -> None:
        """The loop has taken a posted answer, and watches its child if there is one."""
        self._waiting.discard((answer.key, answer.life))

    @property
    def waiting(self) -> int:
        """Launches that no thread has taken yet."""
        return self._threads.waiting

    def helper_pids(self) -> frozenset[int]:
        """Children of the daemon that are no service: the fork server, and its spares."""
        return self._server.pids()

    def reaped(self, pid: int) -> bool:
        """A child that is no life died and was reaped; whether it was a helper of ours."""
        return self._server.reaped(pid)

    def forget(self, key: UnitKey) -> None:
        """The unit is no more."""
        self._recipes.forget(key)

    def stop(self, timeout: float) -> bool:
        """Finish what is under way, end threads and fork server; False if not all was done in `timeout` seconds."""
        done = self._threads.stop(timeout)
        self._server.close(timeout)
        os.close(self._null)
        return done


def _stage(recipe: Plain, number: int) -> Refusal:
    """At which stage posix_spawn failed: it gives one errno for all. Looked at afterwards, since failures are rare."""
    if number in (errno.EAGAIN, errno.ENOMEM):
        return refuse("fork", number)
    if number == errno.EBADF:
        return refuse("output", number)
    directory = recipe.spec.directory
    if directory is not None:
        try:
            os.close(os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError as error:
            return refuse("chdir", error.errno or number, directory)
        if not os.access(directory, os.X_OK):
            return refuse("chdir", errno.EACCES, directory)
    return refuse("exec", number, recipe.program.path)


def _failure(effect: Launch, error: Exception) -> LaunchFailed:
    """The answer that an exception is."""
    if isinstance(error, Refusal):
        return _failed(effect, error.error)
    return _failed(effect, LaunchError("launcher", errno.EIO, f"launcher: {error!r}"))


def _failed(effect: Launch, error: LaunchError) -> LaunchFailed:
    """The event, with a draw for the jitter of the delay that follows."""
    return LaunchFailed(effect.key, effect.life, error, int.from_bytes(os.urandom(4), "little") / 2**32)
