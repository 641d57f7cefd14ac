"""Configurations as tests write them: a text under a name, loaded as a plain user with a small environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from supervisor.config import Config, ConfigError, load
from supervisor.core.model import UnitSpec

USER = 1000
ENVIRON = {"HOME": "/home/ann", "PATH": "/usr/bin:/bin", "PORT": "8080", "EMPTY": ""}


def write(path: Path, text: str) -> str:
    """Write a file with mode 0644, its directories too; return its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    return str(path)


def loaded(directory: Path, text: str, name: str = "respawnd.toml", **how: Any) -> Config:
    """The configuration of a text."""
    return load(write(directory / name, text), **{"environ": ENVIRON, "euid": USER, **how})


def service(directory: Path, keys: str) -> UnitSpec:
    """The service `web` of a TOML text that gives its keys; `command` is there already."""
    command = "" if "command =" in keys.split("[service.", maxsplit=1)[0] else 'command = ["sleep", "60"]\n'
    return loaded(directory, f"[service.web]\n{command}{keys}\n").services["web"]


def refused(directory: Path, text: str, name: str = "respawnd.toml", **how: Any) -> list[str]:
    """The lines that refuse a text, without the directory; nothing where it is taken."""
    try:
        loaded(directory, text, name, **how)
    except ConfigError as error:
        return [str(problem).removeprefix(f"{directory}/") for problem in error.problems]
    return []


def program(directory: Path, keys: str, **how: Any) -> Config:
    """The configuration of the one program `web` in supervisord's dialect; its command is there already."""
    return loaded(directory, f"[program:web]\ncommand=x\n{keys}\n", "x.conf", **how)
