"""The steps that acts are made of: a life ends, another comes in its place, a replica comes to rest.

An act is a generator that yields what it waits for, so that many run side by side (`tests.soak.adversary`); each step
enters in the ledger what it has made happen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator
from pathlib import Path

from tests.soak.ledger import Slow, Span
from tests.soak.play import Act, Asked, Play, used
from tests.soak.stage import Key, Life

Blow = Callable[[Life], object]
#: An act that finds a life.
Search = Generator[Callable[[], bool], None, Life]


def dies(play: Play, life: Life, blow: Blow, reason: str, code: int, least: float = 0.0) -> Act:
    """`blow` ends a life, not before `least` seconds; for `reason` and with `code`."""
    doom(life)
    begun = life.doomed or 0.0
    blow(life)
    yield lambda: over(life)
    buried(play, life, reason, code, begun + least)


def doom(life: Life) -> None:
    """Note that it is about to be ended, and what it has used so far."""
    if life.doomed is None:
        life.used = max(life.used, used(life.pid))
        life.doomed = time.monotonic()


def over(life: Life) -> bool:
    """Whether a life's end was seen, by us and on a picture."""
    return life.reaped is not None


def buried(play: Play, life: Life, reason: str, code: int, since: float) -> None:
    """Enter a death."""
    assert life.reaped is not None
    play.ledger.died(life, reason, code, Span(since, life.reaped))
    play.ledger.orphans += life.brood


def lives(play: Play, key: Key, before: Life | None) -> Search:
    """Another life has come after `before`, and is up."""

    def up() -> bool:
        life = play.stage.living(key)
        return life is not None and life is not before and life.up is not None

    yield up
    return play.life(key)


def comes_back(play: Play, dead: Life, trigger: str, least: float = 0.0) -> Search:
    """The dead one is replaced for `trigger`, not before `least` seconds after its exit."""
    exited = play.ledger.last_exit[dead.key].at
    life = yield from lives(play, dead.key, dead)
    play.ledger.respawned(life, trigger, Span(least, life.known - exited.least))
    return life


def was_slow(play: Play, dead: Life, life: Life, phase: str, least: float) -> None:
    """Enter why the respawn that led to `life` took so long: what its trace has to say."""
    exited = play.ledger.last_exit[dead.key]
    latency = Span(least, life.known - exited.at.least)
    reason = "signal" if exited.code < 0 else "error"
    play.ledger.slow.append(Slow(life, phase, least, latency, "crash", reason, exited.code))


def fails(play: Play, dead: Life, delay: Span) -> Search:
    """The next life after `dead`, which comes after `delay`, fails at once, with status 7."""
    exited = play.ledger.last_exit[dead.key].at
    yield lambda: bool(_after(play, dead)) and over(_after(play, dead)[0])
    life = _after(play, dead)[0]
    play.ledger.respawned(life, "crash", Span(delay.least, life.known - exited.least))
    buried(play, life, "error", 7, life.said_at)
    return life


def _after(play: Play, dead: Life) -> list[Life]:
    """The lives after `dead`."""
    known = play.stage.lives[dead.key]
    return known[known.index(dead) + 1 :]


def signalled(number: int) -> Blow:
    """A blow: a signal."""
    return lambda life: os.kill(life.pid, number)


def ordered(code: int) -> Blow:
    """A blow: the order to end."""
    return lambda life: life.order("exit", code=code)


def rests(play: Play, key: Key, state: str) -> Act:
    """It has come to rest in `state` by itself, and is not desired any more, since some moment after its exit."""
    yield lambda: play.picture.state(key) == state
    least = play.ledger.last_exit[key].at.least
    play.ledger.unwished(key, Span(least, play.picture.answered), state)


def obeys(life: Life, what: str, **words: object) -> Act:
    """It carries out an order."""
    number = life.order(what, **words)
    yield lambda: len(life.answers) >= number


def ended(play: Play, life: Life, reason: str, code: int, least: float = 0.0) -> Act:
    """An operator stops it."""
    asked: list[Asked] = []
    yield from dies(play, life, lambda _: asked.append(play.operate("stop", life.key[0])), reason, code, least)
    yield asked[0].over
    yield lambda: play.picture.state(life.key) == "stopped"
    assert life.doomed is not None
    play.ledger.unwished(life.key, Span(life.doomed, min(asked[0].taken.most, play.picture.answered)), "stopped")


def started(play: Play, key: Key) -> Search:
    """An operator starts what is at rest; that is no respawn."""
    before = play.stage.lives[key][-1] if play.stage.lives.get(key) else None
    asked = play.operate("start", key[0])
    life = yield from lives(play, key, before)
    yield asked.over
    assert life.up is not None
    play.ledger.wished(key, Span(asked.taken.least, min(asked.taken.most, life.up[1])))
    return life


def restarted(play: Play, life: Life, reason: str, code: int, least: float = 0.0) -> Search:
    """An operator has it replaced."""
    asked: list[Asked] = []
    yield from dies(play, life, lambda _: asked.append(play.operate("restart", life.key[0])), reason, code, least)
    new = yield from comes_back(play, life, "manual")
    yield asked[0].over
    return new


def stopped_by_kernel(pid: int) -> bool:
    """Whether a process is stopped, as by SIGSTOP."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
