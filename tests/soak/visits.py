"""Acts that change the configuration: services come, change and go, replicas too, and a broken file is refused."""

from __future__ import annotations

import os
import signal
import time

from attrs import evolve

from tests.soak import acts
from tests.soak.cast import BROKEN, Part
from tests.soak.ledger import Span
from tests.soak.play import Act, Play
from tests.soak.stage import Key

TERM = -signal.SIGTERM


def visits(play: Play, key: Key) -> Act:
    """A service comes, by the API or by SIGHUP, is changed so that it must be replaced, or goes, and is forgotten."""
    if key[0] not in play.cast.parts:
        yield from _comes(play, key)
    elif play.random.random() < 0.4:
        yield from _changes(play, key)
    else:
        yield from _goes(play, key)


def _comes(play: Play, key: Key) -> Act:
    play.cast.parts[key[0]] = Part(key[0])
    if play.random.random() < 0.5:
        taken = play.apply()
    else:
        taken = Span(time.monotonic(), time.monotonic())
        play.daemon.config.write_text(play.cast.text())
        os.kill(play.daemon.pid, signal.SIGHUP)
        play.ledger.reloads["ok"] += 1
        play.ledger.events["reconfigured"] += 1
    life = yield from acts.lives(play, key, None)
    assert life.up is not None
    play.ledger.wished(key, Span(taken.least, min(max(taken.most, life.said_at), life.up[1])))


def _changes(play: Play, key: Key) -> Act:
    part, life = play.cast.parts[key[0]], play.life(key)
    play.cast.parts[key[0]] = evolve(part, keys=(f"environment.CHANGED = '{time.monotonic()}'",))
    yield from acts.dies(play, life, lambda _: play.apply(), "stopped", TERM)
    yield from acts.comes_back(play, life, "config")


def _goes(play: Play, key: Key) -> Act:
    del play.cast.parts[key[0]]
    yield from acts.dies(play, play.life(key), lambda _: play.apply(), "stopped", TERM)
    yield lambda: key not in play.picture.rows
    play.forget(key[0])


def scales(play: Play, key: Key) -> Act:
    """A service gets another replica, or loses one: its series go, what it did for the service still counts."""
    name, part = key[0], play.cast.parts[key[0]]
    more = part.replicas == 2
    play.cast.parts[name] = evolve(part, replicas=3 if more else 2)
    third = (name, 2)
    if more:
        known = play.stage.lives.get(third, [None])[-1]
        taken = play.apply()
        yield from acts.lives(play, third, known)
        play.ledger.wished(third, taken)
        return
    life = play.life(third)
    taken = Span(time.monotonic(), time.monotonic())
    yield from acts.dies(play, life, lambda _: play.apply(), "stopped", TERM)
    yield lambda: third not in play.picture.rows
    assert life.down is not None
    play.ledger.unwished(third, Span(taken.least, life.down[1]), None)
    play.ledger.retire(third)
    for one in play.stage.lives[third]:
        one.retired = True


def misspells(play: Play, key: Key) -> Act:
    """A broken file is refused whole, and changes nothing; the next good one is taken."""
    play.apply(BROKEN)
    play.apply()
    yield lambda: True
