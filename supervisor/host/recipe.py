"""What a unit needs to be launched, worked out once and kept while its specification stays the same.

A recipe is *plain* or *staged* (docs/decisions/0009-launching.md). What changes from life to life is RESPAWND_LIFE,
and TRACEPARENT where a unit gets one and does not set it itself.
Env files are read and accounts asked for at each start: such recipes are made anew, in a launcher thread.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from supervisor.core.model import Limit, UnitKey, UnitSpec
from supervisor.host import environ
from supervisor.host.accounts import Account, Accounts
from supervisor.host.forkserver import Failure
from supervisor.host.programs import Program, Programs, candidates
from supervisor.host.refusal import Refusal, refuse
from supervisor.host.spawn import CAN_CHDIR, Vector, vector


class Plain:
    """For posix_spawn: nothing has to happen in the child before exec but its directory."""

    __slots__ = ("argv", "cwd", "envp", "path", "program", "spec", "traced")

    def __init__(self, spec: UnitSpec, program: Program, variables: Mapping[str, str]) -> None:
        name = spec.command[0]
        self.spec, self.program = spec, program
        # As it was written where it has a slash, for a script sees it as its name.
        self.path = os.fsencode(name if "/" in name else program.path)
        self.argv: Vector = vector(_arguments(spec))
        # What names the unit is nobody else's: kept, it would outlive a service that has left the configuration.
        shared = [_entry(k, v) if not k.startswith("RESPAWND_") else _spelled(k, v) for k, v in variables.items()]
        self.envp: Vector = vector([*shared, b""])
        self.cwd = os.fsencode(spec.directory) if spec.directory is not None else None
        self.traced: bool | None = None if environ.TRACE in variables else False

    def name(self, tag: str, trace: str | None = None) -> None:
        """Give the next life its RESPAWND_LIFE, and a TRACEPARENT unless that is None or the service sets its own."""
        if self.traced is not None and (trace is not None) is not self.traced:
            self._make_room(trace is not None)
        self.envp[-2] = os.fsencode(f"{environ.LIFE}={tag}")
        if self.traced and trace is not None:
            self.envp[-3] = os.fsencode(f"{environ.TRACE}={trace}")

    def _make_room(self, traced: bool) -> None:
        """Have an entry for TRACEPARENT before the last, or have it no more."""
        kept = [entry for entry in self.envp[: -3 if self.traced else -2] if entry is not None]
        self.envp = vector([*kept, *([b""] if traced else []), b""])
        self.traced = traced


class Staged:
    """For the fork server: what forkserver_main.become takes, and whom it was worked out for."""

    __slots__ = ("account", "program", "spec", "traced", "variables", "wish")

    def __init__(self, spec: UnitSpec, program: Program, variables: Mapping[str, str], account: Account | None) -> None:
        self.spec, self.program, self.account = spec, program, account
        self.variables = {os.fsencode(name): os.fsencode(value) for name, value in variables.items()}
        self.traced = environ.TRACE not in variables
        name = spec.command[0]
        path = variables.get("PATH", environ.DEFAULT_PATH)
        change = account if account is not None and account.change else None
        self.wish: list[Any] = [
            [os.fsencode(place) for place in candidates(name, path)],
            _arguments(spec),
            self.variables,
            os.fsencode(spec.directory) if spec.directory is not None else None,
            spec.umask,
            spec.nice or None,
            spec.oom_score_adj,
            [_limit(limit) for limit in spec.limits],
            change.uid if change is not None else None,
            change.gid if change is not None else None,
            change.groups if change is not None else (),
        ]

    def name(self, tag: str, trace: str | None = None) -> None:
        """Give the next life its RESPAWND_LIFE, and a TRACEPARENT unless that is None or the service sets its own."""
        self.variables[environ.LIFE.encode()] = os.fsencode(tag)
        if self.traced:
            self.variables.pop(environ.TRACE.encode(), None)
            if trace is not None:
                self.variables[environ.TRACE.encode()] = os.fsencode(trace)

    def refusal(self, failure: Failure) -> Refusal:
        """What the fork server told of a failure, in words that name what was asked for."""
        stage, number, detail = failure
        spec = self.spec
        subjects = {
            "user": spec.user,
            "group": spec.group or spec.user,
            "chdir": spec.directory,
            "exec": detail or spec.command[0],
            "nice": str(spec.nice),
            "oom_score_adj": str(spec.oom_score_adj),
            "umask": f"{spec.umask or 0:03o}",
        }
        if stage == "exec" and not detail and number == errno.ENOENT:
            return Refusal(stage, number, f"exec {spec.command[0]}: no such program along PATH")
        return refuse(stage, number, subjects.get(stage, detail) or "")


class Recipes:
    """Makes recipes, and keeps them by unit. `raised` tells that the daemon's own limit of open files was raised."""

    def __init__(self, base: Mapping[str, str], clock: Callable[[], float], raised: bool) -> None:
        self._base = environ.inherited(base)
        self._raised = raised
        self._kept: dict[UnitKey, Plain | Staged] = {}
        self.accounts = Accounts(clock)
        self.programs = Programs()

    def ready(self, key: UnitKey, spec: UnitSpec) -> Plain | Staged | None:
        """The recipe of a unit if that can be had without waiting for anybody."""
        kept = self._kept.get(key)
        if kept is not None and kept.spec is spec:
            if isinstance(kept, Plain):
                return kept
            if kept.account is None or self.accounts.fresh(spec.user, spec.group) == kept.account:
                return kept
        elif not spec.env_files and not self._staged(spec) and self._program(spec) is not None:
            return self.make(key, spec)
        return None

    def make(self, key: UnitKey, spec: UnitSpec) -> Plain | Staged:
        """The recipe of a unit, worked out now. May block. Raises Refusal."""
        account = self.accounts.find(spec.user, spec.group) if spec.user is not None or spec.group is not None else None
        variables = environ.compose(self._base, key, spec, account)
        path = variables.get("PATH", environ.DEFAULT_PATH)
        recipe: Plain | Staged
        if self._staged(spec):
            recipe = Staged(spec, self._judged(spec, path, account), variables, account)
        else:
            recipe = Plain(spec, self.programs.find(spec.command[0], path, spec.directory), variables)
        if not spec.env_files:
            self._kept[key] = recipe
        return recipe

    def forget(self, key: UnitKey) -> None:
        """The unit is no more, or its recipe no longer true."""
        self._kept.pop(key, None)

    def _staged(self, spec: UnitSpec) -> bool:
        """Whether something has to happen in the child that posix_spawn cannot do."""
        return (
            self._raised
            or spec.user is not None
            or spec.group is not None
            or spec.umask is not None
            or spec.nice != 0
            or spec.oom_score_adj is not None
            or bool(spec.limits)
            or (spec.directory is not None and not CAN_CHDIR)
        )

    def _judged(self, spec: UnitSpec, path: str, account: Account | None) -> Program:
        """The program of a staged unit. Where another user runs it, that user looks for it: here it is but a name."""
        if account is None or not account.change:
            return self.programs.find(spec.command[0], path, spec.directory)
        return self.programs.named(spec.command[0])

    def _program(self, spec: UnitSpec) -> Program | None:
        """The program of a plain unit if it was launched before, by whichever unit."""
        inherit = self._base.get("PATH") if spec.inherit_environment else None
        path = spec.environment.get("PATH", inherit if inherit is not None else environ.DEFAULT_PATH)
        return self.programs.known(spec.command[0], path, spec.directory)


def _arguments(spec: UnitSpec) -> list[bytes]:
    if any("\0" in word for word in spec.command):
        raise Refusal("exec", errno.EINVAL, f"exec {spec.command[0]!r}: an argument holds a NUL, which none can")
    return [os.fsencode(word) for word in spec.command]


def _limit(limit: Limit) -> tuple[str, int, int, int]:
    number = getattr(resource, f"RLIMIT_{limit.resource}", None)
    if number is None:
        raise Refusal("limits", errno.EINVAL, f"limits {limit.resource}: this system has no such limit")
    soft, hard = (resource.RLIM_INFINITY if value is None else value for value in (limit.soft, limit.hard))
    return limit.resource, number, soft, hard


def _spelled(name: str, value: str) -> bytes:
    """One string of an envp."""
    return os.fsencode(f"{name}={value}")


#: Services share most of theirs.
_entry = lru_cache(maxsize=4096)(_spelled)
