"""Options that commands share, and how refusals are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from supervisor.config import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

config_option = click.option("-c", "--config", metavar="FILE", help="The configuration (of the daemon that is meant).")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one key, as in daemon.log_level=debug."
)
socket_option = click.option("--socket", metavar="PATH", help="The daemon's Unix socket, instead of -c.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def refuse(error: ConfigError) -> int:
    """Tell every problem of a configuration, a line each; the exit status."""
    for problem in error.problems:
        click.echo(f"respawnd: {problem}", err=True)
    return 2
