"""What a child finds in its environment, and how env files are read."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from supervisor.core.model import UnitKey
from supervisor.host.accounts import Account
from supervisor.host.environ import compose, inherited, life_tag, read
from supervisor.host.refusal import Refusal
from tests.host.launching import spec

WEB = UnitKey("web", 2)
OURS = {"RESPAWND_SERVICE": "web", "RESPAWND_REPLICA": "2"}
BEN = Account(1000, 1000, (1000,), "ben", "/home/ben", "/bin/zsh")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """An env file that root would believe."""
    tmp_path.chmod(0o700)
    path = tmp_path / "web.env"
    path.touch(mode=0o600)
    return path


def test_what_was_meant_for_the_daemon_stays_with_it() -> None:
    """The words of the service manager, of tracing and of the daemon's own are not inherited; all else is."""
    meant = """NOTIFY_SOCKET WATCHDOG_USEC WATCHDOG_PID LISTEN_FDS LISTEN_PID LISTEN_FDNAMES FDSTORE MAINPID
        JOURNAL_STREAM INVOCATION_ID CREDENTIALS_DIRECTORY MEMORY_PRESSURE_WATCH MEMORY_PRESSURE_WRITE TRACEPARENT
        TRACESTATE BAGGAGE RESPAWND_STATE_DIR RESPAWND_LIFE""".split()
    kept = {"PATH": "/bin", "LANG": "C", "LISTENER": "1", "TZ": ""}
    assert kept == inherited(dict.fromkeys(meant, "x") | kept)


def test_later_beats_earlier(file: Path) -> None:
    """Inherited, the user's, env files in their order, the service's, ours."""
    other = file.with_name("other.env")
    file.write_text("HOME=/file\nA=file\nB=file\n")
    other.write_text("B=other\nRESPAWND_SERVICE=liar\n")
    other.chmod(0o600)
    what = spec("x", env_files=(str(file), str(other)), environment={"A": "service"})
    base = {"HOME": "/root", "SHELL": "/bin/sh", "USER": "root", "A": "base", "C": "base"}
    expected = {
        "HOME": "/file", "SHELL": "/bin/zsh", "USER": "ben", "LOGNAME": "ben",
        "A": "service", "B": "other", "C": "base",
    }  # fmt: skip
    assert expected | OURS == compose(base, WEB, what, BEN)


def test_nothing_is_inherited_where_that_is_off() -> None:
    """inherit_environment = false leaves the service's own words, and ours."""
    what = spec("x", inherit_environment=False, environment={"A": "1"})
    assert {"A": "1"} | OURS == compose({"PATH": "/bin"}, WEB, what, None)


def test_the_tag_of_a_life() -> None:
    """Instance, service, replica and number."""
    assert "fe01.2a-web.2-17" == life_tag("fe01.2a", WEB, 17)


@pytest.mark.parametrize("variables", [{"A=B": "1"}, {"": "1"}, {"A": "1\0"}, {"A\0": "1"}])
def test_what_cannot_be_passed_on(variables: dict[str, str]) -> None:
    """A name with an equals sign, an empty one, a NUL: refused instead of passed on as something else."""
    with pytest.raises(Refusal) as caught:
        compose({}, WEB, spec("x", environment=variables), None)
    assert ("environment", errno.EINVAL) == (caught.value.error.stage, caught.value.error.errno)


def test_an_env_file(file: Path) -> None:
    """Comments, blanks, export, quotes, values over several lines, as a shell would have them; nothing is expanded."""
    file.write_text(
        "# a comment\n\n; another\nPLAIN=some words  \n  export EXPORTED = yes # why\nEMPTY=\nHASH=a#b\n"
        'SINGLE=\'$HOME \\n "x" # y\' # comment\nDOUBLE="a \\"b\\" \\$c \\\\ \\n"\n'
        'LONG="first\nsecond \\\nthird"\nURL=postgres://u:p@h/db?a=b\nUNICODE=Grüße\n'
    )
    assert {
        "PLAIN": "some words",
        "EXPORTED": "yes",
        "EMPTY": "",
        "HASH": "a#b",
        "SINGLE": '$HOME \\n "x" # y',
        "DOUBLE": 'a "b" $c \\ \\n',
        "LONG": "first\nsecond third",
        "URL": "postgres://u:p@h/db?a=b",
        "UNICODE": "Grüße",
    } == read(str(file))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A=1\nnot a variable\n", "line 2: expected KEY=VALUE"),
        ("1A=1\n", "line 1: expected KEY=VALUE"),
        ("A-B=1\n", "line 1: expected KEY=VALUE"),
        ("=1\n", "line 1: expected KEY=VALUE"),
        ('A="open\nB=1\n', 'line 1: the quote " is not closed'),
        ("A='x'y\n", "line 1: 'y' follows the closing quote"),
    ],
)
def test_an_env_file_with_a_mistake(file: Path, text: str, words: str) -> None:
    """Told with file and line; the service is not started with half of it."""
    file.write_text(text)
    with pytest.raises(Refusal) as caught:
        read(str(file))
    error = caught.value.error
    assert ("env_file", errno.EINVAL, f"env_file {file}: {words}") == (error.stage, error.errno, error.text)


def test_an_env_file_that_is_not_there(tmp_path: Path) -> None:
    """Told with errno and path."""
    with pytest.raises(Refusal) as caught:
        read(f"{tmp_path}/none.env")
    error = caught.value.error
    assert ("env_file", errno.ENOENT, f"env_file {tmp_path}/none.env: no such file") == (
        error.stage, error.errno, error.text,
    )  # fmt: skip


def test_an_env_file_that_is_no_file(tmp_path: Path) -> None:
    """A pipe is refused, and not waited for."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Refusal) as caught:
        read(f"{tmp_path}/pipe")
    assert ("env_file", errno.EPERM) == (caught.value.error.stage, caught.value.error.errno)
    assert "not a regular file" in caught.value.error.text


def test_an_env_file_that_is_too_large(file: Path) -> None:
    """A megabyte at most: it is read at each start, and no program could be given what is in a larger one."""
    file.write_bytes(b"#" * (1 << 20))
    assert {} == read(str(file))
    os.truncate(file, (1 << 20) + 1)
    with pytest.raises(Refusal) as caught:
        read(str(file))
    error = caught.value.error
    assert ("env_file", errno.EFBIG) == (error.stage, error.errno)
    assert f"env_file {file}: 1048577 bytes, more than 1048576 that one may have" == error.text


@pytest.mark.needs("root")
@pytest.mark.parametrize(("owner", "mode", "words"), [(1, 0o600, "owned by uid 1"), (0, 0o602, "others can write it")])
def test_root_believes_only_its_own(file: Path, owner: int, mode: int, words: str) -> None:
    """As root, an env file that others own or can write is refused."""
    file.write_text("A=1\n")
    os.chown(file, owner, -1)
    file.chmod(mode)
    with pytest.raises(Refusal) as caught:
        read(str(file))
    assert ("env_file", errno.EPERM) == (caught.value.error.stage, caught.value.error.errno)
    assert words in caught.value.error.text
