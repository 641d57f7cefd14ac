"""`respawnd start stop restart signal shutdown`: commands that change something."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import click

from supervisor.cli.options import config_option, json_option, socket_option
from supervisor.cli.reach import Link, reach

_names = click.argument("names", nargs=-1, required=True, metavar="NAME…")
_timeout = click.option(
    "--timeout", type=click.FloatRange(0, 3600), default=60.0, show_default=True, help="Seconds to wait for the result."
)
_no_wait = click.option("--no-wait", is_flag=True, help="Return when the command was accepted.")


def _command(verb: str, text: str) -> click.Command:
    """One of start, stop and restart, which differ in their name alone."""

    def command(  # noqa: PLR0913 - one parameter an option
        names: tuple[str, ...], config: str | None, socket: str | None, timeout: float, *, no_wait: bool, as_json: bool
    ) -> int:
        link = reach(config, socket)
        body = {"wait": not no_wait, "timeout": timeout}
        return _tell(link, f"/api/v1/services/{_path(names)}/{verb}", body, as_json=as_json)

    wrapped: Callable[..., int] = command
    for option in (json_option, _no_wait, _timeout, socket_option, config_option, _names):
        wrapped = option(wrapped)
    return click.command(verb, help=text)(wrapped)


start = _command("start", "Start services, and what they depend on. Clears their failures.")
stop = _command("stop", "Stop services, dependents first. They stay stopped until they are started.")
restart = _command("restart", "Stop services and start them again. Clears their failures.")


@click.command()
@click.argument("name_of_signal", metavar="SIGNAL")
@_names
@config_option
@socket_option
@json_option
def signal(
    name_of_signal: str, names: tuple[str, ...], config: str | None, socket: str | None, *, as_json: bool
) -> int:
    """Send SIGNAL (HUP, SIGUSR1, 10, …) to the main process of services."""
    link = reach(config, socket)
    return _tell(link, f"/api/v1/services/{_path(names)}/signal", {"signal": name_of_signal}, as_json=as_json)


@click.command()
@config_option
@socket_option
@click.option("--now", is_flag=True, help="Kill what lives instead of asking it to end.")
@click.option("--no-wait", is_flag=True, help="Return when the shutdown has begun.")
@click.option("--timeout", type=click.FloatRange(0, 3600), default=120.0, show_default=True, help="Seconds to wait.")
def shutdown(config: str | None, socket: str | None, timeout: float, *, now: bool, no_wait: bool) -> int:
    """Stop everything in reverse dependency order, then end the daemon."""
    link = reach(config, socket)
    link.post("/api/v1/shutdown", {"hurry": now})
    if no_wait or link.gone(timeout):
        return 0
    click.echo(f"respawnd: the daemon has not ended after {timeout:.0f} s; see `respawnd status`", err=True)
    return 1


def _path(names: tuple[str, ...]) -> str:
    from urllib.parse import quote  # noqa: PLC0415 - 5 ms that `run` does not need

    return quote(",".join(names), safe=",*:?[]!")


def _tell(link: Link, path: str, body: dict[str, Any], *, as_json: bool) -> int:
    """Send a command and tell each result as it comes; 1 if any failed."""
    failed = False
    for result in _results(link, path, body):
        if as_json:
            click.echo(json.dumps(result))
        elif "accepted" in result:
            click.echo(f"accepted: {', '.join(result['accepted'])}")
        else:
            click.echo(f"{result['unit']}: {result['text']}", err=not result["ok"])
        failed = failed or not result.get("ok", True)
    return 1 if failed else 0


def _results(link: Link, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    return link.lines(path, body)
