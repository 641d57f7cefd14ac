"""The properties and stories bite: each bug of the list, planted in the core, is caught by the one that it names.

Each is planted in modules loaded for it alone (tests.core.planted). Properties run without shrinking, and with the same
examples each time: what counts is that they fail.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.mutants import Mutant, mutants
from tests.core.planted import planted, source_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MACHINES = {"fleet": ("tests.core.adversary", "FleetMachine"), "unit": ("tests.core.solo", "UnitMachine")}
QUICK = settings(
    max_examples=70,
    stateful_step_count=12,
    phases=[Phase.generate],
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def run(catcher: str) -> None:
    """Run a property, or a story with all its parameters, of the modules as they are loaded now."""
    if catcher in MACHINES:
        module, name = MACHINES[catcher]
        run_state_machine_as_test(getattr(importlib.import_module(module), name), settings=QUICK)
        return
    where, _, name = catcher.partition(".")
    story: Callable[..., None] = getattr(importlib.import_module(f"tests.core.test_stories_{where}"), f"test_{name}")
    for arguments in cases(story):
        story(**arguments)


def cases(story: Callable[..., None]) -> Iterator[dict[str, Any]]:
    """Yield the arguments that pytest would call a story with."""
    found: list[dict[str, Any]] = [{}]
    for mark in getattr(story, "pytestmark", ()):
        names, values = mark.args
        words = [names] if isinstance(names, str) else names
        rows = [[value] if isinstance(names, str) else value for value in values]
        found = [{**one, **dict(zip(words, row, strict=True))} for one in found for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        wanted = inspect.signature(story).parameters
        yield from ({**one, **({"monkeypatch": patch} if "monkeypatch" in wanted else {})} for one in found)


def caught(mutant: Mutant) -> bool:
    """Plant the bug, and tell whether its catcher fails; what it would have printed is not told."""
    module = f"supervisor.core.{mutant.module}"
    text = source_of(module)
    assert text.count(mutant.old) == 1, "the text stands exactly once in its module"
    quiet = contextlib.redirect_stdout(io.StringIO())
    with planted(module, text.replace(mutant.old, mutant.new)), quiet, contextlib.redirect_stderr(io.StringIO()):
        try:
            run(mutant.catcher)
        except Exception:  # noqa: BLE001 - any failure is a catch
            return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.words.replace(" ", "-"))
def test_a_planted_bug_is_caught(mutant: Mutant) -> None:
    """With this bug in the core, its catcher fails."""
    assert caught(mutant), f"nobody noticed that {mutant.words}"


@pytest.mark.slow
@pytest.mark.parametrize("catcher", sorted({mutant.catcher for mutant in mutants()}))
def test_a_catcher_is_content_with_the_core_as_it_is(catcher: str) -> None:
    """What catches the bugs passes without them, loaded in the same way; so it is the bug that it catches."""
    assert not caught(Mutant("nothing is changed", "steps", catcher, "OPEN = Gate()", "OPEN = Gate()"))


def test_planting_leaves_nothing_behind() -> None:
    """The modules that were loaded before are there again."""
    before = importlib.import_module("supervisor.core.decide")
    with planted("supervisor.core.steps", source_of("supervisor.core.steps")):
        assert before is not importlib.import_module("supervisor.core.decide")
    assert before is importlib.import_module("supervisor.core.decide")
    package = importlib.import_module("supervisor")
    assert before is package.core.decide
