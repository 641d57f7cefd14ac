"""`respawnd metrics`: one exposition, for people, for node_exporter, and the list of targets for Prometheus."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import click

from supervisor.cli.fault import CommandError, complain
from supervisor.cli.handout import publish, textfile
from supervisor.cli.link import Link
from supervisor.cli.options import config_option, json_option, socket_option
from supervisor.cli.reach import reach

#: What the textfile collector of node_exporter is to find; it reads what ends in .prom.
TEXTFILE = "respawnd.prom"
_TEXT = "text/plain; version=0.0.4"
_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@click.command()
@click.option("--name", "names", multiple=True, metavar="NAME", help="Only this family, or the one of this sample.")
@click.option("--openmetrics", is_flag=True, help="OpenMetrics 1.0, with exemplars, instead of the text format.")
@click.option("--textfile", "directory", metavar="DIR", help=f"Write DIR/{TEXTFILE} for node_exporter instead.")
@click.option("--file-sd", "targets", metavar="PATH", help="Write a list of targets for Prometheus (file_sd) instead.")
@config_option
@socket_option
@json_option
def metrics(
    names: tuple[str, ...],
    directory: str | None,
    targets: str | None,
    config: str | None,
    socket: str | None,
    *,
    openmetrics: bool,
    as_json: bool,
) -> int:
    """Print one exposition of the daemon.

    With --textfile it goes to where node_exporter collects it (--collector.textfile.directory), for hosts whose one
    open port is node_exporter's: without what node_exporter exports of itself (process_, python_ and the like). With
    --file-sd the file lists this daemon and every service with metrics.port, under the label respawnd_service. Both
    files are replaced whole or not at all; one of a daemon that has ended is left as it was. The two may go together.
    """
    if (directory is not None or targets is not None) and (openmetrics or as_json):
        raise click.UsageError("cannot choose the format of a file: --openmetrics and --json are for stdout")
    if "" in (directory, targets):
        raise click.UsageError("cannot write to a path of no letters")
    if openmetrics and as_json:
        raise click.UsageError("cannot print both: --openmetrics and --json")
    link = reach(config, socket)
    if directory is None and targets is None:
        page = _page(link, names, _OPENMETRICS if openmetrics else _TEXT)
        click.echo(_document(page) if as_json else page, nl=as_json)
    if directory is not None:
        _write(os.path.join(directory, TEXTFILE), textfile(_page(link, names, _TEXT)))
    if targets is not None:
        _write(targets, _targets(link))
    return 0


def _page(link: Link, names: Sequence[str], accept: str) -> bytes:
    page = link.page("/metrics", {"name[]": names}, accept)
    if names and b"# TYPE " not in page:
        raise CommandError(f"cannot show {', '.join(names)}: no such metric")
    return page


def _write(path: str, data: bytes) -> None:
    try:
        publish(path, data)
    except OSError as error:
        raise CommandError(f"cannot write {path}: {(error.strerror or str(error)).lower()}") from None


def _targets(link: Link) -> bytes:
    """The target groups, as file_sd has them."""
    groups = link.get("/sd", {"self": ["1"]})
    if not groups or "respawnd_service" in groups[0]["labels"]:
        complain("http.listen is off: the daemon itself is not among the targets")
    return (json.dumps(groups, indent=2) + "\n").encode()


def _document(page: bytes) -> str:
    """The families as JSON; a value that no JSON number can be (NaN, an infinity) is null."""
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - 40 ms that --json alone pays

    families: list[dict[str, Any]] = [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": one.name, "labels": one.labels, "value": one.value if abs(one.value) < float("inf") else None}
                for one in family.samples
            ],
        }
        for family in text_string_to_metric_families(page.decode())
    ]
    return json.dumps({"families": families}, indent=2)
