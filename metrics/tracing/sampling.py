"""Which episodes are recorded: decided once for each, by whichever thread asks first.

Two gates, one after the other. The *head* is the sampler that OTEL_TRACES_SAMPLER names, asked of the trace identifier
alone, as the SDK's own samplers ask it: so the answer can be had before the SDK is imported, and the SDK, asked again
when the span is made, gives the same. The *buckets* are ours, one a service and one for all: ten episodes a minute of
a service, ten a second of all, then one in ten, which say so (`respawnd.sampled_ratio`): a crash storm must neither
fill the queue with one service nor, where a thousand die again and again, take the processor from their respawns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from metrics.tracing.ids import Ids
from supervisor.core.model import UnitKey

Head = Callable[[int], bool]

#: Episodes that a service may have at once, and in a minute.
BURST = 10
#: Episodes of all services at once: as many as one boot or one storm of a thousand has.
BURST_OF_ALL = 1_000
#: What is recorded beyond that: one in so many.
ONE_IN = 10
_PER_SECOND, _PER_SECOND_OF_ALL = BURST / 60.0, 10.0
_LOW_HALF = (1 << 64) - 1
_DEFAULT = "parentbased_always_on"


def head(environ: Mapping[str, str]) -> Head:
    """The sampler of root spans that the environment asks for.

    Unknown names and ratios are read as the SDK reads them, which warns of them: always on.
    """
    name = environ.get("OTEL_TRACES_SAMPLER", _DEFAULT).lower().removeprefix("parentbased_")
    if name == "always_off":
        return lambda _trace_id: False
    if name == "traceidratio":
        bound = round(_ratio(environ.get("OTEL_TRACES_SAMPLER_ARG", "")) * (_LOW_HALF + 1))
        return lambda trace_id: trace_id & _LOW_HALF < bound
    return lambda _trace_id: True


def _ratio(text: str) -> float:
    try:
        ratio = float(text)
    except ValueError:
        return 1.0
    return ratio if 0.0 <= ratio <= 1.0 else 1.0


class _Bucket:
    """Tokens as of `at`, `per_second` more up to `burst`, and how many episodes came while there were none."""

    __slots__ = ("_at", "_burst", "_excess", "_per_second", "_tokens")

    def __init__(self, burst: int, per_second: float, at: float) -> None:
        self._tokens, self._burst, self._per_second = float(burst), burst, per_second
        self._at, self._excess = at, 0

    def take(self, now: float) -> float:
        """The share of such episodes that is recorded if this one is; 0.0 if it is not."""
        self._tokens = min(self._burst, self._tokens + max(0.0, now - self._at) * self._per_second)
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 1.0
        self._excess += 1
        return 0.0 if self._excess % ONE_IN else 1 / ONE_IN


class Sampling:
    """Decisions by life, and on the spot. From any thread."""

    def __init__(self, ids: Ids, wanted: Head, clock: Callable[[], float]) -> None:
        self._ids, self._wanted, self._clock = ids, wanted, clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._all = _Bucket(BURST_OF_ALL, _PER_SECOND_OF_ALL, clock())
        self._decided: dict[UnitKey, dict[int, float]] = {}

    def __len__(self) -> int:
        return len(self._buckets) + sum(map(len, self._decided.values()))

    def life(self, key: UnitKey, number: int) -> float:
        """The share of such episodes that is recorded if this life's is, at most 1.0; 0.0 if it is not."""
        with self._lock:
            decided = self._decided.setdefault(key, {})
            share = decided.get(number)
            if share is None:
                share = decided[number] = self._judge(key.service, self._ids.life(key, number).trace_id)
            return share

    def once(self, service: str, trace_id: int) -> float:
        """The share at which an episode is recorded that nobody else will ask about."""
        with self._lock:
            return self._judge(service, trace_id)

    def wants(self, trace_id: int) -> bool:
        """Whether an episode of the daemon itself is recorded, for which there is no bucket."""
        return self._wanted(trace_id)

    def _judge(self, service: str, trace_id: int) -> float:
        if not self._wanted(trace_id):
            return 0.0
        now = self._clock()
        bucket = self._buckets.get(service)
        if bucket is None:
            bucket = self._buckets[service] = _Bucket(BURST, _PER_SECOND, now)
        share = bucket.take(now)
        return self._all.take(now) if share == 1 else share

    def done(self, key: UnitKey, number: int) -> None:
        """The episode is over: nobody will ask again about it, nor about those of earlier lives."""
        with self._lock:
            decided = self._decided.get(key, {})
            for old in [old for old in decided if old <= number]:
                del decided[old]
            if not decided:
                self._decided.pop(key, None)

    def forget(self, key: UnitKey) -> None:
        """The unit is no more."""
        with self._lock:
            self._decided.pop(key, None)
            self._buckets.pop(key.service, None)

    def reset(self) -> None:
        """Facts were lost: what was decided may have no episode to come."""
        with self._lock:
            self._decided.clear()
