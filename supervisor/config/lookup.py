"""Which configuration file is meant when none is named, and where the daemon of a configuration is to be found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from supervisor.config.files import read_text
from supervisor.config.formats.document import Host, absolute, open_document
from supervisor.config.overrides import from_environ
from supervisor.config.problem import ConfigError, Problem, Refused
from supervisor.config.readers import Source
from supervisor.config.schema import DAEMON
from supervisor.config.settings import daemon_settings, home

_NAME = "respawnd.toml"


def here() -> str | None:
    """The working directory; None where it was removed, and so holds no configuration."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None


def find(explicit: str | None, environ: Mapping[str, str], euid: int, cwd: str | None) -> str:
    """The file to load: `explicit` as it is, else the first that exists; ConfigError telling where was looked."""
    if explicit is not None:
        return explicit
    candidates = _candidates(environ, euid, cwd)
    for path in candidates:
        if os.path.exists(path):
            return path
    reason = f"no configuration: looked for {', '.join(candidates)}; name one with -c FILE"
    if euid == 0 and cwd is not None and os.path.exists(os.path.join(cwd, _NAME)):
        reason += f" (root does not take ./{_NAME} by itself)"
    raise ConfigError([Problem("", "", reason)])


def _candidates(environ: Mapping[str, str], euid: int, cwd: str | None) -> list[str]:
    """The lookup order; root does not take a file from wherever it happens to stand."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):
        base = os.path.join(home(environ, euid), ".config")
    candidates = [os.path.join(base, "respawnd", _NAME), "/etc/respawnd/respawnd.toml"]
    return candidates if euid == 0 or cwd is None else [os.path.join(cwd, _NAME), *candidates]


def places(path: str | None, *, environ: Mapping[str, str], euid: int) -> tuple[str, str]:
    """State and runtime directory of the daemon that runs, or would run, the configuration at `path`.

    It never fails: a daemon is still where it was while somebody breaks its file, so what cannot be read counts as not
    given. Without a path, the defaults and the environment tell.
    """
    given: dict[str, Any] = {}
    if path is not None:
        try:
            document = open_document(path, Host(environ, euid))
            given = _read(document.tree.get("daemon"), document.source)
        except ConfigError:
            given = _salvage(path, Host(environ, euid))
    for setting in from_environ(environ):
        section, key = setting.path
        if section == "daemon":
            given |= _read({key: setting.text}, Source(absolute("."), None))
    directories: dict[str, Any] = {key: given[key] for key in ("state_dir", "runtime_dir") if key in given}
    try:
        settings = daemon_settings(directories, environ, euid)
    except Refused:
        settings = daemon_settings({}, environ, euid)
    return settings.state_dir, settings.runtime_dir


def _salvage(path: str, host: Host) -> dict[str, Any]:
    """What an unreadable or half edited file still tells."""
    from supervisor.config.salvage import salvaged  # noqa: PLC0415 - only for a broken file

    try:
        found = salvaged(read_text(path, host.euid))
    except Refused:
        return {}
    base = os.path.dirname(absolute(path))
    found = {key: value.replace("%(here)s", base) for key, value in found.items()}
    return _read(found, Source(base, host.environ))


def _read(section: Any, source: Source) -> dict[str, Any]:
    try:
        return DAEMON.read(section, source)
    except Refused as refused:
        return {**(refused.partial or {})}
