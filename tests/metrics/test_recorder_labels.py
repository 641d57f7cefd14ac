"""What a configuration puts into labels comes out as valid text, and is read back as it was."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics.exposition import OPENMETRICS, TEXT, Format
from metrics.recorder.store import label_value
from supervisor.core.model import UnitKey
from tests.metrics.drill import Drill, spec
from tests.metrics.library import parse_openmetrics, parse_text

#: Half a surrogate pair cannot be written at all; what stands for it is read back.
ANYTHING = st.text(max_size=64)
FORMATS = pytest.mark.parametrize("chosen", [TEXT, OPENMETRICS], ids=["text", "openmetrics"])


def written(text: str) -> str:
    """Return what UTF-8 makes of it."""
    return text.encode("utf-8", "replace").decode()


@FORMATS
@given(group=ANYTHING, other=ANYTHING, criticality=ANYTHING)
@example('a"b\\', "c\nd\\n", "\ud800")
@example("é" * 64, "e\u0301", "\r\x00\x85\u2028")
def test_values_are_read_back_as_they_were(chosen: Format, group: str, other: str, criticality: str) -> None:
    """Quotes, backslashes, newlines, any script: prometheus-client's parsers find the same text."""
    drill = Drill(spec(criticality=criticality, groups=(group, other))).boot()
    page = drill.page(chosen, "respawnd_service_info")
    families = list((parse_openmetrics if chosen.openmetrics else parse_text)(page))
    (sample,) = [sample for family in families for sample in family.samples]
    assert written(criticality) == sample.labels["criticality"]
    assert written(f"{group},{other}") == sample.labels["group"]


@given(ANYTHING, st.integers(0, 10**6))
def test_a_name_is_the_same_text_in_every_family(name: str, replica: int) -> None:
    """The prepared label texts hold one line each, whatever the name."""
    drill = Drill(spec(name)).boot()
    record = drill.recorder.replicas[UnitKey(name)]
    assert record.service.label == f'service="{label_value(name)}"'
    assert record.label == f'replica="0",{record.service.label}'
    assert "\n" not in record.label
    assert record.label.count('"') - record.label.count(r"\"") == 4 - _quoted_backslashes(name)


def _quoted_backslashes(name: str) -> int:
    """A backslash before the closing quote is itself escaped, and no escape of the quote."""
    return label_value(name).endswith("\\\\")
