"""`respawnd run`: the daemon in the foreground."""

from __future__ import annotations

import os
import signal

import click

from supervisor.cli.fault import FAILED, complain
from supervisor.cli.options import config_option, refuse, set_option
from supervisor.config import Config, ConfigError, find, here, load


@click.command()
@config_option
@set_option
def run(config: str | None, overrides: tuple[str, ...]) -> int:
    """Run the daemon in the foreground.

    Ends 0 after an asked shutdown (TERM, INT; a second one hurries), 10 when a service or exit rule asks for shutdown,
    2 on a bad configuration, 1 when it cannot run here. HUP reads the configuration again.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a log collector that goes away must not take the daemon with it
    environ = dict(os.environ)
    try:
        path = find(config, environ, os.geteuid(), here())
        loaded = load(path, overrides=overrides, environ=environ)
    except ConfigError as error:
        return refuse(error)
    return _run(loaded, path, overrides, environ)


def _run(config: Config, path: str, overrides: tuple[str, ...], environ: dict[str, str]) -> int:
    from supervisor.app import App, CannotRun, Invocation  # noqa: PLC0415 - a refused configuration needs no daemon

    for problem in (*config.warnings, *config.broken):
        complain(f"warning: {problem}")
    try:
        return App(config, Invocation(os.path.abspath(path), overrides, environ)).run()
    except CannotRun as error:
        complain(str(error))
        return FAILED
