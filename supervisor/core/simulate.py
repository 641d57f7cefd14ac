"""What a restart policy will do: its exact schedule, found by running the unit machine itself, so that it cannot lie.

`schedule` lets a service live and die under an imagined clock and writes down each attempt; `unreachable` tells whether
its give-up limit can be reached at all; `explain` says all that in lines of text.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from supervisor.core import events as ev
from supervisor.core.decide import decide
from supervisor.core.effects import ShutdownAsked
from supervisor.core.model import GiveUpThen, UnitKey, UnitSpec
from supervisor.core.state import State, Unit
from supervisor.core.steps import OPEN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Attempts after which the limit counts as reachable: who allows more has no limit to speak of.
_PATIENCE = 500


@frozen
class Lived:
    """How one life goes: `seconds` after exec it ends by `code`, or by `signal` where that is given."""

    seconds: float = 0.0
    code: int | None = 1
    signal: int | None = None

    def __attrs_post_init__(self) -> None:
        if not 0 <= self.seconds < float("inf"):
            raise ValueError("a life lasts from 0 seconds to some number of them")


@frozen
class Delay:
    """Seconds between a death and the next start, by what the jitter draws."""

    least: float
    mean: float
    most: float


@frozen
class Attempt:
    """One life. Moments are seconds after the first start, as they come with the mean of each delay.

    `delay` and `next_at` are None where no further start follows by itself; `failures` are those within the window.
    """

    number: int
    started: float
    died: float
    state: State
    failures: int
    half_open: bool
    delay: Delay | None
    next_at: float | None


@frozen
class Unreachable:
    """The give-up limit is never reached: at `most` failures fit into the window, and it takes `needed`."""

    most: int
    needed: int


@frozen
class Schedule:
    """All attempts, until nothing follows by itself, a half-open try has failed, or there were enough of them.

    `shutdown` tells that the last one asks for the daemon's shutdown.
    """

    spec: UnitSpec
    attempts: tuple[Attempt, ...]
    shutdown: bool
    unreachable: Unreachable | None


def schedule(spec: UnitSpec, lives: Sequence[Lived] = (Lived(),), limit: int = 100) -> Schedule:
    """The attempts of a service whose lives go like `lives`, the last of them again and again; at most `limit`.

    Where nothing new will come, they end after the third of a kind.
    """
    attempts: list[Attempt] = []
    shutdown, never = False, unreachable(spec, lives[-1])
    for attempt, shutdown in _attempts(spec, chain(lives, repeat(lives[-1])), 0.5):
        attempts.append(attempt)
        last = {(one.state, one.delay, one.failures) for one in attempts[-3:]}
        same = len(attempts) >= len(lives) + 2 and len(last) == 1 and (never or spec.give_up.failures is None)
        given_up = attempt.state is State.FATAL and (attempt.half_open or attempt.next_at is None)
        if shutdown or given_up or same or len(attempts) >= limit:
            break
    return Schedule(spec, tuple(attempts), shutdown, never)


def unreachable(spec: UnitSpec, life: Lived = Lived()) -> Unreachable | None:
    """Why a service whose lives go like `life` is never given up; None if it is, or if nothing follows a death.

    Every delay is taken as short as its jitter allows.
    """
    policy = spec.give_up
    if policy.failures is None:
        return None
    allowed = evolve(spec, give_up=evolve(policy, failures=policy.failures + 1, then=GiveUpThen.STAY))
    first, most = None, 0
    for attempt, _ in _attempts(allowed, repeat(life), 0.0):
        first = attempt.died if first is None else first
        most = max(most, attempt.failures)
        if attempt.next_at is None or most > policy.failures or attempt.number >= _PATIENCE:
            return None
        if attempt.died - first >= policy.within:
            break
    return Unreachable(most, policy.failures + 1)


def _attempts(spec: UnitSpec, lives: Iterator[Lived], draw: float) -> Iterator[tuple[Attempt, bool]]:
    """Live and die until nothing follows by itself; each attempt, and whether it asks for shutdown."""
    key, now, number = UnitKey(spec.name), 0.0, 0
    unit, _ = decide(Unit(key, spec), ev.Start((key,)), now, OPEN)
    while unit.state is State.LAUNCHING:
        started, life, number, half_open = now, next(lives), number + 1, unit.half_open
        unit, now = _live(unit, now, life)
        ends = [_die(unit, now, life, chance) for chance in (0.0, draw, 1.0)]
        unit, shutdown = ends[1]
        follows = now if unit.state is State.LAUNCHING else unit.deadline
        respawns = unit.state in (State.LAUNCHING, State.BACKOFF)
        delay = Delay(*(end.delay for end, _ in ends)) if respawns else None
        yield Attempt(number, started, now, unit.state, len(unit.failures), half_open, delay, follows), shutdown
        if unit.state is not State.LAUNCHING and follows is not None:
            now = follows
            unit, _ = decide(unit, ev.DeadlineReached(key), now, OPEN)


def _live(unit: Unit, now: float, life: Lived) -> tuple[Unit, float]:
    """Exec succeeds at once; deadlines on the way are met, and one at the very moment of death comes too late."""
    end = now + life.seconds
    unit, _ = decide(unit, ev.Launched(unit.key, unit.life, 1, now, now), now, OPEN)
    while unit.deadline is not None and unit.deadline < end:
        now = unit.deadline
        unit, _ = decide(unit, ev.DeadlineReached(unit.key), now, OPEN)
    return unit, end


def _die(unit: Unit, now: float, life: Lived, draw: float) -> tuple[Unit, bool]:
    """The end of a life; whether it asks for shutdown."""
    code = life.code if life.signal is None else None
    unit, effects = decide(unit, ev.Exited(unit.key, unit.life, code, life.signal, now, now, draw=draw), now, OPEN)
    return unit, any(isinstance(effect, ShutdownAsked) for effect in effects)


# --- in words -------------------------------------------------------------------------------------------------------

_HEAD = ("attempt", "starts at", "dies at", "then", "delay", "failures")


def explain(found: Schedule) -> list[str]:
    """The schedule as lines: a table of the attempts, then what follows them."""
    rows = [_HEAD, *(_cells(attempt) for attempt in found.attempts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [*lines, "", *_ending(found)]


def _cells(attempt: Attempt) -> tuple[str, ...]:
    number = f"{attempt.number}{' (half-open)' if attempt.half_open else ''}"
    moments = span(attempt.started), span(attempt.died)
    return (number, *moments, attempt.state.word, _range(attempt.delay), str(attempt.failures))


def _range(delay: Delay | None) -> str:
    if delay is None:
        return "-"
    if delay.least == delay.most:
        return span(delay.mean) if delay.mean else "none"
    return f"{span(delay.mean)} ({span(delay.least)} to {span(delay.most)})"


def _ending(found: Schedule) -> Iterator[str]:
    """What follows the last attempt."""
    policy, last, name = found.spec.give_up, found.attempts[-1], found.spec.name
    if found.shutdown:
        yield f"{name} then asks for the shutdown of everything: respawnd ends with 10."
    elif last.state is State.EXITED:
        yield f"{name} then rests: nothing answers this exit."
    elif last.next_at is None:
        yield f"{name} is then fatal until an operator starts it."
    elif last.state is State.FATAL:
        until = span(last.next_at)
        yield f"{name} is then fatal for {span(policy.cooldown)}, until {until}, when one more try follows."
    else:
        yield f"{name} goes on like this."
    if found.unreachable is not None:
        most, needed = found.unreachable.most, found.unreachable.needed
        yield (
            f"It is never given up: of {needed} failures that it takes within {span(policy.within)}, "
            f"at most {most} fit there with this backoff."
        )


def span(seconds: float) -> str:
    """A time as an operator writes it: 250ms, 1.75s, 12.5s, 1m30s, 2h, 3d4h; at most two units."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    if seconds < 59.95:
        return f"{seconds:.{2 if seconds < 10 else 1}f}".rstrip("0").rstrip(".") + "s"
    rest, parts = round(seconds), []
    for word, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        parts += [f"{count}{word}"] if count else []
    return "".join(parts[:2])


__all__ = ["Attempt", "Delay", "Lived", "Schedule", "Unreachable", "explain", "schedule", "span", "unreachable"]
