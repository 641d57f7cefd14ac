"""`respawnd simulate`: the exact retry schedule of a policy, before it is needed."""

from __future__ import annotations

import json
import os
from typing import Any

import click

from supervisor.cli.fault import CommandError
from supervisor.cli.options import Duration, config_option, json_option, refuse, set_option
from supervisor.config import ConfigError, find, here, load
from supervisor.config.quantity import parse_signal
from supervisor.control.choose import UnknownNameError, choose
from supervisor.core.model import UnitSpec
from supervisor.core.simulate import Attempt, Lived, Schedule, explain, schedule

_LARGEST_CODE = 255


class _Exit(click.ParamType):  # type: ignore[type-arg]  # see options.Duration
    """How a life ends: a code from 0 to 255, or the name of a signal."""

    name = "exit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int | None]:
        """Code and signal."""
        if isinstance(value, tuple):
            return value
        if value.isdecimal() and int(value) <= _LARGEST_CODE:
            return int(value), None
        try:
            return 0, parse_signal(value)
        except ValueError:
            return self.fail(f"{value} is neither a code from 0 to 255 nor the name of a signal", param, ctx)


@click.command()
@click.argument("name", metavar="NAME")
@config_option
@set_option
@click.option(
    "--lifetime",
    "lifetimes",
    type=Duration(),
    multiple=True,
    default=("0s",),
    help="How long a life lasts: nothing, if none is given; several are for the first ones, the last for all others.",
)
@click.option("--exit", "how", type=_Exit(), default="1", show_default=True, help="How each ends: a code or a signal.")
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    metavar="N",
    default=100,
    show_default=True,
    help="Attempts to show at most.",
)
@json_option
def simulate(
    name: str,
    config: str | None,
    overrides: tuple[str, ...],
    lifetimes: tuple[float, ...],
    how: tuple[int, int | None],
    limit: int,
    *,
    as_json: bool,
) -> int:
    """Show the retry schedule of a policy.

    Each attempt that a service would get if it went on dying: when, after which delay, until it is given up.

    The schedule comes from the machine that decides in the daemon, under an imagined clock; nothing is started, and no
    daemon is asked. Delays are shown with the mean of their jitter, and its range.
    """
    try:
        path = find(config, os.environ, os.geteuid(), here())
        loaded = load(path, overrides=overrides, environ=dict(os.environ))
    except ConfigError as error:
        return refuse(error)
    lives = [Lived(seconds, *how) for seconds in lifetimes]
    found = schedule(_chosen(name, loaded.services, loaded.groups), lives, limit)
    click.echo(json.dumps(_document(found), indent=2) if as_json else "\n".join(explain(found)))
    return 0


def _chosen(name: str, services: Any, groups: Any) -> UnitSpec:
    """The one service that a name means."""
    keys = [key for one in services.values() for key in one.keys()]  # noqa: SIM118 - a specification is no dict
    try:
        found = dict.fromkeys(key.service for key in choose([name], keys, groups))
    except UnknownNameError as error:
        raise CommandError(str(error)) from None
    if len(found) > 1:
        raise CommandError(f"cannot simulate {len(found)} services at once: {', '.join(found)}")
    spec: UnitSpec = services[next(iter(found))]
    return spec


def _document(found: Schedule) -> dict[str, Any]:
    never = found.unreachable
    return {
        "service": found.spec.name,
        "attempts": [_attempt(attempt) for attempt in found.attempts],
        "shutdown": found.shutdown,
        "unreachable": None if never is None else {"most": never.most, "needed": never.needed},
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    delay = attempt.delay
    return {
        "number": attempt.number,
        "started_seconds": attempt.started,
        "died_seconds": attempt.died,
        "state": attempt.state.word,
        "failures": attempt.failures,
        "half_open": attempt.half_open,
        "delay_seconds": None if delay is None else {"least": delay.least, "mean": delay.mean, "most": delay.most},
        "next_start_seconds": attempt.next_at,
    }
