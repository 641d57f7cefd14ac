"""Options that commands share, and how a configuration is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from supervisor.cli.fault import WRONG, complain
from supervisor.config.quantity import LONGEST, format_duration, parse_duration
from supervisor.control.body import LONGEST_PATIENCE

if TYPE_CHECKING:
    from supervisor.config import ConfigError

F = TypeVar("F", bound=Callable[..., Any])


class Duration(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.5 on, and not before
    """A time as the configuration has it: 250ms, 10s, 1h30m, or a bare number of seconds; at most `most` seconds."""

    name = "duration"

    def __init__(self, most: float = LONGEST) -> None:
        self._most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds > self._most:
            self.fail(f"must be at most {format_duration(self._most)}, not {value}", param, ctx)
        return seconds


def _names(context: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """No name is empty; a comma holds several, as in the API."""
    names = tuple(name for text in value for name in text.split(","))
    if not all(names):
        raise click.BadParameter("a name must not be empty")
    return names


#: What a command may be waited for, as the API has it.
PATIENCE = Duration(LONGEST_PATIENCE)
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
