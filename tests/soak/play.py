"""What an act works with: the daemon's commands, the lives on stage, the ledger, and pictures of the states.

Rules: every request is counted, for the daemon counts them too. A picture is what `status` shows; it bounds the moments
at which a life was seen to be up, and no longer up, and nothing else is taken from it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from random import Random
from typing import Any

from attrs import define

from supervisor.control import client
from tests.soak.cast import GRACE, Cast
from tests.soak.ledger import Ledger, Span, between
from tests.soak.stage import Key, Life, Stage
from tests.system.rig import Daemon

#: An act yields what it waits for.
Act = Generator[Callable[[], bool], None, None]
VERBS = "/api/v1/services/{name}/"


@define
class Picture:
    """The states that users see, asked for and answered between two moments."""

    asked: float
    answered: float
    rows: dict[Key, dict[str, Any]]

    def state(self, key: Key) -> str | None:
        """The state of a replica; None if there is no such replica."""
        row = self.rows.get(key)
        return row["state"] if row is not None else None


class Asked:
    """A command under way: `taken` bounds the moment at which the daemon took it, once it is `over`."""

    def __init__(self, taken: Span, process: subprocess.Popen[bytes] | None = None) -> None:
        self.taken = taken
        self._process = process

    def over(self) -> bool:
        """Whether it has come to its end, which is a good one."""
        if self._process is None:
            return True
        if self._process.poll() is None:
            return False
        assert self._process.returncode == 0, self._process.args
        self._process, self.taken = None, Span(self.taken.least, time.monotonic())
        return True


def used(pid: int) -> float:
    """Seconds of processor time that a process has used, with children that it waited for; 0 once it is gone."""
    try:
        ran = sum(
            int((task / "schedstat").read_bytes().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()
        )  # fmt: skip
        words = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    tick = 1 / os.sysconf("SC_CLK_TCK")
    return max(ran / 1e9, tick * (int(words[11]) + int(words[12]))) + tick * (int(words[13]) + int(words[14]))


class Play:
    """One run of the story."""

    def __init__(self, daemon: Daemon, stage: Stage, cast: Cast, ledger: Ledger, random: Random) -> None:
        self.daemon, self.stage, self.cast, self.ledger, self.random = daemon, stage, cast, ledger, random
        self.picture = Picture(0.0, 0.0, {})
        self._known: dict[Key, int] = {}

    # --- the daemon -------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, handler: str, body: object = None) -> client.ClientResponse:
        """One request over the Unix socket, counted under the pattern of its route."""
        sent = json.dumps(body).encode() if body is not None else None
        answer = client.request(self.daemon.socket, method, path, body=sent, timeout=30)
        self.ledger.requests[handler, method, str(answer.status)] += 1
        return answer

    def command(self, verb: str, service: str) -> Span:
        """An operator's start, stop or restart of a service; when the daemon took it."""
        before = time.monotonic()
        answer = self.ask("POST", f"/api/v1/services/{service}/{verb}", VERBS + verb, {"wait": False})
        assert answer.status == 202, answer.body
        self.ledger.events[verb] += 1
        return Span(before, time.monotonic())

    def operate(self, verb: str, service: str) -> Asked:
        """As `command`, by the API or with the command line, as chance has it."""
        if self.random.random() < 0.8:
            return Asked(self.command(verb, service))
        self.ledger.requests[VERBS + verb, "POST", "200"] += 1
        self.ledger.events[verb] += 1
        before = time.monotonic()
        return Asked(Span(before, before), self.daemon.spawn(verb, service))

    def apply(self, text: str | None = None) -> Span:
        """Write the configuration (or `text`) and have it taken, or refused; when that was."""
        before = time.monotonic()
        self.daemon.config.write_text(text or self.cast.text())
        answer = self.ask("POST", "/api/v1/apply", "/api/v1/apply", {})
        taken = answer.status == 200
        assert taken is (text is None), answer.body
        self.ledger.reloads["ok" if taken else "error"] += 1
        self.ledger.events["reconfigured"] += taken
        return Span(before, time.monotonic())

    def look(self) -> None:
        """Take a picture, and note who was born, who is up and who no longer is."""
        before = time.monotonic()
        answer = self.ask("GET", "/api/v1/services", "/api/v1/services")
        rows = {(row["service"], row["replica"]): row for row in answer.json()["services"]}
        self.picture = Picture(before, time.monotonic(), rows)
        for life in self._recent():
            row = rows.get(life.key)
            running = row is not None and row["pid"] == life.pid and row["state"] == "running"
            if running and life.up is None:
                grace = GRACE if life.key[0] == "graced" else 0.0
                life.up = (life.forked + grace, self.picture.answered)
            if life.gone is not None and _reaped(life, row):
                life.reaped = self.picture.answered
            if not running and life.down is None and (life.up is not None or life.reaped is not None):
                life.down = (life.said_at if life.doomed is None else life.doomed, self.picture.answered)

    def _recent(self) -> Iterable[Life]:
        """All lives whose end has not been seen on a picture; a new one is told to the ledger first."""
        for key, lives in self.stage.lives.items():
            for life in lives[self._known.get(key, 0) :]:
                self.ledger.born(life)
            self._known[key] = len(lives)
            yield from (life for life in lives if life.reaped is None)

    def forget(self, service: str) -> None:
        """The service has left the configuration."""
        self.ledger.forget(service)
        for key in [key for key in self.stage.lives if key[0] == service]:
            del self.stage.lives[key], self._known[key]

    # --- the lives --------------------------------------------------------------------------------------------------

    def life(self, key: Key) -> Life:
        """The present life of a replica, which is there."""
        life = self.stage.living(key)
        assert life is not None, f"{key} is dead"
        return life

    def ran(self, service: str, now: Span) -> Span:
        """For how long the replicas of a service have been up, all together."""
        least = most = 0.0
        for key, lives in self.stage.lives.items():
            for life in lives if key[0] == service else ():
                one = _up(life, now)
                least, most = least + one.least, most + one.most
        return Span(least, most)

    def used(self, key: Key, grace: float) -> Span:
        """The processor time of all lives of a replica; the end of each may have taken up to `grace` unseen."""
        lives = [life for life in self.stage.lives.get(key, []) if not life.retired]
        spent = 0.0
        for life in lives:
            if life.gone is None:
                life.used = max(life.used, used(life.pid))
            spent += life.used
        return Span(spent, spent + grace * len(lives))


def _reaped(life: Life, row: dict[str, Any] | None) -> bool:
    """Whether the daemon knows that a life is over; one that is so short may be over before it knows of the life."""
    if row is None or row["life"] > life.number:
        return True
    return bool(row["life"] == life.number and row["pid"] is None and row["phase"] != "launching")


def _up(life: Life, now: Span) -> Span:
    """For how long a life was up, as of `now`."""
    end = Span(*life.down) if life.down is not None else now
    if life.up is None:  # so short that no picture has it
        return Span(0.0, max(0.0, end.most - life.forked))
    return between(Span(*life.up), end)
