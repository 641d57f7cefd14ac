"""Finding the daemon that a command means.

It is found by `--socket`, or by the configuration (`-c`, or where `run` would look), or by the default state directory;
the lock file of the state directory tells the socket. Rules: nothing here needs the configuration to be valid, for a
daemon is still there when its file is broken; and nothing is changed in a daemon that was only met by chance: one that
runs another configuration than the one that was meant answers reads, with a word about it, and no writes.
"""

from __future__ import annotations

import os

from supervisor.cli.absence import Holder, holder
from supervisor.cli.fault import REFUSED, UNREACHABLE, WRONG, CommandError, complain
from supervisor.cli.link import Link
from supervisor.config import ConfigError, find, here, places


def reach(config: str | None, socket: str | None, *, writes: bool = False) -> Link:
    """The daemon that is meant; CommandError where it cannot be told which that is."""
    if socket is not None and config is not None:
        raise CommandError("cannot take both -c and --socket: each names a daemon", WRONG)
    if socket is not None:
        return Link(socket)
    if config is not None:
        _must_be_there(config)
    path = config if config is not None else _looked_up()
    link, known = _at(path)
    if config is None and path is not None and not known.alive:
        return _elsewhere(path, link, writes=writes)
    if path is not None and known.alive and known.config is not None and not _same(path, known.config):
        _foreign(path, known, writes=writes)
    return link


def _must_be_there(config: str) -> None:
    """A name that was mistyped must not lead to the daemon of another file."""
    try:
        os.close(os.open(config, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except PermissionError:
        raise CommandError(f"{config}: cannot read: permission denied", REFUSED) from None
    except OSError as error:
        raise CommandError(f"{config}: cannot read: {(error.strerror or str(error)).lower()}", WRONG) from None


def _looked_up() -> str | None:
    try:
        return find(None, os.environ, os.geteuid(), here())
    except ConfigError:
        return None


def _at(path: str | None) -> tuple[Link, Holder]:
    """The daemon of a configuration, or without one the one of the default state directory."""
    state_dir, runtime_dir = places(path, environ=os.environ, euid=os.geteuid())
    known = holder(state_dir)
    return Link(known.socket or os.path.join(runtime_dir, "respawnd.sock"), state_dir), known


def _elsewhere(path: str, link: Link, *, writes: bool) -> Link:
    """No daemon for the configuration that was found: perhaps there is one in the default state directory."""
    other, known = _at(None)
    if not known.alive or other.state_dir == link.state_dir:
        return link
    _foreign(path, known, writes=writes)
    return other


def _foreign(path: str, known: Holder, *, writes: bool) -> None:
    line = f"no daemon runs {path}; pid {known.pid} runs {known.config}"
    if writes:
        raise CommandError(f"{line}: to mean that one, say -c {known.config} or --socket {known.socket}", UNREACHABLE)
    complain(f"{line}, and answers here")


def _same(one: str, other: str) -> bool:
    """Whether two names lead to one file, or would, had it not been removed."""
    if os.path.abspath(one) == other:
        return True
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
