"""How a command fails: one line on stderr, and the exit status of docs/cli.md."""

from __future__ import annotations

import click

#: The action failed; wrong usage or configuration; no daemon is reachable; refused (permission, token).
FAILED, WRONG, UNREACHABLE, REFUSED = 1, 2, 3, 4
#: Ctrl-C, as the shell counts it.
INTERRUPTED = 130


class CommandError(Exception):
    """A command that cannot be done: its text is the line, `code` the exit status."""

    def __init__(self, text: str, code: int = FAILED) -> None:
        super().__init__(text)
        self.code = code


def complain(text: str) -> None:
    """Tell something on stderr, as the daemon's own lines are told."""
    click.echo(f"respawnd: {text}", err=True)
