"""The program as a whole: its commands, its one-line refusals, and how it ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest

from supervisor.cli.fault import complain
from supervisor.cli.main import COMMANDS, cli
from supervisor.cli.options import Duration
from supervisor.version import VERSION
from tests.cli.rig import RESPAWND, environment, respawnd


def test_its_version() -> None:
    """Name and version, on stdout."""
    assert (0, f"respawnd {VERSION}\n", "") == ((ran := respawnd("--version")).code, ran.out, ran.err)


def test_without_a_command() -> None:
    """The help, on stderr, and wrong usage."""
    ran = respawnd()
    assert (2, "") == (ran.code, ran.out)
    assert ran.err.startswith("Usage: respawnd ")


def test_help() -> None:
    """Of the program and of each command, whose summary fits into a line of the list."""
    ran = respawnd("--help")
    listed = ran.out.partition("Commands:\n")[2].splitlines()
    assert list(COMMANDS) == [line.split()[0] for line in listed]
    assert [] == [line for line in listed if line.endswith("...")]
    for name in COMMANDS:
        assert (0, "") == ((own := respawnd(name, "-h")).code, own.err)
        assert own.out.startswith(f"Usage: respawnd {name} ")


def test_every_command_takes_c_or_socket() -> None:
    """Or, where it needs no daemon, -c alone; and every reading command --json."""
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert "-c" in options
        assert ("--socket" in options) != (name in {"run", "check", "simulate"})
        assert "--json" in options or name in {"run", "shutdown"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("statsu",), "no command statsu (did you mean status?); see `respawnd --help`"),
        (("xyzzy",), "no command xyzzy; see `respawnd --help`"),
        (("stop",), "missing argument 'NAME...'; see `respawnd stop --help`"),
        (("stop", "a,,b"), "invalid value for 'NAME...': a name must not be empty; see `respawnd stop --help`"),
        (("stop", "web", "--nope"), "no such option --nope; see `respawnd stop --help`"),
        (("stop", "web", "--timeout", "2h"), "invalid value for '--timeout': must be at most 1h, not 2h; see "),
        (("logs", "web", "-n", "x"), "invalid value for '-n' / '--lines': 'x' is not a valid integer range; see "),
    ],
)
def test_wrong_usage_is_one_line(arguments: tuple[str, ...], said: str) -> None:
    """On stderr, with the exit status of wrong usage and the way to the help."""
    ran = respawnd(*arguments)
    assert (2, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert ran.err.replace("option: ", "option ").replace("'--nope'", "--nope").startswith(f"respawnd: {said}")


def test_durations_of_options() -> None:
    """As in the configuration; a default that is a number already is left as it is."""
    assert (90.0, 0.25, 7.0, 3.0) == tuple(
        Duration().convert(value, None, None) for value in ("1m30s", "250ms", "7", 3.0)
    )


def test_complaints_are_told_as_the_daemons_own() -> None:
    """With the name of the program in front."""
    ran = respawnd("status", "--socket", "/nowhere\nelse")
    assert ran.err.startswith("respawnd: no daemon: ")
    assert complain("x") is None  # type: ignore[func-returns-value]  # written to this process's own stderr


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path) -> None:
    """One line, exit status 1, no traceback."""
    (tmp_path / "x.toml").write_text('[service.web]\ncommand = "sleep 1"\n')
    with open("/dev/full", "wb") as full:
        command = [*RESPAWND, "simulate", "web", "-c", str(tmp_path / "x.toml")]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert (1, "respawnd: cannot go on: [Errno 28] No space left on device\n") == (ran.returncode, ran.stderr)


@pytest.mark.slow
def test_a_closed_stdout(tmp_path: Path) -> None:
    """`respawnd check >&-` has nobody to tell, and ends as ever."""
    (tmp_path / "x.toml").write_text('[service.web]\ncommand = "sleep 1"\n')
    line = f"exec {' '.join(RESPAWND)} check -c {tmp_path}/x.toml >&-"
    ran = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, env=environment(), check=False)
    assert (0, "") == (ran.returncode, ran.stderr)


@pytest.mark.slow
def test_a_locale_that_lacks_a_letter(tmp_path: Path) -> None:
    """What it cannot write becomes an escape."""
    (tmp_path / "x.toml").write_text('[service.web]\ncommand = "/srv/Ω"\n', encoding="utf-8")
    command = [*RESPAWND, "check", "-c", str(tmp_path / "x.toml")]
    how = environment(PYTHONIOENCODING="latin-1:strict")
    ran = subprocess.run(command, capture_output=True, text=True, env=how, check=False)
    assert 0 == ran.returncode
    assert "/srv/\\u03a9" in ran.stderr
