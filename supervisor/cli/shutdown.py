"""`respawnd shutdown`: stop everything, end the daemon, and see that it has ended."""

from __future__ import annotations

from typing import Any

import click

from supervisor.cli.fault import FAILED, INTERRUPTED, CommandError, complain
from supervisor.cli.link import Link
from supervisor.cli.options import PATIENCE, config_option, socket_option
from supervisor.cli.reach import reach
from supervisor.cli.words import listed

_RESTING = frozenset({"stopped", "exited", "fatal", "backoff", "waiting"})


@click.command()
@config_option
@socket_option
@click.option("--now", is_flag=True, help="Kill what lives instead of asking it to end.")
@click.option("--no-wait", is_flag=True, help="Return when the shutdown has begun.")
@click.option("--timeout", type=PATIENCE, default="2m", show_default=True, help="How long to wait for the end.")
def shutdown(config: str | None, socket: str | None, timeout: float, *, now: bool, no_wait: bool) -> int:
    """Stop everything, then end the daemon.

    Services are stopped in reverse dependency order. Done when the daemon's process has ended. Past
    daemon.shutdown_timeout it kills what is left.
    """
    link = reach(config, socket, writes=True)
    with link.watched() as ended:
        link.post("/api/v1/shutdown", {"hurry": now})
        try:
            if no_wait or ended(timeout):
                return 0
        except KeyboardInterrupt:
            raise CommandError("waits no longer; the shutdown goes on", INTERRUPTED) from None
    complain(f"cannot see the end of the daemon within {timeout:g} s{_left(link)}")
    return FAILED


def _left(link: Link) -> str:
    """What still lives, as far as the daemon says."""
    try:
        rows: list[dict[str, Any]] = link.get("/api/v1/services")["services"]
    except CommandError:
        return ""
    left = [f"{row['name']} is {row['state']}" for row in rows if row["state"] not in _RESTING]
    return f": {listed(left)}" if left else ""
