"""A scraper that says how long it waits is answered in that time, with the last page where a new one takes longer."""

from __future__ import annotations

import logging
import threading
import zlib
from collections.abc import Callable

import pytest

from metrics.exposition import Exposition, Page
from metrics.exposition.kept import GZIP, OLDEST
from tests.metrics.busy import busy_drill
from tests.metrics.drill import Drill

UP = "respawnd_service_up"


class Scrape(threading.Thread):
    """A scrape in a thread of its own."""

    def __init__(self, exposition: Exposition, encoding: str = "gzip", budget: float | None = None) -> None:
        super().__init__()
        self._exposition, self._encoding, self._budget = exposition, encoding, budget
        self.page: Page | None = None
        self.start()

    def run(self) -> None:
        """Ask."""
        self.page = self._exposition.page("", self._encoding, budget=self._budget)

    def got(self) -> Page:
        """Wait for the page."""
        self.join(10)
        assert self.page is not None
        return self.page


class Slow:
    """A drill with a reading that waits for `gate` once `armed`, so that a page is not ready until then."""

    def __init__(self) -> None:
        self.drill = busy_drill()
        self.gate, self.entered, self.armed = threading.Event(), threading.Event(), False
        self.drill.recorder.probe("respawnd_queue_depth", self._read)
        self.exposition = self.drill.exposition

    def _read(self) -> list[tuple[tuple[str, ...], float]]:
        if self.armed:
            self.entered.set()
            assert self.gate.wait(10)
        return []

    def hold(self) -> Scrape:
        """Have a render under way that does not end before `let_go`."""
        self.armed = True
        scrape = Scrape(self.exposition, "")
        assert self.entered.wait(10)
        return scrape

    def let_go(self, *scrapes: Scrape) -> None:
        """Let renders end, also those that nobody waits for any more."""
        self.armed = False
        self.gate.set()
        for scrape in scrapes:
            scrape.got()
        for thread in threading.enumerate():
            if thread.name == "respawnd-render":
                thread.join(10)


@pytest.fixture
def slow() -> Slow:
    """Give a page that can be held up."""
    return Slow()


def age(page: Page) -> str | None:
    """Tell how old a page says it is."""
    return dict(page.headers).get("age")


def text(page: Page) -> str:
    """Unpack a page."""
    packed = ("content-encoding", "gzip") in page.headers
    return (zlib.decompress(page.body, GZIP) if packed else page.body).decode()


def test_a_page_in_time_is_a_new_one(slow: Slow) -> None:
    """Nothing is served from memory while there is time."""
    first = slow.exposition.page("", "gzip", budget=10)
    slow.drill.pass_time(15)
    second = slow.exposition.page("", "gzip", budget=10)
    assert (None, None) == (age(first), age(second))
    assert text(first) != text(second)


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["gzip", ""])
def test_a_page_that_is_late_is_the_last(slow: Slow, encoding: str, caplog: pytest.LogCaptureFixture) -> None:
    """While another render does not end: the last page, with its age, compressed or not; logged once."""
    first = slow.exposition.page("", "gzip", budget=10)
    slow.drill.pass_time(15)
    other = slow.hold()
    with caplog.at_level(logging.WARNING, "respawnd.metrics"):
        late = [Scrape(slow.exposition, encoding, 0.2).got() for _ in range(2)]
    slow.let_go(other)
    assert ["15", "15"] == list(map(age, late))
    assert [text(first)] * 2 == list(map(text, late))
    assert ["Cannot render /metrics within the 0.2 s of its scraper: the page before is given"] == [
        record.getMessage() for record in caplog.records
    ]
    assert age(slow.exposition.page("", "gzip", budget=10)) is None


def test_no_time_left_is_answered_at_once(slow: Slow) -> None:
    """Who has waited for its turn as long as it meant to wait gets the last page, or a new one where none is kept."""
    assert age(slow.exposition.page("", "gzip", budget=0)) is None
    slow.drill.pass_time(3)
    other = slow.hold()
    late = slow.exposition.page("", "gzip", budget=0)
    slow.let_go(other)
    assert "3" == age(late)


@pytest.mark.slow
def test_what_was_late_is_ready_for_the_next(slow: Slow) -> None:
    """The render goes on after its scraper was answered, and its page is the last one then."""
    slow.exposition.page("", "gzip", budget=10)
    slow.drill.pass_time(15)
    other = slow.hold()
    Scrape(slow.exposition, "gzip", 0.2).got()
    slow.drill.pass_time(15)
    slow.let_go(other)
    slow.gate.clear()
    slow.entered.clear()
    slow.drill.pass_time(7)
    again = slow.hold()
    late = Scrape(slow.exposition, "gzip", 0.2).got()
    slow.let_go(again)
    assert "7" == age(late)


@pytest.mark.slow
def test_a_page_too_old_is_not_given_away(slow: Slow) -> None:
    """After a minute a scraper waits for a new page, whatever it said."""
    slow.exposition.page("", "gzip", budget=10)
    slow.drill.pass_time(OLDEST + 1)
    other = slow.hold()
    scrape = Scrape(slow.exposition, "gzip", 0.05)
    scrape.join(0.2)
    waits = scrape.is_alive()
    slow.let_go(other, scrape)
    assert waits
    assert age(scrape.got()) is None


@pytest.mark.slow
def test_followers_have_deadlines_of_their_own(slow: Slow) -> None:
    """Who joins a render under way for the same page leaves it when its own time is over."""
    slow.exposition.page("", "gzip", budget=10)
    slow.drill.pass_time(1)
    slow.armed = True
    leader = Scrape(slow.exposition, "gzip")
    assert slow.entered.wait(10)
    follower = Scrape(slow.exposition, "gzip", 0.2).got()
    slow.let_go(leader)
    assert "1" == age(follower)
    assert age(leader.got()) is None


@pytest.mark.slow
def test_a_render_that_is_known_to_be_slow_is_made_apart() -> None:
    """Where the last page took longer than there is time, the scraper does not wait for the next one's end."""
    gate = threading.Event()
    drill = busy_drill()
    drill.exposition.page("", "gzip", budget=10)

    def crawl() -> list[tuple[tuple[str, ...], float]]:
        drill.now += 3
        return []

    def hang() -> list[tuple[tuple[str, ...], float]]:
        assert gate.wait(10)
        return []

    drill.recorder.probe("respawnd_queue_depth", crawl)
    drill.exposition.page("", "gzip", budget=10)
    drill.recorder.probe("respawnd_queue_depth", hang)
    drill.pass_time(20)
    late = drill.exposition.page("", "gzip", budget=1)
    gate.set()
    for thread in [thread for thread in threading.enumerate() if thread.name == "respawnd-render"]:
        thread.join(10)
    assert "20" == age(late)
    assert age(drill.exposition.page("", "gzip", budget=10)) is None


def test_nothing_is_kept_for_those_who_do_not_say(slow: Slow) -> None:
    """A daemon whose scrapers name no time keeps no page."""
    slow.exposition.page("", "gzip")
    assert {} == slow.exposition._kept._pages
    slow.exposition.page("", "gzip", budget=10)
    slow.exposition.page("", "gzip", [UP], budget=10)
    assert 1 == len(slow.exposition._kept._pages)


@pytest.mark.parametrize("budget", [-1.0, float("nan")])
def test_a_senseless_time_is_none(slow: Slow, budget: float) -> None:
    """What cannot be waited for is passed over."""
    assert UP in text(slow.exposition.page(budget=budget))


def test_rest_is_cut_short_by_a_deadline() -> None:
    """Scrapes that follow at once on one another rest between, but never past their time."""
    drill = busy_drill()
    rests: list[float] = []

    def pause(seconds: float) -> None:
        rests.extend([seconds] if seconds > 0.001 else [])
        drill.now += seconds

    exposition = Exposition(drill.recorder, drill.view, clock=ticking(drill), pause=pause)
    exposition.page()
    exposition.page()
    rested = len(rests)
    exposition.page("", "", budget=0.05)
    assert 1 == rested
    assert len(rests) == rested or rests[-1] < 0.05


def ticking(drill: Drill) -> Callable[[], float]:
    """Give a clock on which each look takes a tenth of a millisecond."""

    def clock() -> float:
        drill.now += 0.0001
        return drill.now

    return clock


def test_a_slow_render_is_told_of() -> None:
    """Series, bytes and seconds of each page that took more than a quarter of a second, and of no other."""
    drill = busy_drill()
    told: list[tuple[int, int, float]] = []
    exposition = Exposition(
        drill.recorder, drill.view, clock=lambda: drill.now, pause=lambda _: None,
        slow=lambda *figures: told.append(figures),
    )  # fmt: skip
    exposition.render()
    assert [] == told

    def crawl() -> list[tuple[tuple[str, ...], float]]:
        drill.now += 0.5
        return []

    drill.recorder.probe("respawnd_queue_depth", crawl)
    page = exposition.render().decode()
    samples = sum(not line.startswith("#") for line in page.split("\n")[:-1])
    ((series, size, spent),) = told
    assert (samples, len(page.encode())) == (series, size)
    assert pytest.approx(0.5) == spent
