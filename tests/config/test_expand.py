"""`${VAR}`: what expands, what does not, and whose commands are left alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.config.expand import escape, expand, read_by_shell
from supervisor.config.problem import Refused
from tests.config.files import loaded, refused, service

ENVIRON = {"PORT": "80", "EMPTY": "", "NESTED": "${PORT}"}


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("80", "${PORT}"),
        (":80:80", ":${PORT}:${PORT}"),
        ("", "${EMPTY}"),
        ("x", "${EMPTY:-x}"),
        ("80", "${PORT:-x}"),
        ("a b:-c", "${NOT_SET:-a b:-c}"),
        ("", "${NOT_SET:-}"),
        ("${PORT}", "${NESTED}"),
        ("${PORT}", "$${PORT}"),
        ("$${PORT}", "$$${PORT}"),
        ("$ 80", "$ ${PORT}"),
        ("$PORT $$ $1 %PORT% {PORT}", "$PORT $$ $1 %PORT% {PORT}"),
    ],
)
def test_what_expands(expected: str, text: str) -> None:
    """Braces after a dollar name a variable, with a default after `:-`; nothing else with a dollar means anything."""
    assert expected == expand(text, ENVIRON)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("cannot expand ${NOT_SET}: it is not set and has no default", "${NOT_SET}"),
        ('cannot expand "${}"', "${}"),
        ('cannot expand "${1}"', "${1}"),
        ('cannot expand "${PORT-1}"', "${PORT-1}"),
        ('cannot expand "${PORT:=1}"', "${PORT:=1}"),
        ('cannot expand "${PORT"', "${PORT"),
        ('cannot expand "${A:-${PORT}"', "${A:-${PORT}}"),
    ],
)
def test_what_cannot_expand(expected: str, text: str) -> None:
    """A variable that is not set is a refusal, and so is every form that only a shell would know."""
    with pytest.raises(Refused) as problem:
        expand(text, ENVIRON)
    assert expected in str(problem.value)


@given(st.text(alphabet="${}AB:-x") | st.text())
def test_what_is_escaped_stays(text: str) -> None:
    """Escaped text comes back as it was."""
    assert text == expand(escape(text), {})


@pytest.mark.parametrize(
    ("expected", "argv"),
    [
        (True, ["sh", "-c", "echo $X"]),
        (True, ["/bin/bash", "-ec", "x"]),
        (True, ["bash", "-e", "-u", "-c", "x"]),
        (True, ["/usr/bin/env", "A=1", "dash", "-c", "x"]),
        (True, ["nice", "-n", "5", "zsh", "-lc", "x"]),
        (False, ["sh", "script.sh", "-c"]),
        (False, ["bash", "--rcfile", "c"]),
        (False, ["python", "-c", "print(1)"]),
        (False, ["sh"]),
        (False, []),
    ],
)
def test_who_reads_a_command(expected: bool, argv: list[str]) -> None:
    """A shell with -c reads its argument, also behind another command, whatever options stand between."""
    assert expected == read_by_shell(argv)


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        (("echo", "8080"), 'command = ["echo", "${PORT}"]'),
        (("echo", "8080", "$PORT"), "command = 'echo ${PORT} $PORT'"),
        (("echo", "a b"), "command = '''echo '${NOT_SET:-a b}' '''"),
        (("sh", "-c", "echo ${PORT}"), 'command = ["sh", "-c", "echo ${PORT}"]'),
        (("sh", "-c", "echo ${PORT}"), "command = '''sh -c \"echo ${PORT}\"'''"),
        (("/bin/sh", "-c", "echo ${PORT}"), "command = 'echo ${PORT}'\nshell = true"),
    ],
)
def test_commands(tmp_path: Path, expected: tuple[str, ...], keys: str) -> None:
    """A command expands word by word after it was split; one that a shell will read does not expand."""
    assert expected == service(tmp_path, keys).command


def test_a_value_with_spaces_stays_one_argument(tmp_path: Path) -> None:
    """What comes from the environment cannot add arguments."""
    config = loaded(tmp_path, "[service.web]\ncommand = 'echo ${X}'", environ={"X": "a 'b c", "HOME": "/"})
    assert ("echo", "a 'b c") == config.services["web"].command


def test_numbers_and_flags_can_be_references(tmp_path: Path) -> None:
    """A number, flag or word that can only be written as text is read from what the text stands for."""
    spec = service(
        tmp_path,
        """
        replicas = "${WORKERS:-3}"
        autostart = "${UP:-false}"
        stop = { timeout = "${T:-5s}", signal = "${S:-HUP}" }
        backoff = { factor = "${F:-1.5}" }
        logs = { rate = "${R:-off}", max_size = "${M:-1MiB}" }
        user = "${U:-ann}"
        """,
    )
    assert (3, False, "ann") == (spec.replicas, spec.autostart, spec.user)
    assert (5.0, 1, 1.5) == (spec.stop.timeout, spec.stop.signal, spec.backoff.factor)
    assert (None, 2**20) == (spec.logs.rate, spec.logs.max_size)


def test_text_for_a_number_is_refused(tmp_path: Path) -> None:
    """Without a reference, text is no number; with one, it must still stand for a number."""
    text = '[service.a]\ncommand = "x"\nreplicas = "3"\n[service.b]\ncommand = "x"\nreplicas = "${PATH}"\n'
    assert [
        'respawnd.toml: service.a.replicas: must be a whole number from 0 to 10000, not "3"',
        'respawnd.toml: service.b.replicas: must be a whole number from 0 to 10000, not "/usr/bin:/bin"',
    ] == refused(tmp_path, text)


@pytest.mark.parametrize(
    ("key", "keys"),
    [
        ("directory", 'command = "x"\ndirectory = "${NOT_SET}"'),
        ("environment.A", 'command = "x"\nenvironment = { A = "${NOT_SET}" }'),
        ("command", 'command = ["x", "${NOT_SET}"]'),
    ],
)
def test_not_set_is_a_refusal_with_its_key(tmp_path: Path, key: str, keys: str) -> None:
    """A variable that is missing is told with the key that asks for it."""
    expected = f"respawnd.toml: service.web.{key}: cannot expand ${{NOT_SET}}: it is not set and has no default"
    assert [expected] == refused(tmp_path, f"[service.web]\n{keys}\n")
