"""The commands of docs/cli.md, from the commands themselves: `python -m supervisor.cli.reference docs/cli.md`."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator

import click

from supervisor.cli.main import cli
from supervisor.config.page import Page

_WIDTH = 120


def sections() -> str:
    """A section for each command, in the order of the help."""
    context = click.Context(cli, info_name="respawnd")
    commands = ((name, cli.get_command(context, name)) for name in cli.list_commands(context))
    return "\n".join(_section(name, command, context) for name, command in commands if command is not None)


def _section(name: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(["respawnd", name, *command.collect_usage_pieces(context)])
    paragraphs = (textwrap.fill(" ".join(part.split()), _WIDTH) for part in (command.help or "").split("\n\n"))
    return "\n\n".join([f"### {name}", f"    {usage}", *paragraphs, "\n".join(_rows(command))]) + "\n"


def _rows(command: click.Command) -> Iterator[str]:
    yield from ("| option | default | meaning |", "|---|---|---|")
    for option in command.params:
        if isinstance(option, click.Option):
            names = ", ".join(f"`{name}`" for name in option.opts)
            value = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
            yield f"| {names}{value} | {_default(option)} | {option.help} |"


def _default(option: click.Option) -> str:
    return f"`{option.default}`" if option.show_default else ""


PAGE = Page("supervisor.cli.reference", "docs/cli.md", sections)

if __name__ == "__main__":
    PAGE.refresh(sys.argv[1])
