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
from metrics.recorder.store import Exemplar, Exemplars, Observed, label_value

#: Go writes numbers from here on with an exponent.
_LARGE = 1_000_000
#: Python writes numbers below this with an exponent.
_SMALL = 0.0001
#: Whole numbers below this are spelled alike as float and as int; above, repr turns to exponents of its own.
_EXACT = 10**15
#: Unix times of the years 2001 to 2286 are from here to ten times as much.
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


def rounded(value: float, places: int = 3) -> str:
    """Spell a value that is not negative, rounded: half the cost and the bytes of full precision."""
    if not _SMALL <= value < _LARGE - 1:
        return number(round(value, places))
    digits = f"{value:.{places}f}"
    if digits[-1] == "0":
        digits = digits.rstrip("0")
        if digits[-1] == ".":
            digits += "0"
    return digits


def whole(value: int) -> str:
    """Spell a whole number that is not negative: a quarter of the cost of `number` from a million on."""
    if not _LARGE <= value < _EXACT:
        return number(value)
    digits = str(value)
    return f"{digits[0]}.{digits[1:]}".rstrip("0.") + _EXPONENTS[len(digits)]


#: What follows the mantissa of a whole number with so many digits.
_EXPONENTS = [f"e+{digits - 1:02d}" for digits in range(len(str(_EXACT)) + 1)]


class _Tails(dict[float, str]):
    """Tails by value; small numbers are prepared, others are spelled when asked for and not kept."""

    def __missing__(self, value: float) -> str:
        return f"}} {number(value)}\n"


#: Signals, small counts, and the usual limits of open files.
_USUAL = (*range(-64, 1024), 1024, 4096, 65_536, 524_288, 1_048_576)
TAILS: Mapping[float, str] = _Tails({value: f"}} {number(value)}\n" for value in _USUAL})
NO_TAIL = TAILS[0]


# Columns of tails. In the usual case a tail costs one formatting, without a call: these are thousands to a page.


def tails_of_times(values: Iterable[float | None]) -> list[str]:
    """Tails of Unix times, rounded to the millisecond; none for None."""
    least, most = _EPOCH, 10 * _EPOCH  # ten digits before the point, hence twelve after the first
    return [
        ""
        if value is None
        else tail
        if least <= value < most and (tail := f"}} {value:.12e}\n")[-6] != "0"
        else _tail_of_time(value)
        for value in values
    ]


def _tail_of_time(value: float) -> str:
    return f"}} {number(round(value, 3))}\n"


def tails_of_seconds(values: Iterable[float | None], places: int = 3) -> list[str]:
    """Tails of durations that are not negative, rounded; none for None, and 0 for what is less than zero."""
    least, most, form = _SMALL, _LARGE - 1, f"}} %.{places}f\n"
    longest, long = 10 * _LARGE, f"}} %.{places + 6}e\n"  # up to four months, with seven digits before the point
    return [
        ""
        if value is None
        else NO_TAIL
        if value <= 0
        else tail
        if least <= value < most and (tail := form % value)[-2] != "0"
        else tail
        if _LARGE <= value < longest and (tail := long % value)[-6] != "0"
        else f"}} {rounded(value, places)}\n"
        for value in values
    ]


def tails_of_bytes(values: Iterable[int | None]) -> list[str]:
    """Tails of whole numbers that are not negative and mostly above a million; none for None."""
    least, most, exponents = _LARGE, _EXACT, [f"{exponent}\n" for exponent in _EXPONENTS]
    return [
        ""
        if value is None
        else f"}} {digits[0]}.{rest}{exponents[len(digits)]}"
        if least <= value < most and (rest := (digits := str(value))[1:].rstrip("0"))
        else f"}} {whole(value)}\n"
        for value in values
    ]


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


def exemplar(one: Exemplar | None) -> str:
    """What follows the value of a bucket in OpenMetrics; nothing for no exemplar."""
    if one is None:
        return ""
    ids = f'span_id="{label_value(one.span_id)}",trace_id="{label_value(one.trace_id)}"'
    return f" # {{{ids}}} {number(one.value)} {round(one.wall, 3)}"


def histogram(family: Family, state: Observed, exemplars: Exemplars | None = None) -> str:
    """Lines of a histogram without labels of its own."""
    counts, total = state
    lines = [
        f'{family.name}_bucket{{le="{bound}"}} {number(below)}{exemplar(one)}\n'
        for bound, below, one in zip(
            bucket_bounds(family), accumulate(counts), exemplars or (None,) * len(counts), strict=True
        )
    ]
    lines.append(f"{family.name}_count {number(sum(counts))}\n{family.name}_sum {number(total)}\n")
    return "".join(lines)
