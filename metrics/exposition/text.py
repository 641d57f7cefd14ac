"""The two text formats: numbers, headers and plain sample lines, byte for byte as prometheus-client renders them.

Both formats spell samples alike, so that a page is rendered once for either; they differ in the lines above a family.
What follows a label text (`} 1.0` and a newline) is called a tail here: lines are a head, a label text and a tail.

Sources: the text format 0.0.4 and OpenMetrics 1.0.0; floats as Go's strconv writes them, as prometheus-client has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import inf, isnan

from metrics.catalog import Family, Kind
from metrics.recorder.store import Observed, label_value

#: Go writes numbers from here on with an exponent.
_LARGE = 1_000_000
#: Whole numbers below this are spelled alike as float and as int; above, repr turns to exponents of its own.
_EXACT = 10**15
#: From 2001 to 2286.
_EPOCH = 10**9


def _exponent(digits: str) -> str:
    """`1234567.5` as `1.2345675e+06`; for positive decimals with more than six digits before the point."""
    dot = digits.find(".")
    mantissa = f"{digits[0]}.{digits[1:dot]}{digits[dot + 1 :]}".rstrip("0.")
    return f"{mantissa}e+{dot - 1:02d}"


def number(value: float) -> str:
    """Spell a value in full precision."""
    if 0 <= value < _LARGE:
        return repr(float(value))
    if isinstance(value, int) and 0 < value < _EXACT:
        return _exponent(f"{value}.0")
    value = float(value)
    if value in {inf, -inf} or isnan(value):
        return "+Inf" if value > 0 else "-Inf" if value < 0 else "NaN"
    digits = repr(value)
    return _exponent(digits) if value > 0 and digits.find(".") > 6 else digits


def seconds(value: float) -> str:
    """Spell a time that is not negative, rounded to the millisecond: half the cost and the bytes of full precision."""
    if _EPOCH <= value < 10 * _EPOCH:
        digits = f"{value:.12e}"  # Unix times of this age have ten digits before the point
        return digits if digits[-5] != "0" else f"{digits[:-4].rstrip('0.')}{digits[-4:]}"
    digits = f"{value:.3f}"
    if digits[-1] == "0":
        digits = digits.rstrip("0")
        if digits[-1] == ".":
            digits += "0"
    return digits if value < _LARGE - 1 or digits.find(".") <= 6 else _exponent(digits)


class _Tails(dict[float, str]):
    """Tails by value; small numbers are prepared, others are spelled when asked for and not kept."""

    def __missing__(self, value: float) -> str:
        return f"}} {number(value)}\n"


TAILS: Mapping[float, str] = _Tails({value: f"}} {value}.0\n" for value in range(-64, 1024)})
NO_TAIL = TAILS[0]


def opening(name: str, labels: Iterable[tuple[str, str]]) -> str:
    """Begin a line that has these labels before its prepared ones."""
    return name + "{" + "".join(f'{label}="{label_value(value)}",' for label, value in sorted(labels))


def headers(family: Family, *, openmetrics: bool) -> str:
    """HELP, TYPE and, in OpenMetrics, UNIT of a family. The text format knows no info: it is a gauge there."""
    text = family.help.replace("\\", r"\\")
    if not openmetrics:
        kind = Kind.GAUGE if family.kind is Kind.INFO else family.kind
        return f"# HELP {family.name} {text}\n# TYPE {family.name} {kind.value}\n"
    text = text.replace('"', r"\"")
    unit = f"# UNIT {family.base} {family.unit}\n" if family.unit else ""
    return f"# HELP {family.base} {text}\n# TYPE {family.base} {family.kind.value}\n{unit}"


def plain(family: Family, readings: Iterable[tuple[Sequence[str], float]]) -> str:
    """Lines of a family from label values, in the catalogue's order of labels, and values. Labels come out sorted."""
    order = sorted(range(len(family.labels)), key=family.labels.__getitem__)
    lines = []
    for values, value in readings:
        inner = ",".join([f'{family.labels[index]}="{label_value(values[index])}"' for index in order])
        lines.append(f"{family.name}{{{inner}}} {number(value)}\n" if inner else f"{family.name} {number(value)}\n")
    return "".join(lines)


def bucket_bounds(family: Family) -> tuple[str, ...]:
    """Label values `le` of a histogram, the last for all."""
    return (*map(number, family.buckets), "+Inf")


def histogram(family: Family, state: Observed) -> str:
    """Lines of a histogram without labels of its own."""
    counts, total = state
    lines = [
        f'{family.name}_bucket{{le="{bound}"}} {number(below)}\n'
        for bound, below in zip(bucket_bounds(family), accumulate(counts), strict=True)
    ]
    lines.append(f"{family.name}_count {number(sum(counts))}\n{family.name}_sum {number(total)}\n")
    return "".join(lines)
