"""The acts of the story: each does one thing to one service, waits for what must follow, and enters it in the ledger.

An act begins and ends with its service up, unless it is one that rests by nature.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from tests.soak import acts
from tests.soak.cast import (
    ALLOWED,
    COOLDOWN,
    FACTOR,
    FIRST_DELAY,
    FORGIVEN,
    GRACE,
    JITTER,
    LONGEST,
    PATIENCE,
    RETRY,
)
from tests.soak.ledger import Span
from tests.soak.page import scraped
from tests.soak.play import Act, Play
from tests.soak.stage import Key, Life

TERM, KILL = -signal.SIGTERM, -signal.SIGKILL
#: Seconds that stragglers have between TERM and KILL.
SWEEP = 2.0


def killed(play: Play, key: Key) -> Act:
    """Killed by a signal that is not ours."""
    number = play.random.choice((signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGHUP))
    life = play.life(key)
    yield from acts.dies(play, life, acts.signalled(number), "signal", -number)
    yield from acts.comes_back(play, life, "crash")


def exits(play: Play, key: Key) -> Act:
    """It ends by itself, well or badly."""
    code = play.random.choice((0, 0, 1, 9, 255))
    life = play.life(key)
    yield from acts.dies(play, life, acts.ordered(code), "error" if code else "ok", code)
    yield from acts.comes_back(play, life, "crash" if code else "exit")


def completes(play: Play, key: Key) -> Act:
    """One that is restarted on failure ends well, and stays down until an operator starts it."""
    life = play.life(key)
    yield from acts.dies(play, life, acts.ordered(0), "ok", 0)
    yield from acts.rests(play, key, "exited")
    yield from acts.started(play, key)


def stops(play: Play, key: Key) -> Act:
    """Stopped by an operator, and started again after a while."""
    life = play.stage.living(key)
    if life is not None:
        yield from acts.ended(play, life, "stopped", TERM)
        until = time.monotonic() + play.random.random()
        yield lambda: time.monotonic() > until
    yield from acts.started(play, key)


def restarts(play: Play, key: Key) -> Act:
    """Restarted by an operator."""
    yield from acts.restarted(play, play.life(key), "stopped", TERM)


def idles(play: Play, key: Key) -> Act:
    """What does not start by itself is started, and stopped again."""
    life = yield from acts.started(play, key)
    yield from acts.ended(play, life, "stopped", TERM)


def changes_mind(play: Play, key: Key) -> Act:
    """Stopped, and wanted again while it still goes down: a respawn that an operator asked for."""
    life = play.life(key)
    taken: list[Span] = []
    yield from acts.dies(play, life, lambda _: taken.extend(play.command(verb, key[0]) for verb in ("stop", "start")),
                         "stopped", 0, 0.5)  # fmt: skip
    play.ledger.unwished(key, taken[0], None)
    play.ledger.wished(key, taken[1])
    yield from acts.comes_back(play, life, "manual")


def hangs(play: Play, key: Key) -> Act:
    """Hung (by SIGSTOP) or deaf to TERM: an operator's stop or restart takes SIGKILL."""
    life = play.life(key)
    if key[0] == "hung":
        os.kill(life.pid, signal.SIGSTOP)
        yield lambda: acts.stopped_by_kernel(life.pid)
    play.ledger.escalations[key[0]] += 1
    if play.random.random() < 0.5:
        yield from acts.restarted(play, life, "killed", KILL, PATIENCE)
    else:
        yield from acts.ended(play, life, "killed", KILL, PATIENCE)
        yield from acts.started(play, key)


def starves(play: Play, key: Key) -> Act:
    """It gets no processor for a while: slow, but up, and not respawned."""
    life = play.life(key)
    os.kill(life.pid, signal.SIGSTOP)
    yield lambda: acts.stopped_by_kernel(life.pid)
    until = time.monotonic() + play.random.uniform(1.0, 3.0)
    yield lambda: time.monotonic() > until
    row, now = play.picture.rows[key], scraped(play)
    assert (row["state"], row["pid"]) == ("running", life.pid), row
    assert now.value("respawnd_service_up", service=key[0], replica=str(key[1])) == 1
    os.kill(life.pid, signal.SIGCONT)
    yield from acts.obeys(life, "tell")


def loops(play: Play, key: Key) -> Act:
    """A crash loop: several lives in a row fail at once, with growing delays between, known but for their jitter."""
    life, times = play.life(key), play.random.randint(2, 5)
    assert life.up is not None
    forgiven = life.up[1] + FORGIVEN + 0.5
    yield lambda: time.monotonic() > forgiven
    play.cast.doom(key[0], times)
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    for failure in range(times):
        delay = _delay(failure)
        play.ledger.phases[key[0], "backoff"] += delay
        life = yield from acts.fails(play, life, delay)
    delay = _delay(times)
    play.ledger.phases[key[0], "backoff"] += delay
    new = yield from acts.comes_back(play, life, "crash", delay.least)
    acts.was_slow(play, life, new, "backoff", delay.least)


def _delay(failures: int) -> Span:
    """The delay after so many failures in a row and one: none after the first."""
    plain = min(LONGEST, FIRST_DELAY * FACTOR ** (failures - 1)) if failures else 0.0
    return Span(plain * (1 - JITTER), plain * (1 + JITTER))


def quits(play: Play, key: Key) -> Act:
    """It fails more often than its budget allows: given up, until an operator starts it."""
    life = play.life(key)
    play.cast.doom(key[0], ALLOWED)
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    for _ in range(ALLOWED):
        life = yield from acts.fails(play, life, Span(0.0, 0.0))
    yield lambda: play.picture.state(key) == "fatal"
    yield from acts.started(play, key)


def cools(play: Play, key: Key) -> Act:
    """Given up at its first failure, and tried once when its cooldown is over: a respawn that has no latency."""
    life = play.life(key)
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    yield lambda: play.picture.state(key) == "fatal"
    assert life.gone is not None
    new = yield from acts.lives(play, key, life)
    assert new.said_at - life.gone > COOLDOWN - 0.1
    play.ledger.respawned(new, "crash", None)


def vanishes(play: Play, key: Key) -> Act:
    """Its program is removed, and it dies: launches fail until it is given up; with the program back it starts."""
    life = play.life(key)
    play.cast.phantom.unlink()
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    yield from _given_up(play, key)


def _given_up(play: Play, key: Key) -> Act:
    """No launch succeeded; the program comes back, and an operator starts it."""
    yield lambda: play.picture.state(key) == "fatal"
    play.ledger.not_launched(key[0], Span(ALLOWED, ALLOWED))
    play.cast.conjure()
    yield from acts.started(play, key)


def flickers(play: Play, key: Key) -> Act:
    """Its program is away for a moment in which it dies: a launch fails or two, the next one does not."""
    life = play.life(key)
    play.cast.phantom.unlink()
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    yield lambda: play.picture.state(key) in ("backoff", "fatal")
    play.cast.conjure()
    assert life.doomed is not None
    most = 1 if time.monotonic() - life.doomed < RETRY else ALLOWED - 1
    yield lambda: play.picture.state(key) in ("fatal", "running")
    if play.picture.state(key) == "fatal":  # a slow machine: we came too late
        yield from _given_up(play, key)
        return
    play.ledger.not_launched(key[0], Span(1, most))
    play.ledger.phases[key[0], "backoff"] += Span(RETRY, RETRY * most)
    new = yield from acts.comes_back(play, life, "crash", RETRY)
    yield from acts.restarted(play, new, "stopped", TERM)  # which forgives the failures


def litters(play: Play, key: Key) -> Act:
    """It dies and leaves processes behind: swept before it is respawned, by KILL those that are deaf to TERM."""
    life, number = play.life(key), play.random.randint(1, 3)
    deaf = life.number % 2 == 1
    yield from acts.obeys(life, "litter", number=number, deaf=deaf)
    life.brood += number
    least = SWEEP if deaf else 0.0
    play.ledger.phases[key[0], "sweep"] += Span(least, least + 1.0)
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    new = yield from acts.comes_back(play, life, "crash", least)
    if deaf:
        acts.was_slow(play, life, new, "sweep", least)


def strays(play: Play, key: Key) -> Act:
    """It leaves a process that is nobody's, whose end is the daemon's to see to; nobody is respawned for it."""
    life = play.life(key)
    yield from acts.obeys(life, "stray")
    pid = life.answers[-1]["pid"]
    yield lambda: not os.path.exists(f"/proc/{pid}")
    play.ledger.strays += 1


def works(play: Play, key: Key) -> Act:
    """It does what it is there for, and uses something; after a while it ends, and says what it used."""
    life = play.life(key)
    what, words = _order(play, life)
    yield from acts.obeys(life, what, **words)
    if what == "write":
        stream = "stdout" if words["stream"] == 1 else "stderr"
        play.ledger.output[key[0], stream] += words["bytes"] * words["times"]
    life.brood += words["number"] if what == "fork" else 0
    life.held += words["bytes"] if what == "eat" else 0
    if len(life.answers) >= play.random.randint(3, 8):
        yield from exits(play, key)


def _order(play: Play, life: Life) -> tuple[str, dict[str, Any]]:
    """What one who works is told to do, by its name."""
    random = play.random
    if life.key[0] == "burner":
        return "burn", {"seconds": random.uniform(0.1, 0.6)}
    if life.key[0] == "eater":
        return "eat", {"bytes": random.randint(1, 16) << 20}
    if life.key[0] == "writer":
        size, times = random.randint(1, 4000), random.randint(1, 300)
        return "write", {"stream": random.choice((1, 2)), "bytes": size, "times": times}
    if life.key[0] == "storer":
        return "store", {"path": str(play.cast.directory / "stored"), "bytes": random.randint(1, 64) << 14}
    return {"opener": "open", "threader": "thread"}.get(life.key[0], "fork"), {"number": random.randint(1, 9)}


def starts_with_grace(play: Play, key: Key) -> Act:
    """It dies while it still starts: that life was never up, and the next is not before its grace is over."""
    life = play.life(key)
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    if play.random.random() < 0.5:
        yield lambda: play.stage.living(key) is not None
        early = play.life(key)
        first = play.ledger.last_exit[key].at
        yield from acts.dies(play, early, acts.signalled(signal.SIGKILL), "signal", KILL)
        play.ledger.respawned(early, "crash", Span(0.0, early.known - first.least))
        life = early
    yield from acts.comes_back(play, life, "crash")
    play.ledger.phases[key[0], "ready"] += Span(GRACE, GRACE + 0.3)


def runs(play: Play, key: Key) -> Act:
    """A job that is done is run again."""
    verb = play.random.choice(("start", "start", "restart"))
    known = len(play.stage.lives[key])
    yield from ran(play, key, play.command(verb, key[0]), known)
    if verb == "restart":
        play.ledger.respawned(play.stage.lives[key][-1], "manual", None)


def ran(play: Play, key: Key, asked: Span, known: int) -> Act:
    """A job of which so many lives were known runs to its end."""
    yield lambda: len(play.stage.lives.get(key, [])) > known and acts.over(play.stage.lives[key][-1])
    life = play.stage.lives[key][-1]
    play.ledger.wished(key, asked)
    code = 4 if key[0] == "failing" else 0
    acts.buried(play, life, "error" if code else "ok", code, life.said_at)
    yield from acts.rests(play, key, "exited")


def takes_down(play: Play, key: Key) -> Act:
    """A service dies on which another one is built: that one is restarted too."""
    life, upon = play.life(key), play.life(("upon", 0))
    acts.doom(upon)
    yield from acts.dies(play, life, acts.signalled(signal.SIGKILL), "signal", KILL)
    yield from acts.dies(play, upon, lambda _: None, "stopped", TERM)
    yield from acts.comes_back(play, life, "crash")
    yield from acts.comes_back(play, upon, "dependency")
