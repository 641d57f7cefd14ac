"""`respawnd check`: validate a configuration, and show what it means."""

from __future__ import annotations

import os

import click

from supervisor.cli.options import config_option, refuse, set_option
from supervisor.config import ConfigError, effective, find, load, preflight


@click.command()
@config_option
@set_option
@click.option("--show", is_flag=True, help="Print the effective configuration, every default filled in, as TOML.")
def check(config: str | None, overrides: tuple[str, ...], *, show: bool) -> int:
    """Validate a configuration; start nothing. Ends 2 where `run` would refuse it, or an include of it."""
    try:
        path = find(config, os.environ, os.geteuid(), os.getcwd())
        loaded = load(path, overrides=overrides, environ=dict(os.environ))
    except ConfigError as error:
        return refuse(error)
    for problem in loaded.broken:
        click.echo(f"respawnd: {problem}", err=True)
    for problem in (*loaded.warnings, *preflight(loaded)):
        click.echo(f"respawnd: warning: {problem}", err=True)
    if show:
        click.echo(effective(loaded), nl=False)
    else:
        click.echo(f"{path}: {len(loaded.services)} services, {'no errors' if not loaded.broken else 'errors in includes'}")
    return 2 if loaded.broken else 0
