"""Bodies that are still being written: produced on a thread, or pushed from anywhere."""

from __future__ import annotations

import collections
import contextlib
import threading
from typing import TYPE_CHECKING

import pytest

from supervisor.control import client
from supervisor.control.limits import Limits
from supervisor.control.stream import Stream, StreamClosedError
from tests.control.serving import PATIENCE_S, serving

if TYPE_CHECKING:
    from pathlib import Path


def test_a_line_is_seen_when_it_is_written(tmp_path: Path) -> None:
    """What is offered to a stream reaches its client while the stream goes on; its end ends the body properly."""
    with serving(tmp_path) as site, client.stream(site.path, "GET", "/pushed") as answer:
        chunks = iter(answer)
        assert next(chunks) == b"begin\n"
        stream = site.follower.streams[0]
        assert site.stats().streams == 1
        assert stream.offer(b"second\n")
        assert next(chunks) == b"second\n"
        stream.end()
        assert [] == list(chunks)


def test_a_whole_iterable_arrives(tmp_path: Path) -> None:
    """A stream of an iterable is sent to its last element, over TCP, and to HTTP/1.0 too."""
    expected = b"".join(b"line %d\n" % n for n in range(1000))
    with serving(tmp_path) as site, site.call() as caller, site.call() as old:
        assert caller.get("/lines")[2] == expected
        assert caller.get("/hello")[2] == b"hello"
        answer = old.send(b"GET /lines HTTP/1.0\r\n\r\n").rest()
        assert answer.partition(b"\r\n\r\n")[2] == expected


def test_the_producer_learns_that_its_client_has_gone(tmp_path: Path) -> None:
    """A producer that waits is woken by the hang-up, and one that writes is stopped by it."""
    with serving(tmp_path) as site:
        for path in ("/followed", "/flood"):
            with site.call() as caller:
                caller.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert site.follower.begun.acquire(timeout=PATIENCE_S)
            assert site.follower.ended.acquire(timeout=PATIENCE_S)


def test_a_pushed_stream_tells_who_feeds_it(tmp_path: Path) -> None:
    """The end of the client calls back, once, and later offers are refused."""
    with serving(tmp_path) as site:
        told = threading.Semaphore(0)
        with client.stream(site.path, "GET", "/pushed"):
            stream = site.follower.streams[0]
            stream.on_end(told.release)
        assert told.acquire(timeout=PATIENCE_S)
        assert stream.closed
        assert not stream.offer(b"late")
        assert not told.acquire(blocking=False)


def test_an_offer_without_room_is_refused_never_awaited(tmp_path: Path) -> None:
    """A feeder is not held up by a slow client: what does not fit is its loss, to be counted by the feeder."""
    stream = Stream(limit=10)
    assert stream.offer(b"x" * 8)
    assert not stream.offer(b"y" * 8)
    assert stream.take(100) == b"x" * 8
    assert stream.offer(b"larger than the limit, but alone")


def test_a_failed_producer_is_no_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A body whose producer raised is cut, so that nobody takes half for the whole."""
    with serving(tmp_path) as site:
        with (
            client.stream(site.path, "GET", "/cut") as answer,
            pytest.raises(client.BadAnswerError, match="bad answer"),
        ):
            list(answer)
        assert site.stats().dropped["cut"] == 1
    assert "Cannot go on with stream 1" in caplog.text


def test_streams_are_capped(tmp_path: Path) -> None:
    """One stream too many is 503; a place is free again once its client and its producer are gone."""
    with serving(tmp_path, Limits(streams=1)) as site:
        with client.stream(site.path, "GET", "/followed"):
            assert client.request(site.path, "GET", "/followed").status == 503
        assert site.follower.ended.acquire(timeout=PATIENCE_S)
        for thread in threading.enumerate():
            if "stream" in thread.name:
                thread.join(PATIENCE_S)
        assert site.stats().streams == 0
        with client.stream(site.path, "GET", "/pushed") as answer:
            assert answer.status == 200


def test_head_starts_no_producer(tmp_path: Path) -> None:
    """HEAD of a stream gives its headers, and nobody begins to write."""
    with serving(tmp_path) as site, site.call() as caller:
        assert caller.get("/followed", method="HEAD")[0] == 200
        assert caller.get("/hello")[2] == b"hello"
        assert not site.follower.begun.acquire(blocking=False)
        assert site.stats().streams == 0


def test_a_stuck_reader_holds_its_producer_and_nobody_else(tmp_path: Path) -> None:
    """The buffer of a stream is bounded: its producer waits, others are served, and the write deadline ends it."""
    with serving(tmp_path, Limits(write_s=0.1)) as site, site.call_unix() as stuck, site.call() as other:
        stuck.send(b"GET /flood HTTP/1.1\r\nHost: x\r\n\r\n")
        assert site.follower.begun.acquire(timeout=PATIENCE_S)
        assert other.get("/hello")[0] == 200
        assert site.follower.ended.acquire(timeout=PATIENCE_S)
        assert site.stats().dropped["write_deadline"] == 1


def test_a_stopping_server_ends_who_follows(tmp_path: Path) -> None:
    """At a stop a follower is asked to finish, and its client gets a proper end; so does a pushed stream."""
    with (
        serving(tmp_path) as site,
        client.stream(site.path, "GET", "/followed") as followed,
        client.stream(site.path, "GET", "/pushed") as pushed,
    ):
        assert site.server.stop(PATIENCE_S)
        assert b"hello\n" == b"".join(followed)
        assert b"begin\n" == b"".join(pushed)


def test_a_stopping_server_cuts_who_does_not_end(tmp_path: Path) -> None:
    """A producer that goes on is cut at the bound, and its client sees that it was."""
    with serving(tmp_path) as site, client.stream(site.path, "GET", "/flood") as flood:
        stopper = threading.Thread(target=site.server.stop, args=(0.05,))
        stopper.start()
        with pytest.raises(client.BadAnswerError):
            collections.deque(flood, maxlen=0)
        stopper.join(PATIENCE_S)
        assert site.server.stats().dropped["stop"] == 1


def test_writing_after_the_end_raises() -> None:
    """An ended or closed stream takes nothing more."""
    ended, closed = Stream(), Stream()
    ended.end()
    closed.close()
    for stream in (ended, closed):
        with pytest.raises(StreamClosedError):
            stream.write(b"late")
    assert closed.wait(0)


def test_a_listener_that_comes_late_is_told_at_once() -> None:
    """on_end of a stream that has ended calls back now."""
    stream, told = Stream(), []
    stream.close()
    stream.on_end(lambda: told.append("end"))
    assert ["end"] == told
    with contextlib.suppress(StreamClosedError):
        stream.close()
    assert ["end"] == told
