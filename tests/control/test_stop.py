"""Stopping and starting again: what is in flight, what is knocking, what stays behind."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from supervisor.control import client
from tests.control.serving import PATIENCE_S, Site, serving

if TYPE_CHECKING:
    from pathlib import Path


def begin_stop(site: Site, timeout: float) -> threading.Event:
    """Begin to stop; the event is set when it is over."""
    over = threading.Event()
    site.server.begin_stop(timeout, over.set)
    return over


def test_a_request_in_flight_is_finished(tmp_path: Path) -> None:
    """A stop waits for the worker, the client gets its answer, told that the connection ends."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        site.gate.await_entry()
        over = begin_stop(site, PATIENCE_S)
        site.gate.opened.set()
        status, headers, body = caller.answer()
        assert (200, "close", b"let go") == (status, headers["connection"], body)
        assert over.wait(PATIENCE_S)
        assert site.server.join(PATIENCE_S)


def test_a_request_that_takes_too_long_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A stop is bounded: a handler that does not return costs its client the answer, and is named in the log."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        site.gate.await_entry()
        assert site.server.stop(0.02)
        assert caller.rest() == b""
        assert site.server.stats().dropped["stop"] == 1
    assert "Cannot end respawnd-http-1: its handler does not return" in caplog.text


def test_who_knocks_during_a_stop_is_answered_by_the_next(tmp_path: Path) -> None:
    """The listening sockets stay open: a connection made between a stop and a start waits, and is served."""
    with serving(tmp_path) as site, site.call() as idle:
        idle.get("/hello")
        assert site.server.stop(PATIENCE_S)
        assert not site.server.alive
        assert idle.rest() == b""
        with site.call() as caller, site.call_unix() as near:
            caller.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            near.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
            site.server.start()
            assert [b"hello"] * 2 == [caller.answer()[2], near.answer()[2]]
        assert site.server.stats().requests["/hello", "GET", 200] == 3


def test_who_is_just_speaking_is_heard(tmp_path: Path) -> None:
    """A connection that was accepted but has not spoken gets a moment before the stop closes it."""
    with serving(tmp_path) as site, site.call() as caller, site.call() as other:
        caller.send(b"GET /hel")
        other.get("/hello")  # so the first is accepted
        begin_stop(site, PATIENCE_S)
        caller.send(b"lo HTTP/1.1\r\nHost: x\r\n\r\n")
        assert caller.answer()[2] == b"hello"


def test_a_second_stop_hurries(tmp_path: Path) -> None:
    """A stop that has been given long is cut short by another, and both are told when it is over."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        site.gate.await_entry()
        patient, hurried = begin_stop(site, 60.0), begin_stop(site, 0.02)
        assert patient.wait(PATIENCE_S)
        assert hurried.wait(PATIENCE_S)
        assert caller.rest() == b""


def test_starting_twice_is_refused(tmp_path: Path) -> None:
    """A server that runs cannot be started."""
    with serving(tmp_path) as site:
        with pytest.raises(RuntimeError, match="it runs already"):
            site.server.start()
        assert client.request(site.path, "GET", "/hello").body == b"hello"


def test_stopping_what_never_ran_is_done(tmp_path: Path) -> None:
    """A stop of a stopped server calls back at once."""
    with serving(tmp_path) as site:
        site.server.stop(PATIENCE_S)
        assert begin_stop(site, PATIENCE_S).is_set()
        assert site.server.stop(PATIENCE_S)
