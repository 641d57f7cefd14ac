"""`respawnd check`: validate a configuration, and show what it means."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import click
from attrs import asdict

from supervisor.cli.fault import WRONG, complain
from supervisor.cli.options import config_option, json_option, refuse, set_option
from supervisor.cli.words import plural
from supervisor.config import Config, ConfigError, Problem, effective, find, here, load, preflight


@click.command()
@config_option
@set_option
@click.option("--show", is_flag=True, help="Print the effective configuration, every default filled in, as TOML.")
@json_option
def check(config: str | None, overrides: tuple[str, ...], *, show: bool, as_json: bool) -> int:
    """Validate a configuration; start nothing.

    Ends 2 where `run` would refuse it, or an include of it. What this host lacks for it (a program, a user, a
    directory) is a warning, for it costs one service.
    """
    if show and as_json:
        raise click.UsageError("cannot print both: --show is TOML")
    try:
        path = find(config, os.environ, os.geteuid(), here())
        loaded = load(path, overrides=overrides, environ=dict(os.environ))
    except ConfigError as error:
        return _refused(error) if as_json else refuse(error)
    warnings = (*loaded.warnings, *preflight(loaded))
    if as_json:
        _print(path, loaded.services, loaded.broken, warnings)
    else:
        _tell(path, loaded, warnings, show=show)
    return WRONG if loaded.broken else 0


def _tell(path: str, config: Config, warnings: Iterable[Problem], *, show: bool) -> None:
    for problem in config.broken:
        complain(str(problem))
    for problem in warnings:
        complain(f"warning: {problem}")
    if show:
        click.echo(effective(config), nl=False)
    else:
        errors = "errors in includes" if config.broken else "no errors"
        click.echo(f"{path}: {plural(len(config.services), 'service')}, {errors}")


def _refused(error: ConfigError) -> int:
    _print(None, (), error.problems, ())
    return WRONG


def _print(path: str | None, services: Iterable[str], problems: Iterable[Problem], warnings: Iterable[Problem]) -> None:
    said: dict[str, Any] = {
        "config": path,
        "services": list(services),
        "problems": [asdict(problem) for problem in problems],
        "warnings": [asdict(problem) for problem in warnings],
    }
    click.echo(json.dumps(said, indent=2))
