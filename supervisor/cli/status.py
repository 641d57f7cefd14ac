"""`respawnd status`: what runs, since when, and why what does not run does not."""

from __future__ import annotations

import json
import time
from typing import Any

import click

from supervisor.cli.options import config_option, json_option, socket_option
from supervisor.cli.reach import reach
from supervisor.cli.words import ago, columns, size, span

_COLOURS = {"running": "green", "fatal": "red", "backoff": "yellow", "waiting": "cyan", "starting": "cyan"}
_HEADS = ("SERVICE", "STATE", "PID", "UPTIME", "RESTARTS", "CPU", "MEMORY", "LAST EXIT", "NEXT / WHY")
_RIGHT = frozenset({2, 3, 4, 5, 6})


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]…")
@config_option
@socket_option
@json_option
def status(names: tuple[str, ...], config: str | None, socket: str | None, *, as_json: bool) -> int:
    """Show state, pid, uptime, restarts, last exit, processor, memory and next start.

    A NAME is a service, a glob (`web*`), a replica (`web:2`) or a group. Processor time is a share of one processor since
    the last question (at first since the start), memory is resident; both are of the service's whole session.
    """
    document = reach(config, socket).get("/api/v1/services", {"name": list(names)})
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return 0
    several = {row["service"] for row in document["services"] if row["replica"] > 0}
    lines = [_line(row, several) for row in document["services"]]
    for number, text in enumerate(columns([_HEADS, *lines], _RIGHT)):
        state = document["services"][number - 1]["state"] if number else None
        click.secho(text, bold=not number, fg=_COLOURS.get(state or ""), dim=state in ("stopped", "exited"))
    return 0


def _line(row: dict[str, Any], several: set[str]) -> tuple[str, ...]:
    name = f"{row['service']}:{row['replica']}" if row["service"] in several else row["service"]
    return (
        name,
        row["state"],
        str(row["pid"] or "-"),
        span(row["uptime_seconds"]) if row["uptime_seconds"] is not None else "-",
        str(row["restarts"]),
        f"{row['cpu_percent']:.1f}%" if row["cpu_percent"] is not None else "-",
        size(row["memory_bytes"]) if row["memory_bytes"] is not None else "-",
        _last_exit(row["last_exit"]),
        _why(row),
    )


def _last_exit(exited: dict[str, Any] | None) -> str:
    if exited is None:
        return "-"
    if exited["signal"] is not None:
        how = f"signal {exited['signal']}"
    else:
        how = "unknown" if exited["code"] is None else f"code {exited['code']}"
    said = "" if exited["reason"] in ("error", "signal", "unknown") else f" {exited['reason']}"
    return f"{how}{said}, {ago(time.time() - exited['at'])}"


def _why(row: dict[str, Any]) -> str:
    """What comes next, or why nothing does."""
    parts = []
    if row["next_start_seconds"] is not None:
        parts.append(f"in {span(row['next_start_seconds'])}")
    if row["waiting_for"]:
        parts.append(f"waits for {row['waiting_for']}")
    if row["failures"] and row["state"] in ("backoff", "fatal"):
        allowed = row["failures_allowed"]
        parts.append(f"failure {row['failures']}" + (f"/{allowed}" if allowed is not None else ""))
    if row["error"]:
        parts.append(row["error"]["text"])
    return "; ".join(parts)
