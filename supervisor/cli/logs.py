"""`respawnd logs`: what a service wrote."""

from __future__ import annotations

import sys

import click

from supervisor.cli.options import config_option, socket_option
from supervisor.cli.reach import reach


@click.command()
@click.argument("name", metavar="NAME")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, over rotations and respawns.")
@click.option("-n", "--lines", type=click.IntRange(0, 1_000_000), default=100, show_default=True, help="Lines to show.")
@click.option("--stderr", is_flag=True, help="Show what it wrote to stderr.")
@config_option
@socket_option
def logs(  # noqa: PLR0913 - one parameter an option
    name: str, config: str | None, socket: str | None, lines: int, *, follow: bool, stderr: bool
) -> int:
    """Show the end of the captured output of one service or replica (`web:2`)."""
    query = {"lines": [str(lines)], "stream": ["stderr" if stderr else "stdout"], "follow": ["1" if follow else "0"]}
    out = sys.stdout.buffer
    from supervisor.cli.act import _path  # noqa: PLC0415 - shares its quoting

    for chunk in reach(config, socket).stream(f"/api/v1/logs/{_path((name,))}", query):
        out.write(chunk)
        out.flush()
    return 0
