"""How many descriptors the daemon may have, and needs.

Raised only when the configuration needs more than the soft limit gives: children must get the original back, which the
plain road of launching cannot do (docs/decisions).
"""

from __future__ import annotations

import resource

#: Two pipes, a pidfd and a share of the open log files for each replica; and what the daemon itself has open.
PER_REPLICA, OWN = 3, 600


class TooFew(Exception):
    """Even the hard limit is not enough."""


def needed(replicas: int) -> int:
    """Descriptors for so many replicas."""
    return OWN + PER_REPLICA * replicas


def raise_limit(replicas: int) -> tuple[int, int] | None:
    """Raise our soft limit to the hard one if `replicas` need it; the original (soft, hard) if that was done.

    Raises TooFew, in words, when the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    want = needed(replicas)
    if soft == resource.RLIM_INFINITY or want <= soft:
        return None
    if hard != resource.RLIM_INFINITY and want > hard:
        raise TooFew(f"{replicas} replicas need {want} open files, and the hard limit is {hard} (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard
