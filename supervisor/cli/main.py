"""The `respawnd` program: its commands, and how it ends.

Exit status (docs/cli.md): 0 done; 1 the action failed; 2 wrong usage or configuration; 3 no daemon is
reachable; 4 refused. Whatever goes wrong is one line on stderr. Commands are imported when they are called, so that
none pays for another.
"""

from __future__ import annotations

import importlib
import os
import signal
import sys
from typing import Any, TextIO

import click

from supervisor.cli.fault import FAILED, INTERRUPTED, WRONG, CommandError, complain
from supervisor.version import VERSION

#: Command -> module and attribute.
COMMANDS = {
    "run": "supervisor.cli.run:run",
    "check": "supervisor.cli.check:check",
    "status": "supervisor.cli.status:status",
    "start": "supervisor.cli.act:start",
    "stop": "supervisor.cli.act:stop",
    "restart": "supervisor.cli.act:restart",
    "signal": "supervisor.cli.act:signal",
    "logs": "supervisor.cli.logs:logs",
    "metrics": "supervisor.cli.metrics:metrics",
    "simulate": "supervisor.cli.simulate:simulate",
    "shutdown": "supervisor.cli.shutdown:shutdown",
}


class Commands(click.Group):
    """The commands, each imported when it is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, or None."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, attribute = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """As click does it, with the nearest command for one that is not there."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

            near = get_close_matches(args[0], COMMANDS, 1)
            ctx.fail(f"no command {args[0]}" + (f" (did you mean {near[0]}?)" if near else ""))
        return super().resolve_command(ctx, args)


@click.group(
    cls=Commands,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(VERSION, message="respawnd %(version)s")
@click.pass_context
def cli(context: click.Context) -> int:
    """Start services, watch them by kernel notification, respawn what dies, and tell the truth about all of it."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help(), err=True)
        return WRONG
    return 0


def _open_standard_streams() -> None:
    """Put /dev/null where 0, 1 or 2 is closed: else a lock file or a log would get that number, and be written to."""
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            null = os.open("/dev/null", os.O_RDWR)  # the lowest number that is free, which is this one
            if null != fd:
                os.dup2(null, fd)
                os.close(null)


def main() -> None:
    """Run the command line; the entry point of the script."""
    _open_standard_streams()
    # Who reads our output may go (`respawnd logs -f web | head`): then we end as any filter does, without a word.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        _never_fail(stream)
    sys.exit(ended())


def ended(arguments: list[str] | None = None) -> int:
    """Run one command (by default the one of this process); its exit status."""
    try:
        code = cli.main(arguments, prog_name="respawnd", standalone_mode=False)
    except click.UsageError as error:
        where = f"; see `{error.ctx.command_path} --help`" if error.ctx is not None else ""
        complain(f"{_one_line(error)}{where}")
        return error.exit_code
    except click.ClickException as error:
        complain(_one_line(error))
        return error.exit_code
    except CommandError as error:
        complain(str(error))
        return error.code
    except click.Abort:
        return INTERRUPTED
    except OSError as error:  # stdout on a full disk, mostly: whatever else can fail says so in words of its own
        complain(f"cannot go on: {error}")
        return FAILED
    return code if isinstance(code, int) else 0


def _one_line(error: click.ClickException) -> str:
    text = " ".join(error.format_message().split()).removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _never_fail(stream: TextIO | None) -> None:
    """Let what a locale cannot write be an escape rather than a traceback."""
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
