"""The `respawnd` program: its options, its commands, its exit statuses.

Exit status (product.md section 4): 0 done; 1 the action failed; 2 wrong usage or configuration; 3 no daemon is reachable;
4 refused. Commands are imported when they are called, so that none pays for another.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import click

from supervisor.version import VERSION

#: Command -> module and attribute.
_COMMANDS = {
    "run": "supervisor.cli.run:run",
    "check": "supervisor.cli.check:check",
    "status": "supervisor.cli.status:status",
    "start": "supervisor.cli.act:start",
    "stop": "supervisor.cli.act:stop",
    "restart": "supervisor.cli.act:restart",
    "signal": "supervisor.cli.act:signal",
    "shutdown": "supervisor.cli.act:shutdown",
    "logs": "supervisor.cli.logs:logs",
    "simulate": "supervisor.cli.simulate:simulate",
}


class Commands(click.Group):
    """The commands, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order in which one meets them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, attribute = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does it, with the nearest command for one that is not there."""
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

            near = get_close_matches(args[0], _COMMANDS, 1)
            ctx.fail(f"no command {args[0]}" + (f" (did you mean {near[0]}?)" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, message="respawnd %(version)s")
def cli() -> None:
    """Start services, watch them by kernel notification, respawn what dies, and tell the truth about all of it."""


def main() -> None:
    """Run the command line; the entry point of the script."""
    try:
        code = cli.main(prog_name="respawnd", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.Abort:
        code = 130  # Ctrl-C in a reading command, as the shell counts it
    except BrokenPipeError:
        # The reader of our output has gone (`respawnd logs | head`): nobody is left to be told.
        sys.stderr.close()
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
