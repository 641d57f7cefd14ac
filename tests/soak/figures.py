"""`python -m tests.soak.figures --minutes 10`: every figure against the truth, from the page and from a Prometheus.

The exit status is 0 when all agree; each difference is printed with truth and figure.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from attrs import define

from tests.soak import checks, resources, spans
from tests.soak.adversary import Adversary
from tests.soak.cast import GUESTS, Cast
from tests.soak.ledger import Ledger, Span
from tests.soak.page import Page, page, plain, scraped
from tests.soak.play import Play
from tests.soak.stage import Life, Stage
from tests.soak.verdict import Verdict
from tests.system.rig import Daemon, end_daemon, eventually
from tests.system.scraper import Prometheus, free_port

#: What we start ends with us, whatever becomes of us (prctl(2), PR_SET_PDEATHSIG).
WITH_US = ("setpriv", "--pdeathsig", "TERM")
#: Families that only ever grow; a Prometheus sees them fall only when a service has left and come back.
GROWING = ("respawnd_service_.+_total", "respawnd_service_.+_count", "respawnd_events_total")

#: Seconds between scrapes, which is also how long one may take.
INTERVAL = 1.0
#: Seconds that spans may wait to be written.
EXPORT = 15.0
#: When the last pass over the processes ended, and how long it took.
SAMPLED = ("respawnd_resource_sample_time_seconds", "respawnd_resource_sample_duration_seconds")


@define
class Report:
    """What came of a run."""

    verdict: Verdict
    lines: list[str]


class Show:
    """A run of the story with its stage, daemon and Prometheus."""

    def __init__(self, directory: Path, seed: int, pace: float, closing: ExitStack) -> None:
        self.began = time.time()
        self.verdict = Verdict()
        stage = Stage(str(directory / "stage"))
        cast = Cast(directory)
        booting = time.monotonic()
        daemon = Daemon(directory, cast.text())
        closing.callback(stage.close)
        closing.callback(end_daemon, daemon)
        daemon.start(prefix=WITH_US)
        self.play = Play(daemon, stage, cast, Ledger(), Random(seed))
        self.play.ledger.reloads["ok"] = 1
        self.adversary = Adversary(self.play, pace)
        self.adversary.open(Span(booting, time.monotonic()))
        target = self.play.ask("GET", "/api/v1/services", "/api/v1/services").json()["daemon"]["http"]
        self.prometheus = Prometheus(directory, free_port(), target, f"{INTERVAL:.0f}s", WITH_US)
        closing.callback(self.prometheus.end)

    def checkpoint(self, name: str) -> None:
        """In a quiet moment, hold the page and what Prometheus has stored against the truth."""
        quiet = time.time()
        eventually(lambda: self._sampled(quiet), what="a sample of the resources")
        for one in (scraped(self.play), self._stored(time.time())):
            self.verdict.place = f"{name}, {one.source}"
            checks.check(self.play, one, self.verdict)
            resources.check(self.play, one, self.verdict)

    def _comes(self, look: Callable[[], bool]) -> bool:
        """Whether it becomes true within the time that spans may take to be written."""
        end = time.monotonic() + EXPORT
        while not look() and time.monotonic() < end:
            self.play.stage.pump(0.1)
        return look()

    def _exported(self) -> float | None:
        """Spans that the daemon says it has exported."""
        return scraped(self.play).value("respawnd_trace_spans_total", result="exported")

    def _sampled(self, quiet: float) -> bool:
        """Whether resource figures were taken after `quiet`: on the next page, while this one may show both kinds."""
        one = scraped(self.play)
        end, took = (one.value(name) for name in SAMPLED)
        return end is None or end - (took or 0.0) > quiet

    def _stored(self, quiet: float) -> Page:
        """What Prometheus has of a scrape whose resource figures were taken after `quiet`."""

        def look() -> float | None:
            at = self.prometheus.scraped(quiet)
            end, took = (self.prometheus.value(name, at) for name in SAMPLED)
            return at if end is None or end - (took or 0.0) > quiet else None

        at = self.prometheus.scraped(eventually(look, what="a sample of the resources in Prometheus"))
        rows = self.prometheus.vector('{job="respawnd"}', at)
        took = self.prometheus.value("scrape_duration_seconds", at) or 0.0
        self._scrapes(at)
        began = at - (time.time() - time.monotonic())
        samples = ((row.pop("__name__"), _without(row, "job", "instance"), value) for row, value in rows)
        return page("Prometheus", Span(began - 0.01, began + took + 0.05), samples)

    def _scrapes(self, at: float) -> None:
        """Every scrape was answered, and counted by the daemon once it was; that of `at` is not yet among them."""
        self.verdict.place = "Prometheus"
        scrapes = self.prometheus.history('up{job="respawnd"}[1d]', at)
        failed = [when for when, up in scrapes if not up and not self._stood_still(when)]
        self.verdict.holds("every scrape is answered", not failed, failed)
        truth = len(scrapes) - 1 + self.play.ledger.requests["/metrics", "GET", "200"]
        figure = self.prometheus.value('respawnd_api_requests_total{handler="/metrics"}', at)
        self.verdict.same("respawnd_api_requests_total", "GET /metrics 200", truth, figure)

    def _stood_still(self, at: float) -> bool:
        """Whether the machine did, during a scrape that began at a wall time."""
        return any(begun < at + INTERVAL + 0.5 and at < end for begun, end in self.play.stage.stalls)

    def history(self) -> list[str]:
        """What only the whole time shows: nothing ever fell; exemplars lead to traces."""
        self.verdict.place = "history"
        guests = "|".join(GUESTS)
        for family in GROWING:
            query = f'resets({{__name__=~"{family}",service!~"{guests}",job="respawnd"}}[1d]) > 0'
            self.verdict.holds(
                f"{family} never falls", not self.prometheus.vector(query), self.prometheus.vector(query)
            )
        wanted = {one.trace for one in spans.exemplars(self.prometheus, self.began)}
        file = self.play.cast.directory / "traces.jsonl"
        written = self._comes(lambda: wanted <= {span.trace for span in spans.spans(file)})
        self.verdict.holds("all traces are in the file", written)
        counted = self._comes(lambda: self._exported() == len(spans.spans(file)))
        self.verdict.holds("as many spans are in the file as are counted", counted)
        return spans.check(self.play, self.prometheus, self.verdict, self.began)


def _over(stage: Stage, lives: list[Life]) -> bool:
    """Whether all lives come to their end within two seconds."""
    end = time.monotonic() + 2
    while time.monotonic() < end and any(life.gone is None for life in lives):
        stage.pump(end - time.monotonic())
    return all(life.gone is not None for life in lives)


def _without(labels: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in names}


@contextmanager
def show(directory: Path, seed: int, pace: float) -> Iterator[Show]:
    """A show that is over at the end, with all that it started."""
    with ExitStack() as closing:
        yield Show(directory, seed, pace, closing)


def perform(directory: Path, seconds: float, rounds: int, seed: int, pace: float = 0.25) -> Report:
    """Run the story for so long, in so many rounds with a look at all figures after each; end everything."""
    with show(directory, seed, pace) as running:
        play, verdict = running.play, running.verdict
        running.checkpoint("at boot")
        for number in range(1, rounds + 1):
            running.adversary.rage(seconds / rounds)
            running.checkpoint(f"round {number}")
        lines = running.history()
        verdict.place = "the end"
        checked = subprocess.run(["promtool", "check", "metrics"], input=plain(play), capture_output=True, check=False)
        verdict.holds(
            "promtool has no complaint", (0, b"", b"") == (checked.returncode, checked.stdout, checked.stderr), checked
        )
        lives = [life for those in play.stage.lives.values() for life in those]
        verdict.same("exit status", "of the daemon", 0, play.daemon.end())
        verdict.holds("the fleet ends with the daemon", _over(play.stage, lives))
    restarts, deaths = sum(play.ledger.restarts.values()), sum(play.ledger.exits.values())
    first = f"{running.adversary.done} acts, {deaths} deaths, {restarts} respawns, {play.ledger.orphans} left behind"
    still = [f"the machine stood still for {end - begun:.1f} s" for begun, end in play.stage.stalls]
    return Report(verdict, [first, *still, *lines])


def main() -> int:
    """Run, print, and say by the exit status whether all agreed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--pace", type=float, default=0.25, help="mean seconds between acts")
    parser.add_argument("--keep", type=Path, help="work in this directory and leave it there")
    asked = parser.parse_args()
    print(f"seed {asked.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="soak") as temporary:
        directory = asked.keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        rounds = max(1, round(asked.minutes))
        report = perform(directory, asked.minutes * 60, rounds, asked.seed, asked.pace)
    for line in report.lines:
        print(line)
    verdict = report.verdict
    print(f"{sum(verdict.compared.values())} comparisons of {len(verdict.compared)} figures")
    for difference in verdict.differences:
        print(f"DIFFERENT {difference}")
    print(f"{len(verdict.differences)} differences")
    return 1 if verdict.differences else 0


if __name__ == "__main__":
    sys.exit(main())
