"""Whether a page keeps the rules of its format: those that prometheus-client's parsers check, and those they do not.

Rules from OpenMetrics 1.0.0 ("Text format", "MetricFamily", "Exemplars") and the text format 0.0.4; each is named where
it is checked. `conforms` is called for every page that a test in this folder renders (conftest.py), and may be for any
other.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from tests.metrics.library import go_string, parse_openmetrics, parse_text

#: Unicode characters that the label names and values of an exemplar may have together.
LONGEST_EXEMPLAR = 128
_SUFFIXES = {
    "counter": {"_total"},
    "gauge": {""},
    "info": {"_info"},
    "histogram": {"_bucket", "_count", "_sum"},
    "summary": {"_count", "_sum"},
}
_EXEMPLAR = re.compile(r" # \{[^}]*\} \S+ \S+$")
_BAD_ESCAPE = re.compile(r'(?<!\\)(?:\\\\)*\\[^\\n"]')


def conforms(page: bytes, *, openmetrics: bool) -> list[Metric]:
    """Parse a page and hold it against the rules; its families. AssertionError with what is wrong."""
    text = page.decode("utf-8")
    families = list((parse_openmetrics if openmetrics else parse_text)(text))
    assert text.endswith("\n") or not text, "the last line is not ended"
    assert not [line for line in text.split("\n")[:-1] if not line.strip()], "an empty line"
    _heads(text, openmetrics=openmetrics)
    _values(text)
    for family in families:
        _family(family, openmetrics=openmetrics)
    names = [family.name for family in families]
    assert len(names) == len(set(names)), "a family twice"
    return families


def _heads(text: str, *, openmetrics: bool) -> None:
    """HELP and TYPE once and first, UNIT as the suffix, escapes in HELP, EOF at the end and only there."""
    lines = text.split("\n")[:-1]
    ends = [number for number, line in enumerate(lines) if line == "# EOF"]
    assert ends == ([len(lines) - 1] if openmetrics else []), "EOF"
    seen: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if not line.startswith("# ") or line == "# EOF":
            continue
        _, what, name, rest = line.split(" ", 3)
        seen[name].append(what)
        assert what != "UNIT" or (openmetrics and name.endswith(f"_{rest}")), f"unit {rest} of {name}"
        assert what != "HELP" or not _BAD_ESCAPE.search(rest), f"an escape in the help of {name}"
        assert what != "HELP" or not openmetrics or not re.search(r'(?<!\\)(?:\\\\)*"', rest), f"a quote in {name}"
    for name, whats in seen.items():
        assert whats in (["HELP", "TYPE"], ["HELP", "TYPE", "UNIT"]), f"{name} has {whats}"


def _values(text: str) -> None:
    """Numbers are spelled as Prometheus spells them; no series comes twice, which the parser may pass over."""
    seen = set()
    for line in text.split("\n")[:-1]:
        if not line.startswith("#"):
            series, _, value = _EXEMPLAR.sub("", line).rpartition(" ")
            assert series not in seen, f"{series} twice"
            seen.add(series)
            assert value == go_string(float(value)), f"{value} in {line}"


def _family(family: Metric, *, openmetrics: bool) -> None:
    """Suffixes, no timestamps, counters that are numbers from 0 on, histograms that add up."""
    suffixes = _SUFFIXES.get(family.type, {""}) if openmetrics else {""} | set().union(*_SUFFIXES.values())
    for sample in family.samples:
        assert sample.name.removeprefix(family.name) in suffixes, f"{sample.name} in {family.name}"
        assert sample.timestamp is None, f"{sample.name} has a timestamp"
        if family.type in {"counter", "histogram"}:
            assert sample.value >= 0 or math.isnan(sample.value), f"{sample.name} is {sample.value}"
        _exemplar(family, sample, openmetrics=openmetrics)
    if family.type == "histogram":
        _histogram(family)


def _exemplar(family: Metric, sample: Sample, *, openmetrics: bool) -> None:
    if sample.exemplar is None:
        return
    one = sample.exemplar
    assert openmetrics, "the text format knows no exemplars"
    assert family.type in {"counter", "histogram"}, f"{sample.name} may have no exemplar"
    assert sum(len(name) + len(value) for name, value in one.labels.items()) <= LONGEST_EXEMPLAR
    assert family.type != "histogram" or one.value <= float(sample.labels["le"]), "an exemplar of another bucket"


def _histogram(family: Metric) -> None:
    """Buckets rise and never fall, the last is all, and count and sum are there."""
    found: dict[frozenset[tuple[str, str]], list[Sample]] = defaultdict(list)
    for sample in family.samples:
        found[frozenset((name, value) for name, value in sample.labels.items() if name != "le")].append(sample)
    for samples in found.values():
        buckets = [(float(one.labels["le"]), one.value) for one in samples if one.name.endswith("_bucket")]
        assert buckets == sorted(buckets), f"buckets of {family.name} out of order"
        assert [value for _, value in buckets] == sorted(value for _, value in buckets), f"{family.name} falls"
        assert buckets[-1] == (math.inf, _only(samples, "_count")), f"the count of {family.name}"
        assert _only(samples, "_sum") >= 0


def _only(samples: Iterable[Sample], suffix: str) -> float:
    (found,) = [one.value for one in samples if one.name.endswith(suffix)]
    return found
