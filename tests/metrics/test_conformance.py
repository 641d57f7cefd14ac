"""The check of pages bites: each kind of mistake on a page is seen, and a whole page has none."""

from __future__ import annotations

import pytest

from metrics.exposition import OPENMETRICS, TEXT
from tests.metrics.busy import busy_drill
from tests.metrics.conformance import conforms

IDS = f'trace_id="{"a" * 32}",span_id="{"b" * 16}"'
HEAD = "# HELP a_seconds Seconds.\n# TYPE a_seconds histogram\n# UNIT a_seconds seconds\n"
GOOD = (
    f'{HEAD}a_seconds_bucket{{le="0.5"}} 1.0 # {{{IDS}}} 0.25 1.5\n'
    'a_seconds_bucket{le="+Inf"} 2.0\na_seconds_count 2.0\na_seconds_sum 1.0\n# EOF\n'
)
MISTAKES = {
    "no end": ("# EOF\n", ""),
    "end in the middle": ("a_seconds_count", "# EOF\na_seconds_count"),
    "unit": ("# UNIT a_seconds seconds", "# UNIT a_seconds bytes"),
    "no help": ("# HELP a_seconds Seconds.\n", ""),
    "escape in help": ("Seconds.", "Seconds\\t."),
    "quote in help": ("Seconds.", 'So-called "seconds".'),
    "buckets fall": ('{le="+Inf"} 2.0', '{le="+Inf"} 0.0'),
    "count is not the last bucket": ("count 2.0", "count 3.0"),
    "no sum": ("a_seconds_sum 1.0\n", ""),
    "series twice": ("a_seconds_sum 1.0\n", "a_seconds_sum 1.0\na_seconds_sum 1.0\n"),
    "exemplar too long": ('span_id="', 'span_id="' + "c" * 80),
    "exemplar of another bucket": ("0.25 1.5", "0.75 1.5"),
    "number": ("sum 1.0", "sum 1"),
    "empty line": ("a_seconds_sum 1.0\n", "a_seconds_sum 1.0\n\n"),
    "timestamp": ("a_seconds_sum 1.0", "a_seconds_sum 1.0 123.0"),
    "family twice": ("# EOF\n", "# HELP a_seconds Seconds.\n# TYPE a_seconds histogram\n# EOF\n"),
    "line not ended": ("# EOF\n", "# EOF"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake: str) -> None:
    """One thing wrong on a page that was right."""
    before, after = MISTAKES[mistake]
    assert GOOD != GOOD.replace(before, after)
    with pytest.raises((AssertionError, ValueError)):
        conforms(GOOD.replace(before, after).encode(), openmetrics=True)


def test_a_page_with_everything_is_right() -> None:
    """Both formats; exemplars only in OpenMetrics, which the page then has."""
    page = busy_drill().page(OPENMETRICS)
    assert ["a_seconds"] == [family.name for family in conforms(GOOD.encode(), openmetrics=True)]
    assert conforms(page.encode(), openmetrics=True)
    assert 3 == page.count(' # {span_id="')
    assert " # {" not in busy_drill().page(TEXT)


def test_a_counter_has_its_suffix() -> None:
    """In OpenMetrics a counter's samples end in _total."""
    page = "# HELP a Things.\n# TYPE a counter\na_total 1.0\n# EOF\n"
    assert conforms(page.encode(), openmetrics=True)
    with pytest.raises((AssertionError, ValueError)):
        conforms(page.replace("a_total", "a").encode(), openmetrics=True)
