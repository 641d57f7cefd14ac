"""`respawnd logs`: what services wrote."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import threading

import click

from supervisor.cli.fault import UNREACHABLE, CommandError, complain
from supervisor.cli.link import Link, quoted
from supervisor.cli.options import config_option, json_option, names_argument, socket_option
from supervisor.cli.reach import reach


@click.command()
@names_argument
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes, over rotations and respawns.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1_000_000),
    metavar="N",
    default=100,
    show_default=True,
    help="Lines to show.",
)
@click.option("--stdout", "stream", flag_value="stdout", help="Only what it wrote to stdout, byte for byte.")
@click.option("--stderr", "stream", flag_value="stderr", help="Only what it wrote to stderr, byte for byte.")
@config_option
@socket_option
@json_option
def logs(
    names: tuple[str, ...],
    config: str | None,
    socket: str | None,
    lines: int,
    stream: str | None,
    *,
    follow: bool,
    as_json: bool,
) -> int:
    """Show what services wrote.

    The end of the captured output, of both streams and of every replica. Where there is more than one to show, headers
    tell them apart, as tail has them. With --json each line is an object with unit, stream and text.
    """
    query = {"lines": [str(lines)], "stream": [stream or "both"], "follow": ["1" if follow else "0"]}
    query["format"] = ["ndjson" if as_json else "text"]
    link = reach(config, socket)
    out = sys.stdout.buffer
    if follow:
        _end_with_the_reader()
    silent = True
    try:
        for chunk in link.stream(f"/api/v1/logs/{quoted(names)}", query):
            silent = False
            out.write(chunk)
            out.flush()
    except CommandError as error:
        raise _with_place(error, link) from None
    if follow:
        complain("the daemon has ended, or ends")
    elif silent and lines:
        complain(f"{', '.join(names)} has written nothing{f' to {stream}' if stream else ''}")
    return 0


def _with_place(error: CommandError, link: Link) -> CommandError:
    """Without a daemon the files are still there."""
    directory = os.path.join(link.state_dir or "", "log")
    if error.code != UNREACHABLE or link.state_dir is None or not os.path.isdir(directory):
        return error
    return CommandError(f"{error}; what was captured is in {directory}", error.code)


def _end_with_the_reader() -> None:
    """Have the end of who reads our pipe end us too, as tail -f does: without it a quiet log would keep us for ever."""
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        threading.Thread(target=_watch_reader, name="respawnd-reader", daemon=True).start()


def _watch_reader() -> None:
    poll = select.poll()
    poll.register(1, 0)  # POLLERR comes unasked: the other end of the pipe is closed (poll(2))
    poll.poll()
    signal.raise_signal(signal.SIGPIPE)
