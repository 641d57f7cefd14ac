"""The API over real sockets, with a daemon whose fleet is real and whose host does as it is told."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supervisor.control import client
from supervisor.core import events as ev
from supervisor.core.events import Origin, Shutdown
from supervisor.core.view import FleetView
from tests.control.fakes import Site, daemon, serving, spec


def get(site: Site, path: str, **headers: str) -> client.ClientResponse:
    """Ask on the Unix socket."""
    return client.request(site.socket, "GET", path, headers=headers)


def post(site: Site, path: str, body: Any = None) -> client.ClientResponse:
    """Ask for a change on the Unix socket."""
    return client.request(site.socket, "POST", path, body=None if body is None else json.dumps(body).encode())


def lines(answer: client.ClientResponse) -> list[dict[str, Any]]:
    """The lines of an answer."""
    assert (200, "application/x-ndjson") == (answer.status, answer.headers["content-type"])
    return [json.loads(line) for line in answer.body.splitlines()]


def detail(answer: client.ClientResponse) -> tuple[int, str]:
    """The status and the words of a problem."""
    assert "application/problem+json" == answer.headers["content-type"]
    return answer.status, answer.json()["detail"]


# --- reads ------------------------------------------------------------------------------------------------------------


def test_states_of_services(tmp_path: Path) -> None:
    """All, one by its path, several by path or query, in the order in which they were named."""
    fake = daemon(spec("web", replicas=2), spec("db"))
    fake.group_names = {"back": ("db",)}
    with serving(fake, tmp_path) as site:

        def names(path: str) -> list[str]:
            return [one["name"] for one in get(site, path).json()["services"]]

        assert ["web:0", "web:1", "db"] == names("/api/v1/services")
        assert ["web:1"] == names("/api/v1/services/web:1")
        assert ["db", "web:0"] == names("/api/v1/services/db,web:0")
        assert ["db", "web:0", "web:1"] == names("/api/v1/services?name=back:*&name=w%3F%3F")
        assert (404, "no service wbe (did you mean web?)") == detail(get(site, "/api/v1/services/wbe"))


def test_health_and_readiness(tmp_path: Path) -> None:
    """200 while the loop turns; ready from the end of the boot to the beginning of the shutdown."""
    fake = daemon(spec("web"), boot=False)
    with serving(fake, tmp_path) as site:
        assert 200 == get(site, "/-/healthy").status
        assert (503, "booting") == detail(get(site, "/-/ready"))
        fake.fleet.boot(0.0)
        fake.launched("web")
        assert 200 == get(site, "/-/ready").status
        fake.held.add("web")
        fake.step(Shutdown())
        assert (503, "shutting down") == detail(get(site, "/-/ready"))
        fake.loop_turns = False
        assert (503, "the loop has not turned for 10 s") == detail(get(site, "/-/healthy"))


def test_metrics_are_as_the_scraper_wants_them(tmp_path: Path) -> None:
    """Its headers and its choice of names reach the exposition; nothing is added."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        answer = get(site, "/metrics?name[]=up&name%5B%5D=down", accept="text/plain", **{"accept-encoding": "gzip"})
    assert (b"up 1\n", "text/plain") == (answer.body, answer.headers["content-type"])
    assert [("text/plain", "gzip", ("up", "down"), None)] == fake.pages


@pytest.mark.parametrize(
    ("expected", "told"),
    [
        (10.0, "10"),
        (0.25, "0.250"),
        (3600.0, "3600"),
        *((None, text) for text in ("", "0", "-1", "3600.5", "1e3", "nan", "inf", "1_0", "10s", "9" * 400)),
    ],
)
def test_how_long_the_scraper_waits(tmp_path: Path, expected: float | None, told: str) -> None:
    """What is left of its timeout reaches the exposition; what makes no sense counts as not said."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        assert 200 == get(site, "/metrics", **{"X-Prometheus-Scrape-Timeout-Seconds": told}).status
    ((*_, budget),) = fake.pages
    assert (budget is None) == (expected is None)
    assert budget is None or expected == pytest.approx(budget, abs=0.2)


def test_a_budget_that_was_spent_waiting(tmp_path: Path) -> None:
    """Is none any more, and still one."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        get(site, "/metrics", **{"X-Prometheus-Scrape-Timeout-Seconds": "0.000000001"})
    assert 0.0 == fake.pages[0][3]


def test_other_methods_on_metrics(tmp_path: Path) -> None:
    """HEAD has the head of GET; the others are told what there is."""
    with serving(daemon(spec("web")), tmp_path) as site:
        head = client.request(site.socket, "HEAD", "/metrics")
        assert (200, "5", b"") == (head.status, head.headers["content-length"], head.body)
        for method in ("OPTIONS", "POST", "DELETE"):
            refused = client.request(site.address if method == "OPTIONS" else site.socket, method, "/metrics")
            assert (405, "GET, HEAD") == (refused.status, refused.headers["allow"])


def test_the_front_page_says_where_to_look(tmp_path: Path) -> None:
    """Who it is, and the paths."""
    with serving(daemon(spec("web")), tmp_path) as site:
        page = get(site, "/").body.decode()
    assert page.startswith("respawnd 9.8.7, pid ")
    assert "/api/v1/services\n" in page


# --- writes -----------------------------------------------------------------------------------------------------------


def test_results_come_line_by_line(tmp_path: Path) -> None:
    """One line a unit as soon as it has a result; the answer ends with the last one."""
    fake = daemon(spec("web"), spec("db"))
    fake.held.add("db")
    with serving(fake, tmp_path) as site:
        path = "/api/v1/services/all/stop"
        with client.stream(site.socket, "POST", path) as answer:
            chunks = iter(answer)
            assert {"unit": "web", "ok": True, "state": "stopped", "text": "stopped"} == json.loads(next(chunks))
            fake.dies("db", None, 15)
            assert ["db"] == [json.loads(chunk)["unit"] for chunk in chunks]


@pytest.mark.parametrize(("verb", "event"), [("start", ev.Start), ("stop", ev.Stop), ("restart", ev.RestartAsked)])
def test_without_waiting(tmp_path: Path, verb: str, event: type[ev.Event]) -> None:
    """What was accepted, at once."""
    fake = daemon(spec("web", replicas=2), spec("db"))
    with serving(fake, tmp_path) as site:
        answer = post(site, f"/api/v1/services/web,db/{verb}", {"wait": False})
    assert (202, {"accepted": ["web:0", "web:1", "db"]}) == (answer.status, answer.json())
    assert [event] == [type(one) for one in fake.asked]


def test_who_asked_for_what_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The units and the peer; never a name as it was sent."""
    fake = daemon(spec("web", replicas=7))
    with caplog.at_level(logging.INFO, "respawnd.api"), serving(fake, tmp_path) as site:
        post(site, "/api/v1/services/%5B!%0A%5Deb/stop")
    assert 1 == len(caplog.messages)
    assert caplog.messages[0].startswith("Asked to stop web:0, web:1, web:2, web:3, web:4 and 2 more by uid ")


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    """A name nobody bears, a body that makes no sense: refused, and nothing is done."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        assert 404 == post(site, "/api/v1/services/web,wbe/stop").status
        assert 400 == post(site, "/api/v1/services/web/stop", {"wiat": False}).status
        assert 400 == post(site, "/api/v1/services/web/stop", {"timeout": -1}).status
        assert 400 == post(site, "/api/v1/services/web/signal", {}).status
        assert 400 == post(site, "/api/v1/shutdown", {"now": True}).status
        assert 405 == get(site, "/api/v1/shutdown").status
    assert ([], []) == (fake.asked, fake.signals)


def test_a_loop_that_does_not_turn(tmp_path: Path) -> None:
    """504 where nobody waits for results; where somebody does, a line that says so."""
    fake = daemon(spec("web"))
    fake.stuck = True
    said = "the loop has not answered within 10 s"
    with serving(fake, tmp_path) as site:
        assert (504, said) == detail(post(site, "/api/v1/services/web/stop", {"wait": False}))
        assert (504, said) == detail(post(site, "/api/v1/shutdown"))
        waited = lines(post(site, "/api/v1/services/web/stop"))
    assert [{"unit": None, "ok": False, "state": None, "text": said}] == waited


def test_during_a_shutdown(tmp_path: Path) -> None:
    """409 for a start, in words; stop still gets its results."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    fake.step(Shutdown())
    said = "cannot start: respawnd is shutting down"
    with serving(fake, tmp_path) as site:
        assert (409, said) == detail(post(site, "/api/v1/services/web/start", {"wait": False}))
        assert [said] == [line["text"] for line in lines(post(site, "/api/v1/services/web/start"))]
        fake.dies("web", None, 15)
        assert [True] == [line["ok"] for line in lines(post(site, "/api/v1/services/web/stop"))]


def test_a_server_without_room_for_streams_does_nothing(tmp_path: Path) -> None:
    """503, and the command has not been taken: whoever gets it can ask again."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        assert site.server._engine is not None
        site.server._engine.crew._cap = 0
        assert 503 == post(site, "/api/v1/services/web/stop").status
    assert [] == fake.asked


def test_a_caller_who_hangs_up_frees_its_thread(tmp_path: Path) -> None:
    """The wait for a result ends with its client, though the result never comes."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    waiting = threading.Event()
    wait = fake.board.wait

    def seen(until: Callable[[FleetView], bool], timeout: float) -> FleetView | None:
        waiting.set()
        return wait(until, timeout)

    fake.board.wait = seen  # type: ignore[method-assign]
    with serving(fake, tmp_path) as site:
        with client.stream(site.socket, "POST", "/api/v1/services/web/stop"):
            assert waiting.wait(10)
            (producer,) = [one for one in threading.enumerate() if one.name == "respawnd-http-stream-1"]
        producer.join(10)
        assert not producer.is_alive()


def test_signals(tmp_path: Path) -> None:
    """To each main process; a line says what became of it."""
    fake = daemon(spec("web"), spec("db"))
    fake.unsignalled = {"db": "no such process"}
    with serving(fake, tmp_path) as site:
        said = lines(post(site, "/api/v1/services/all/signal", {"signal": "usr1"}))
    assert [("web", True, "sent USR1"), ("db", False, "no such process")] == [
        (line["unit"], line["ok"], line["text"]) for line in said
    ]
    assert [(("web:0", "db:0"), 10)] == fake.signals


def test_apply(tmp_path: Path) -> None:
    """Taken whole, or refused with every problem."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        assert (200, {"applied": "/etc/respawnd.toml"}) == (
            post(site, "/api/v1/apply").status,
            post(site, "/api/v1/apply").json(),
        )
        fake.problems = ("x.toml:1: bad", "x.toml:2: worse")
        refused = detail(post(site, "/api/v1/apply"))
    assert (422, "cannot apply /etc/respawnd.toml: x.toml:1: bad; x.toml:2: worse") == refused


@pytest.mark.parametrize(("body", "hurry"), [(None, False), ({}, False), ({"hurry": True}, True)])
def test_shutdown(tmp_path: Path, body: Any, hurry: bool) -> None:
    """Accepted before it is done: whoever asked must be answered."""
    fake = daemon(spec("web"))
    with serving(fake, tmp_path) as site:
        answer = post(site, "/api/v1/shutdown", body)
    assert (202, {"accepted": True}) == (answer.status, answer.json())
    assert [Shutdown(hurry=hurry, origin=Origin(f"uid {os.getuid()} over the control socket"))] == fake.asked


def test_the_same_over_tcp(tmp_path: Path) -> None:
    """States are open, writes need the token, and with it they work."""
    token = tmp_path / "token"
    token.write_text("secret")
    token.chmod(0o600)
    fake = daemon(spec("web"))
    with serving(fake, tmp_path, token_file=str(token)) as site:
        assert 200 == client.request(site.address, "GET", "/api/v1/services").status
        assert 401 == client.request(site.address, "GET", "/api/v1/logs/web").status
        assert 401 == client.request(site.address, "POST", "/api/v1/services/web/stop").status
        with_token = {"authorization": "Bearer secret"}
        answer = client.request(site.address, "POST", "/api/v1/services/web/stop", headers=with_token)
    assert ["stopped"] == [line["text"] for line in lines(answer)]


def test_a_unit_may_leave_while_it_is_spoken_of(tmp_path: Path) -> None:
    """A signal to what left in the same moment is told under its key."""
    fake = daemon(spec("web"), spec("db"))
    fake.before_signals = lambda: fake.step(ev.Reconfigured({"db": spec("db")}))
    with serving(fake, tmp_path) as site:
        (said,) = lines(post(site, "/api/v1/services/web/signal", {"signal": 1}))
    assert ("web:0", None) == (said["unit"], said["state"])
