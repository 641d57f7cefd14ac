"""Options that commands share, and how a configuration is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from supervisor.cli.fault import WRONG, complain

if TYPE_CHECKING:
    from supervisor.config import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


def _names(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """No name is empty; a comma holds several, as in the API."""
    names = tuple(name for text in value for name in text.split(","))
    if not all(names):
        raise click.BadParameter("a name must not be empty")
    return names


config_option = click.option("-c", "--config", metavar="FILE", help="The configuration (of the daemon that is meant).")
set_option = click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override one key, as in daemon.log_level=debug."
)
socket_option = click.option("--socket", metavar="PATH", help="The daemon's Unix socket, instead of -c.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
names_argument = click.argument("names", nargs=-1, required=True, metavar="NAME...", callback=_names)
some_names_argument = click.argument("names", nargs=-1, metavar="[NAME]...", callback=_names)


def refuse(error: ConfigError) -> int:
    """Tell every problem of a configuration, a line each; the exit status."""
    for problem in error.problems:
        complain(str(problem))
    return WRONG
