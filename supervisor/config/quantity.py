"""Numbers as operators write them: durations, sizes, rates, signals and masks, from text to numbers and back.

Rules: every `parse` raises Refused with a sentence that shows the right form; `parse(format(x))` is x again, exactly,
which is why durations are summed in whole milliseconds before they become a float.
"""

from __future__ import annotations

import math
import re
import signal

from supervisor.config.problem import Refused, nearest, quoted

#: The longest duration that is taken: ten years. What is longer is a slip of the unit.
LONGEST = 10 * 365 * 86400.0
#: The largest size or count that the kernel takes as a limit (rlim_t below RLIM_INFINITY, off_t).
LARGEST = 2**63 - 1
#: Stands for every number past all bounds, so that sums stay finite.
_BEYOND = 1e18

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?"
_STEP = re.compile(rf"({_NUMBER})(ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_NUMBER}(?:ms|s|m|h|d))+")
_PLAIN = re.compile(_NUMBER)
_BYTES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_SIZE = re.compile(rf"({_NUMBER}) ?([kmgt]?i?b)?", re.IGNORECASE)
_SIGNALS = {name.removeprefix("SIG"): int(number) for name, number in signal.Signals.__members__.items()}
_NAMES = {int(number): number.name.removeprefix("SIG") for number in signal.Signals}
_REALTIME = re.compile(r"RT(MIN\+|MAX-)([0-9]{1,2})")


def parse_duration(text: str) -> float:
    """Seconds of `250ms`, `10s`, `1h30m`, `2d`, or of a bare number of seconds."""
    if _PLAIN.fullmatch(text):
        return _bounded(float(text), text)
    if not _DURATION.fullmatch(text):
        raise Refused(f"must be a duration such as 250ms, 10s or 1h30m, not {quoted(text)}")
    total = sum(min(float(number), _BEYOND) * _MILLISECONDS[unit] for number, unit in _STEP.findall(text))
    return _bounded(total / 1000 if total == int(total) else _seconds(text), text)


def _seconds(text: str) -> float:
    """The sum in seconds, for fractions that are no whole number of milliseconds."""
    return sum(float(number) * (_MILLISECONDS[unit] / 1000) for number, unit in _STEP.findall(text))


def _bounded(seconds: float, text: str) -> float:
    if not seconds <= LONGEST:
        raise Refused(f"must be at most 3650d, not {quoted(text)}")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest usual form of a number of seconds that `parse_duration` turns into the same float."""
    left = round(seconds * 1000)
    if left / 1000 != seconds:
        return f"{seconds!r}s"
    parts = []
    for unit in ("d", "h", "m", "s", "ms"):
        count, left = divmod(left, _MILLISECONDS[unit])
        parts.append(f"{count}{unit}" if count else "")
    return "".join(parts) or "0s"


def parse_size(text: str) -> int:
    """Bytes of `64KiB` (1024), `1GB` (1000 cubed), or of a bare number of bytes."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise Refused(f"must be a size such as 64KiB, 512MiB or 1GB, not {quoted(text)}")
    number, unit = match.groups()
    scale = _BYTES[(unit or "b").lower()]
    size = int(number[:20]) * scale if number.isdecimal() else float(number) * scale
    if not 0 <= size <= LARGEST:
        raise Refused(f"must be below 8 EiB, not {quoted(text)}")
    return int(size)


def format_size(size: int) -> str:
    """`size` in the largest binary unit that divides it."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit.lower()] == 0:
            return f"{size // _BYTES[unit.lower()]}{unit}"
    return f"{size}B"


def parse_rate(text: str) -> float:
    """Events a second of `100/s`, `30/m` or `3/24h`."""
    count, slash, per = text.partition("/")
    if not slash or not per or not _PLAIN.fullmatch(count):
        raise Refused(f"must be a rate such as 100/s or 30/m, not {quoted(text)}")
    seconds = parse_duration(per if per[0].isdigit() else "1" + per)
    rate = float(count) / seconds if seconds else math.inf
    if not 1 / LONGEST <= rate < math.inf:
        raise Refused(f'must be a rate above 0, or "off", not {quoted(text)}')
    return rate


def format_rate(rate: float) -> str:
    """A rate a second, such that `parse_rate` gives the same float."""
    return f"{int(rate) if rate == int(rate) else repr(rate)}/s"


def parse_flow(text: str) -> float:
    """Bytes a second of `1MiB/s`."""
    size, slash, per = text.partition("/")
    if not slash or per != "s":
        raise Refused(f'must be a rate such as 1MiB/s, or "off", not {quoted(text)}')
    flow = parse_size(size)
    if not flow:
        raise Refused(f'must be a rate above 0, or "off", not {quoted(text)}')
    return float(flow)


def format_flow(flow: float) -> str:
    """Bytes a second as `parse_flow` reads them."""
    return f"{format_size(int(flow))}/s"


def parse_signal(value: str) -> int:
    """The number of a signal given by name, with or without SIG, or by number."""
    name = value.upper().removeprefix("SIG")
    if name in _SIGNALS:
        return _SIGNALS[name]
    number = int(name[:3]) if name.isdecimal() and name.isascii() else _realtime(name)
    if not 1 <= number <= signal.NSIG - 1:
        raise Refused(f"must be a signal such as TERM, SIGHUP or 10, not {quoted(value)}{nearest(name, _SIGNALS)}")
    return number


def _realtime(name: str) -> int:
    match = _REALTIME.fullmatch(name)
    if match is None:
        return 0
    offset = int(match[2])
    number = signal.SIGRTMIN + offset if match[1] == "MIN+" else signal.SIGRTMAX - offset
    return number if signal.SIGRTMIN <= number <= signal.SIGRTMAX else 0


def format_signal(number: int) -> str:
    """The usual name without SIG; real-time signals count from RTMIN."""
    if number in _NAMES:
        return _NAMES[number]
    return f"RTMIN+{number - signal.SIGRTMIN}" if number > signal.SIGRTMIN else str(number)


def parse_umask(text: str) -> int:
    """The mask of a string of octal digits, up to 0777."""
    if not re.fullmatch(r"0?[0-7]{1,3}|0o[0-7]{1,3}", text):
        raise Refused(f'must be a string of octal digits such as "022", not {quoted(text)}')
    return int(text.removeprefix("0o"), 8)


def format_umask(mask: int) -> str:
    """Three octal digits."""
    return f"{mask:03o}"
