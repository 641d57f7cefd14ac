"""Faults of the server's own threads: none dies in silence, and the API goes on."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from supervisor.control.listen import bind_tcp
from supervisor.control.request import Request
from supervisor.control.response import Response
from supervisor.control.router import Router
from supervisor.control.server import Server
from supervisor.control.stream import Stream
from tests.control.serving import PATIENCE_S, serving


def restarts(server: Server) -> dict[str, tuple[bool, int]]:
    """Each name on the page, whether it is up, and how often it failed."""
    return {beat.name: (beat.up, beat.restarts) for beat in server._pulses.beats()}


def test_both_kinds_of_thread_show_a_pulse(tmp_path: Path) -> None:
    """The I/O thread under its name, all workers under one; a thread that serves a stream under none."""
    with serving(tmp_path) as site, site.call() as caller:
        assert caller.get("/worker")[0] == 200
        assert {"http": (True, 0), "http-worker": (True, 0)} == restarts(site.server)
    assert {} == restarts(site.server)


def test_a_turn_that_fails_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The thread goes on with the connections it has; it is logged with its stack, and counted."""
    with serving(tmp_path) as site, site.call() as caller:
        assert caller.get("/facts/x")[0] == 200
        engine = site.server._engine
        assert engine is not None
        deliver, faults = engine._reactor.deliver, iter([SystemExit("on purpose")])

        def once(happened: list[tuple[int, int]]) -> None:
            for fault in faults:
                raise fault
            deliver(happened)

        monkeypatch.setattr(engine._reactor, "deliver", once)
        assert caller.get("/facts/x")[0] == 200
        with site.call() as other:
            assert other.get("/worker")[0] == 200
        assert (True, 1) == restarts(site.server)["http"]
    assert "Thread respawnd-http failed and begins again" in caplog.text
    assert "SystemExit: on purpose" in caplog.text


def test_what_was_posted_is_done_after_a_fault(tmp_path: Path) -> None:
    """A posted call that raises ends its turn; the one behind it has had its bell rung already, and is heard."""
    with serving(tmp_path) as site:
        engine = site.server._engine
        assert engine is not None
        done = threading.Event()

        def blow() -> None:
            engine._reactor.post(sys.exit)
            engine._reactor.post(done.set)

        assert engine._reactor.post(blow)
        assert done.wait(PATIENCE_S)
        assert (True, 1) == restarts(site.server)["http"]


@pytest.mark.parametrize("blocking", [False, True])
def test_a_handler_cannot_end_a_thread(tmp_path: Path, blocking: bool, caplog: pytest.LogCaptureFixture) -> None:
    """SystemExit is answered with 500 like any other fault, on either kind of thread."""

    def leave(_request: Request) -> Response:
        sys.exit("on purpose")

    with serving(tmp_path) as site, site.call() as caller:
        site.server._router.add("GET", "/leave", leave, blocking=blocking)
        assert caller.get("/leave")[0] == 500
        assert caller.get("/worker")[0] == 200
        assert {"http": (True, 0), "http-worker": (True, 0)} == restarts(site.server)
    assert "SystemExit: on purpose" in caplog.text


def test_a_producer_cannot_keep_its_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that leaves by SystemExit gives its thread and its place back."""
    with serving(tmp_path) as site:
        site.server._router.add("GET", "/leave", lambda _: Response(200, Stream(lambda _: sys.exit("on purpose"))))
        with site.call() as caller:
            caller.send(b"GET /leave HTTP/1.1\r\nHost: localhost\r\n\r\n").rest()
        for thread in threading.enumerate():
            if "-stream-" in thread.name:
                thread.join(PATIENCE_S)
        assert 0 == site.stats().streams
    assert "SystemExit: on purpose" in caplog.text


def test_without_a_thread_to_be_had_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before a service is started, and nothing is left behind."""
    listener = bind_tcp("127.0.0.1", 0)
    server = Server(Router(), [listener])

    def refuse(thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", refuse)
        with pytest.raises(RuntimeError, match="cannot start respawnd-http-1"):
            server.start()
    server.start()
    assert 1 == server.stats().workers
    assert server.stop(PATIENCE_S)
    listener.close()
