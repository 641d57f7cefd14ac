"""Metrics and traces against the truth: the short form of `python -m tests.soak.figures`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.figures import perform

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.needs("prometheus", "promtool", "setpriv")]


def test_every_figure_is_what_the_script_did(tmp_path: Path) -> None:
    """Killed, stopped, hung and starved at random: page and Prometheus say what was done, exemplars lead to why."""
    report = perform(tmp_path, seconds=12, rounds=1, seed=11, pace=0.1)
    assert [] == report.verdict.differences, "\n".join([*report.lines, *report.verdict.differences])
    assert sum(report.verdict.compared.values()) > 3000
