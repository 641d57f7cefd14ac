"""`respawnd status`: what runs, since when, and why what does not run does not."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import click

from supervisor.cli import terminal
from supervisor.cli.fault import complain
from supervisor.cli.notes import amiss, note
from supervisor.cli.options import config_option, json_option, socket_option, some_names_argument
from supervisor.cli.reach import reach
from supervisor.cli.table import NOTHING, Column, lay_out
from supervisor.cli.words import plural, signal_name, size, span

_COLUMNS = (
    Column("SERVICE"),
    Column("STATE"),
    Column("PID", right=True, goes=2),
    Column("UPTIME", right=True, goes=1),
    Column("RESTARTS", right=True, goes=3),
    Column("CPU", right=True, goes=6),
    Column("MEMORY", right=True, goes=5),
    Column("LAST EXIT", goes=4, moves=True),
)
_STATE = 1
_COLOURS = {
    "running": "green",
    "starting": "cyan",
    "waiting": "cyan",
    "stopping": "yellow",
    "backoff": "yellow",
    "fatal": "red",
}
#: Rows from which on a summary is worth a line on a terminal: they no longer fit in a glance.
_MANY = 20

Row = Mapping[str, Any]


@click.command()
@some_names_argument
@click.option("-p", "--problems", is_flag=True, help="Only what is not as it should be.")
@config_option
@socket_option
@json_option
def status(names: tuple[str, ...], config: str | None, socket: str | None, *, problems: bool, as_json: bool) -> int:
    """Show what runs, and why the rest does not.

    State, pid, uptime, restarts, last exit, processor, memory and next start.

    A NAME is a service, a glob ('web*'), a replica (web:2), a group, or all. Processor time is a share of one processor
    between the last two samples, memory is resident; both are of the service's whole tree of processes.
    """
    document = reach(config, socket).get("/api/v1/services", {"name": list(names)})
    if problems:
        document["services"] = [row for row in document["services"] if amiss(row)]
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return 0
    _remark(document, problems=problems)
    if document["services"]:
        _print(document["services"])
    return 0


def _remark(document: Mapping[str, Any], *, problems: bool) -> None:
    """What is to be known beside the table, on stderr: who counts lines counts services."""
    if document["daemon"]["closing"]:
        complain("the daemon is shutting down")
    elif not document["services"]:
        complain("all is well" if problems else f"no services in {document['daemon']['config']}")


def _print(rows: Sequence[Row]) -> None:
    cells = [_cells(row) for row in rows]
    layout = lay_out(_COLUMNS, cells, [note(row) for row in rows], terminal.width())
    colour = terminal.in_colour()
    for number, line in enumerate(layout.lines):
        shown = list(line.cells)
        if colour and number:
            state = rows[number - 1]["state"]
            word = click.style(state, fg=_COLOURS.get(state), dim=True if state not in _COLOURS else None)
            shown[_STATE] = shown[_STATE].replace(state, word)
        click.echo(click.style(line.text(), bold=True) if colour and not number else line.text(shown), color=colour)
    if terminal.on_terminal() and len(rows) >= _MANY:
        click.echo(_summary(rows))


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row["name"],
        row["state"],
        _known(row["pid"], str),
        _known(row["uptime_seconds"], span),
        str(row["restarts"]),
        _known(row["cpu_percent"], lambda share: f"{share:.1f}%"),
        _known(row["memory_bytes"], size),
        _known(row["last_exit"], _last_exit),
    )


def _known(value: Any, words: Any) -> str:
    return NOTHING if value is None else str(words(value))


def _last_exit(how: Row) -> str:
    if how["signal"] is not None:
        end = signal_name(how["signal"])
    else:
        end = "unknown" if how["code"] is None else f"exit {how['code']}"
    said = "" if how["reason"] in {"ok", "error", "signal", "unknown"} else f" ({how['reason']})"
    return f"{end}{said}, {span(time.time() - how['at'])} ago"


def _summary(rows: Sequence[Row]) -> str:
    counts = Counter(row["state"] for row in rows)
    listed = ", ".join(f"{count} {state}" for state, count in counts.most_common())
    return f"{plural(len(rows), 'process')}: {listed}".replace("processs", "processes")
