"""Delays and budgets, a few pure lines each: backoff with jitter, restart intensity, and the host's token bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from supervisor.core.model import Backoff, GiveUp


def delay(policy: Backoff, streak: int, draw: float) -> float:
    """Seconds to wait after failure number `streak` in a row (from 1); `draw` from 0 to 1 sets the jitter.

    The first respawn is immediate, as the kubelet's is; then `initial * factor**(streak - 2)` up to `max`, moved by at
    most `jitter` of itself either way, so that what died together does not come back together.
    """
    if streak <= 1 or policy.initial == 0:
        return 0.0
    # The exponent is bounded: factor ** 1100 overflows a float, and no sane `max` needs more than 64 doublings.
    plain = min(policy.max, policy.initial * policy.factor ** min(streak - 2, 64))
    return plain * (1 + policy.jitter * (2 * draw - 1))


def recent(policy: GiveUp, failures: tuple[float, ...], now: float) -> tuple[float, ...]:
    """The failures that still lie in the sliding window, oldest first; never more than the budget can need."""
    if policy.failures is None:
        return ()
    kept = tuple(at for at in failures if at > now - policy.within)
    return kept[-(policy.failures + 1) :]


def exhausted(policy: GiveUp, failures: tuple[float, ...]) -> bool:
    """Whether more failures lie in the window than the restart intensity allows (OTP: more than MaxR within MaxT)."""
    return policy.failures is not None and len(failures) > policy.failures


@frozen
class TokenBucket:
    """The host-wide limit of respawns: `rate` a second, `burst` at once. `tokens` were there at moment `at`."""

    rate: float
    burst: float
    tokens: float
    at: float

    def filled(self, now: float) -> TokenBucket:
        """The same bucket at `now`; a clock that seems to step back adds nothing."""
        passed = max(0.0, now - self.at)
        return TokenBucket(self.rate, self.burst, min(self.burst, self.tokens + passed * self.rate), self.at + passed)

    def take(self) -> TokenBucket:
        """The bucket after one respawn; the caller has seen that there is a token."""
        return TokenBucket(self.rate, self.burst, self.tokens - 1, self.at)

    def next_at(self) -> float:
        """When there is, or was, a whole token, seconds on the same clock.

        Asked for as a moment: a filling computed at that moment may miss the whole token by its last bit.
        """
        return self.at + max(0.0, 1 - self.tokens) / self.rate
