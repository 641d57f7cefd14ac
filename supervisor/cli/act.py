"""`respawnd start stop restart signal`: commands that change something about services."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import click

from supervisor.cli.fault import FAILED, INTERRUPTED, CommandError, complain
from supervisor.cli.link import Link, units_path
from supervisor.cli.options import PATIENCE, config_option, json_option, names_argument, socket_option
from supervisor.cli.reach import reach
from supervisor.cli.words import listed

_timeout = click.option(
    "--timeout", type=PATIENCE, default="60s", show_default=True, help="How long to wait for the result."
)
_no_wait = click.option("--no-wait", is_flag=True, help="Return when the command was accepted.")
_NAMES = "A NAME is a service, a glob ('web*'), a replica (web:2), a group, or all."


def _command(verb: str, text: str) -> click.Command:
    """One of start, stop and restart, which differ in their name alone."""

    def command(
        names: tuple[str, ...], config: str | None, socket: str | None, timeout: float, *, no_wait: bool, as_json: bool
    ) -> int:
        body = {"wait": not no_wait, "timeout": timeout}
        return tell(reach(config, socket, writes=True), verb, units_path(names, verb), body, as_json=as_json)

    wrapped: Callable[..., int] = command
    for option in (json_option, _no_wait, _timeout, socket_option, config_option, names_argument):
        wrapped = option(wrapped)
    return click.command(verb, help=f"{text}\n\n{_NAMES}")(wrapped)


start = _command(
    "start",
    "Start services, and what they depend on. Clears their failures. Done when each has run for half a second and past "
    "its start_grace, or, a oneshot, when it has ended well.",
)
stop = _command(
    "stop",
    "Stop services, dependents first. They stay stopped until they are started. Done when nothing of them is left.",
)
restart = _command("restart", "Stop services and start them again. Clears their failures. Done as start is.")


@click.command(
    help=f"Send a signal to services.\n\nSIGNAL is HUP, SIGUSR1, 10 or the like; main processes get it. {_NAMES}"
)
@click.argument("number", metavar="SIGNAL")
@names_argument
@config_option
@socket_option
@json_option
def signal(number: str, names: tuple[str, ...], config: str | None, socket: str | None, *, as_json: bool) -> int:
    """Send a signal."""
    link = reach(config, socket, writes=True)
    return tell(link, "signal", units_path(names, "signal"), {"signal": number}, as_json=as_json)


def tell(link: Link, verb: str, path: str, body: Mapping[str, Any], *, as_json: bool) -> int:
    """Send a command and tell each result as it comes; the exit status."""
    failed = False
    try:
        for result in link.lines(path, body):
            failed = result.get("ok", True) is False or failed
            if as_json:
                click.echo(json.dumps(result))
            else:
                _say(verb, result)
    except KeyboardInterrupt:
        raise CommandError("waits no longer; what was asked for goes on", INTERRUPTED) from None
    return FAILED if failed else 0


def _say(verb: str, result: Mapping[str, Any]) -> None:
    if "accepted" in result:
        click.echo(f"accepted: {listed(result['accepted'])}")
    elif result["unit"] is None:
        complain(result["text"])
    elif result["ok"] is None:
        complain(f"{result['unit']}: {result['text']}")
    elif result["ok"]:
        click.echo(f"{result['unit']}: {result['text']}")
    else:
        complain(f"cannot {verb} {result['unit']}: {result['text']}")
