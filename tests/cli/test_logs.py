"""`respawnd logs`: bytes as they were written, and an end when the reader has gone."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.rig import RESPAWND, Ran, config, environment, respawnd
from tests.control.fakes import FakeDaemon, Site, daemon, serving, spec


@pytest.fixture
def fake(tmp_path: Path) -> FakeDaemon:
    """A service with both streams captured."""
    one = daemon(spec("web"), spec("db"))
    for stream in ("stdout", "stderr"):
        one.paths["web:0", stream] = str(tmp_path / stream)
    return one


@pytest.fixture
def site(fake: FakeDaemon, tmp_path: Path) -> Iterator[Site]:
    """The daemon, answering."""
    with serving(fake, tmp_path) as found:
        yield found


def logs(site: Site, *arguments: str) -> Ran:
    """Run the command."""
    return respawnd("logs", *arguments, "--socket", site.socket)


def test_both_streams(site: Site, tmp_path: Path) -> None:
    """Told apart where both have something; one of them alone by its option."""
    (tmp_path / "stdout").write_text("a\nb\nc\n")
    assert (0, "a\nb\nc\n", "") == ((ran := logs(site, "web")).code, ran.out, ran.err)
    (tmp_path / "stderr").write_text("oops\n")
    assert "==> web stdout <==\nc\n\n==> web stderr <==\noops\n" == logs(site, "web", "-n1").out
    assert "oops\n" == logs(site, "web", "--stderr").out
    assert "b\nc\n" == logs(site, "web", "--stdout", "-n", "2").out


def test_as_json(site: Site, tmp_path: Path) -> None:
    """An object a line."""
    (tmp_path / "stderr").write_text('{"a": 1}\nb\n')
    lines = [json.loads(line) for line in logs(site, "web", "--json").out.splitlines()]
    assert [{"unit": "web", "stream": "stderr", "text": text} for text in ('{"a": 1}', "b")] == lines


def test_silence_is_explained(site: Site) -> None:
    """A service that wrote nothing is not left to look like a command that failed."""
    assert (0, "", "respawnd: web has written nothing\n") == ((ran := logs(site, "web")).code, ran.out, ran.err)
    assert "respawnd: web has written nothing to stderr\n" == logs(site, "web", "--stderr").err


def test_what_is_not_captured(site: Site) -> None:
    """Exit status 1, and where to look."""
    ran = logs(site, "db")
    said = "cannot show stdout and stderr of db:0: not captured to a file (see [service] logs)"
    assert (1, "", f"respawnd: {said}\n") == (ran.code, ran.out, ran.err)


def test_without_a_daemon(tmp_path: Path) -> None:
    """The files are still there, and that is said."""
    path = config(tmp_path)
    (tmp_path / "state" / "log").mkdir(parents=True)
    ran = respawnd("logs", "web", "-c", path)
    assert 3 == ran.code
    assert ran.err.endswith(f"; what was captured is in {tmp_path}/state/log\n")


def followed(site: Site) -> subprocess.Popen[bytes]:
    """`logs -f` as a process of its own, after its first line has come."""
    command = [*RESPAWND, "logs", "-f", "web", "--socket", site.socket]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), bufsize=0)
    assert process.stdout is not None
    assert b"first\n" == process.stdout.readline()
    return process


@pytest.mark.slow
def test_following(site: Site, tmp_path: Path) -> None:
    """What comes is shown as it comes; the end of the daemon is told, and is no failure."""
    (tmp_path / "stdout").write_text("first\n")
    with followed(site) as process:
        with (tmp_path / "stdout").open("a") as file:
            file.write("second\n")
        assert process.stdout is not None
        assert b"second\n" == process.stdout.readline()
        site.server.begin_stop(1)
        rest, error = process.communicate(timeout=20)
    assert (0, b"", b"respawnd: the daemon has ended, or ends\n") == (process.returncode, rest, error)


@pytest.mark.slow
def test_a_reader_that_goes_ends_it(site: Site, tmp_path: Path) -> None:
    """As `tail -f | head` ends: though the log is quiet, and without a word."""
    (tmp_path / "stdout").write_text("first\n")
    with followed(site) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert -signal.SIGPIPE == process.wait(20)
        assert b"" == process.stderr.read()


@pytest.mark.slow
def test_ctrl_c(site: Site, tmp_path: Path) -> None:
    """Ends it, as the shell counts it, without a traceback."""
    (tmp_path / "stdout").write_text("first\n")
    with followed(site) as process:
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=20)
    assert (130, b"") == (process.returncode, error.strip())


@pytest.mark.slow
def test_a_reader_that_has_seen_enough(site: Site, tmp_path: Path) -> None:
    """`respawnd logs web | head -1` of more than a pipe holds: one line, and no complaint."""
    (tmp_path / "stdout").write_text("first\n" + "x" * 4_000_000)
    with followed_once(site) as process:
        assert process.stdout is not None
        assert b"first\n" == process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        assert (-signal.SIGPIPE, b"") == (process.wait(20), process.stderr.read())


def followed_once(site: Site) -> subprocess.Popen[bytes]:
    """`logs` without -f as a process of its own."""
    command = [*RESPAWND, "logs", "web", "--socket", site.socket]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
