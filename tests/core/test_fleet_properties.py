"""The fleet against a random adversary: every law of `tests.core.laws` after every step, an end to every shutdown."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.core.adversary import FleetMachine


@pytest.mark.slow
def test_the_laws_hold_whatever_happens() -> None:
    """No order of commands, deaths, changes and time breaks a law of the fleet."""
    run_state_machine_as_test(FleetMachine, settings=settings(max_examples=120, stateful_step_count=12))
