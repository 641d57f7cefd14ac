"""One unit against a random but plausible host: the laws of `tests.core.solo` after every step."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.solo import UnitMachine


@pytest.mark.slow
def test_the_laws_of_one_unit_hold_whatever_happens() -> None:
    """No order of news, commands and time breaks a law of the unit."""
    run_state_machine_as_test(UnitMachine, settings=settings(max_examples=120, stateful_step_count=12))
