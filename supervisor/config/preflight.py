"""What this host lacks for a configuration, found without starting anything.

Rules: these are warnings. A program, directory or user that is not there costs its own service, tries again, and may
come later; what is told here is what the service would fail with, in the same words.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Callable, Iterator

from supervisor.config.problem import Problem, quoted
from supervisor.config.quantity import format_duration
from supervisor.config.settings import Config
from supervisor.core.backoff import delay
from supervisor.core.model import Condition, Kind, Restart, UnitSpec

Finding = tuple[str, str]
_EXECUTABLE = stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_FOR_EVER = frozenset({Restart.ALWAYS, Restart.ON_SUCCESS})


def preflight(config: Config) -> tuple[Problem, ...]:
    """Every warning, service by service."""
    found = [
        Problem(spec.source, f"service.{spec.name}.{key}", reason)
        for spec in config.services.values()
        for look in _LOOKS
        for key, reason in look(spec)
    ]
    found += [Problem(config.path, key, reason) for key, reason in _http(config)]
    return (*found, *_needs(config), *_shared_files(config))


def _program(spec: UnitSpec) -> Iterator[Finding]:
    """The program, where it would be looked for: as a path from the working directory, else along PATH."""
    name = spec.command[0]
    if "/" in name:
        path = os.path.normpath(os.path.join(spec.directory or "", name))
        if not os.path.exists(path):
            yield "command", f"no such file: {path}"
        elif not _executable(path):
            yield "command", f"not executable: {path}"
        return
    search = spec.environment.get("PATH") or os.environ.get("PATH") or _DEFAULT_PATH
    if not any(_executable(os.path.join(directory, name)) for directory in search.split(os.pathsep)):
        yield "command", f"no program {quoted(name)} along PATH"


def _executable(path: str) -> bool:
    """A regular file with an x bit; whose bit it must be depends on the user, whom the kernel asks."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(mode) and bool(mode & _EXECUTABLE)


def _directory(spec: UnitSpec) -> Iterator[Finding]:
    if spec.directory is not None and not os.path.isdir(spec.directory):
        yield (
            "directory",
            f"{'not a directory' if os.path.exists(spec.directory) else 'no such directory'}: {spec.directory}",
        )


def _accounts(spec: UnitSpec) -> Iterator[Finding]:
    if spec.user is not None and not _exists(pwd.getpwnam, pwd.getpwuid, spec.user):
        yield "user", f"no such user: {quoted(spec.user)}"
    if spec.group is not None and not _exists(grp.getgrnam, grp.getgrgid, spec.group):
        yield "group", f"no such group: {quoted(spec.group)}"
    if os.geteuid() != 0 and (spec.user or spec.group) and not _own(spec):
        yield "user" if spec.user else "group", "only root can run as somebody else"


def _exists(by_name: Callable[[str], object], by_number: Callable[[int], object], name: str) -> bool:
    try:
        by_number(int(name)) if name.isdecimal() else by_name(name)
    except (KeyError, OverflowError, ValueError):
        return False
    return True


def _own(spec: UnitSpec) -> bool:
    """Whether the service asks for what the daemon is anyway."""
    user, group = spec.user, spec.group
    users = {None, str(os.geteuid()), _name(lambda: pwd.getpwuid(os.geteuid()).pw_name)}
    groups = {None, str(os.getegid()), _name(lambda: grp.getgrgid(os.getegid()).gr_name)}
    return user in users and group in groups


def _name(look_up: Callable[[], str]) -> str | None:
    try:
        return look_up()
    except KeyError:
        return None


def _files(spec: UnitSpec) -> Iterator[Finding]:
    for path in spec.env_files:
        if not os.path.isfile(path):
            yield "env_file", f"{'not a file' if os.path.exists(path) else 'no such file'}: {path}"
        elif not os.access(path, os.R_OK):
            yield "env_file", f"cannot read: {path}"


def _policy(spec: UnitSpec) -> Iterator[Finding]:
    """A limit that the delays keep from being reached: the failures never lie in one window."""
    policy = spec.give_up
    if policy.failures is None or spec.restart is Restart.NEVER:
        return
    needed = 0.0
    for streak in range(1, policy.failures + 1):
        needed += delay(spec.backoff, streak, 0.5)
        if needed >= policy.within:
            count, window = policy.failures + 1, format_duration(policy.within)
            yield "give_up", f"can never be reached: with this backoff, {count} failures take longer than {window}"
            return


def _http(config: Config) -> Iterator[Finding]:
    path = config.http.token_file
    if path and not os.path.isfile(path):
        yield "http.token_file", f"no such file: {path}: every write over TCP will be refused"


def _needs(config: Config) -> Iterator[Problem]:
    """Conditions that cannot come true."""
    for spec in config.services.values():
        for need, condition in spec.depends_on.items():
            other = config.services[need]
            key = f"service.{spec.name}.depends_on.{need}"
            completing = condition in {Condition.COMPLETED, Condition.COMPLETED_OK}
            if completing and other.kind is Kind.SERVICE and other.restart in _FOR_EVER:
                yield Problem(spec.source, key, f"waits for {need} to complete, which is restarted for ever")
            elif not other.replicas:
                yield Problem(spec.source, key, f"waits for {need}, which has no replicas")


def _shared_files(config: Config) -> Iterator[Problem]:
    """One log file for several writers: each would rotate it under the others."""
    owners: dict[str, str] = {}
    for spec in config.services.values():
        for stream in ("stdout", "stderr"):
            path = getattr(spec.logs, stream)
            if not path.startswith("/") or path.startswith("/dev/"):
                continue
            owner = owners.setdefault(path, spec.name)
            if owner != spec.name or spec.replicas > 1:
                others = f"{owner} writes" if owner != spec.name else f"{spec.replicas} replicas write"
                yield Problem(
                    spec.source,
                    f"service.{spec.name}.logs.{stream}",
                    f"{others} and rotate{'s' * (owner != spec.name)} {path} too",
                )


_LOOKS: tuple[Callable[[UnitSpec], Iterator[Finding]], ...] = (_program, _directory, _accounts, _files, _policy)
