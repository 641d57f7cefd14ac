"""The properties and stories bite: each bug of the list, planted in the core, is caught by whom the list says."""

from __future__ import annotations

import importlib

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.mutants import Mutant, mutants
from tests.core.planted import planted, source_of

#: No shrinking: that it is caught is enough. Derandomized, so that a list which holds goes on holding.
ENOUGH = settings(
    max_examples=400, stateful_step_count=50, derandomize=True, database=None, phases=[Phase.generate], print_blob=False
)
MACHINES = {"unit": ("tests.core.solo", "UnitMachine"), "fleet": ("tests.core.adversary", "FleetMachine")}


def run(catcher: str) -> None:
    """Run one property, or one story, on the core as it is now."""
    if catcher in MACHINES:
        module, name = MACHINES[catcher]
        run_state_machine_as_test(getattr(importlib.import_module(module), name), settings=ENOUGH)
        return
    theme, _, story = catcher.partition(".")
    getattr(importlib.import_module(f"tests.core.test_stories_{theme}"), f"test_{story}")()


@pytest.mark.slow
@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.words)
def test_a_planted_bug_is_caught(mutant: Mutant) -> None:
    """The bug breaks a law or a story; how it does so is its own affair."""
    module = f"supervisor.core.{mutant.module}"
    text = source_of(module)
    assert 1 == text.count(mutant.old), "the text of the bug stands in the code once"
    with planted(module, text.replace(mutant.old, mutant.new)), pytest.raises(Exception):  # noqa: B017
        run(mutant.catcher)
