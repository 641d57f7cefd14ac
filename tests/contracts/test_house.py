"""How the house is kept: sizes, no unfinished places, nothing that freezes threads at a fork, tests that assert.

Ruff and mypy hold the rest; what is here they cannot say.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.contracts.source import FOLDERS, PACKAGES, ROOT, Source, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

FILE_LINES = 400
FUNCTION_LINES = 60
# Written apart, or this file would find itself.
UNFINISHED = re.compile(r"\b(?:TO" + "DO|FIX" + "ME|XX" + "X|HA" + "CK|Not" + r"Implemented\w*)\b")
FORK_HOOK = "preexec" + "_fn"
ALL = sources(FOLDERS)
TESTS = sources(("tests",))

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: Source) -> Iterator[Function]:
    """Yield every function of a file, methods and inner ones included."""
    return (node for node in ast.walk(source.tree) if isinstance(node, Function))


def called(node: ast.AST) -> Iterator[str]:
    """Yield the last name of each call below `node`: `time.sleep(1)` gives "sleep"."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call):
            if isinstance(call.func, ast.Attribute):
                yield call.func.attr
            elif isinstance(call.func, ast.Name):
                yield call.func.id


def asserts(test: Function, helpers: frozenset[str]) -> bool:
    """Tell whether a test holds something: an assert, an expected error, or a helper of its file that asserts."""
    names = set(called(test))
    return (
        any(isinstance(node, ast.Assert) for node in ast.walk(test))
        or bool(names & {"raises", "warns", "fail", "run_state_machine_as_test"})
        or bool(names & helpers)
    )


def asserting_helpers() -> frozenset[str]:
    """Return the names of the functions below tests/, other than tests, that assert."""
    found = (function for source in TESTS for function in functions(source) if not function.name.startswith("test"))
    return frozenset(function.name for function in found if asserts(function, frozenset()))


HELPERS = asserting_helpers()


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.path)
def test_sizes(source: Source) -> None:
    """No file is longer than 400 lines, no function longer than 60."""
    long = [
        f"{source.path}:{function.lineno} {function.name}"
        for function in functions(source)
        if (function.end_lineno or 0) - function.lineno >= FUNCTION_LINES
    ]
    lines = len(source.text.splitlines())
    assert long == []
    assert lines <= FILE_LINES, source.path


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.path)
def test_nothing_is_unfinished(source: Source) -> None:
    """What is here is done: no notes to a later self, no stubs; the tracker holds what is to come."""
    lines = enumerate(source.text.splitlines(), 1)
    assert [] == [f"{source.path}:{number} {line.strip()}" for number, line in lines if UNFINISHED.search(line)]


@pytest.mark.parametrize("source", ALL, ids=lambda source: source.path)
def test_no_python_runs_between_fork_and_exec(source: Source) -> None:
    """No function of ours runs in a forked child before exec: one slow exec froze all threads of some CPythons."""
    assert FORK_HOOK not in source.text


@pytest.mark.parametrize("source", sources(PACKAGES), ids=lambda source: source.path)
def test_the_daemon_starts_processes_in_one_place(source: Source) -> None:
    """No module of the packages starts processes through subprocess or os.system: children are supervisor.host's."""
    starters = {"Popen", "check_call", "check_output", "system", "popen", "fork", "forkpty"}
    used = sorted(starters & set(called(source.tree)))
    assert source.path.startswith(("supervisor/host/", "supervisor/cli/")) or used == []


@pytest.mark.parametrize("source", TESTS, ids=lambda source: source.path)
def test_tests_never_sleep(source: Source) -> None:
    """A test waits for the event: a pipe, a pidfd, a condition; never for a time that is hopefully enough."""
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call)]
    asleep = [
        f"{source.path}:{call.lineno}"
        for call in calls
        if ast.unparse(call.func) in {"time.sleep", "sleep", "asyncio.sleep"}
    ]
    assert asleep == []


@pytest.mark.parametrize("source", TESTS, ids=lambda source: source.path)
def test_each_test_says_and_asserts(source: Source) -> None:
    """A test's docstring is the behaviour it holds, and it holds it by an assertion."""
    tests = [function for function in functions(source) if function.name.startswith("test_")]
    mute = [
        f"{source.path}:{test.lineno} {test.name}"
        for test in tests
        if not ast.get_docstring(test) or not asserts(test, HELPERS)
    ]
    assert mute == []


def test_the_top_level_stays() -> None:
    """Six things stand at the top beside the papers: architecture decides their names, not the day's need."""
    ours = {"supervisor", "metrics", "dashboards", "alerts", "tests", "pyproject.toml"}
    beside = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt"}
    beside |= {"docs", "examples", "bench"}
    made = {"build", "dist"}
    here = {entry.name for entry in ROOT.iterdir() if not entry.name.startswith(".")}
    assert set() == here - ours - beside - made
    assert set() == ours - here
