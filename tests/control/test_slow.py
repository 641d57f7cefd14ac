"""Slow and hostile clients against the running server: none of them holds it, all of them are counted."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import resource
import select
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from supervisor.control.limits import Limits
from tests.control.serving import PATIENCE_S, Caller, detail, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def hung_up(caller: Caller) -> bool:
    """Wait until the server closes this connection; False if it never does."""
    poll = select.poll()
    poll.register(caller.sock, select.POLLRDHUP)
    return bool(poll.poll(PATIENCE_S * 1000))


def is_open(caller: Caller) -> bool:
    """Tell whether the server has not closed this connection yet."""
    poll = select.poll()
    poll.register(caller.sock, select.POLLRDHUP)
    return not poll.poll(0)


def test_slowloris_is_cut_off(tmp_path: Path) -> None:
    """A client that dribbles header after header is cut off at the deadline, not at its last byte."""
    with serving(tmp_path, Limits(head_s=0.05)) as site, site.call() as caller:
        begun = time.monotonic()
        caller.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n")
        caller.sock.settimeout(0.002)  # the pace of the dribble
        answer = b""
        while not answer:
            assert time.monotonic() < begun + PATIENCE_S
            with contextlib.suppress(TimeoutError):
                caller.send(b"a: b\r\n")
                answer = caller.sock.recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert hung_up(caller)
        assert site.stats().dropped["head_deadline"] == 1


def test_silence_is_cut_off(tmp_path: Path) -> None:
    """A connection that never says anything is closed at the same deadline; so is one that rests too long."""
    with serving(tmp_path, Limits(head_s=0.03, idle_s=0.03)) as site, site.call() as mute, site.call() as caller:
        assert caller.get("/hello")[0] == 200
        assert hung_up(mute)
        assert hung_up(caller)
        assert caller.rest() == b""


def test_a_slow_body_is_cut_off(tmp_path: Path) -> None:
    """A body that does not come is not waited for beyond its deadline."""
    with serving(tmp_path, Limits(body_s=0.05)) as site, site.call() as caller:
        caller.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert caller.answer()[0] == 408
        assert hung_up(caller)


def test_a_slow_reader_is_cut_off(tmp_path: Path) -> None:
    """A client that does not read its answer is dropped, and others are served meanwhile."""
    with serving(tmp_path, Limits(write_s=0.05)) as site, site.call_unix() as stuck, site.call() as other:
        stuck.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        assert other.get("/hello")[0] == 200
        assert hung_up(stuck)
        assert other.get("/hello")[0] == 200
        assert site.stats().dropped["write_deadline"] == 1


def test_the_oldest_incomplete_goes_first(tmp_path: Path) -> None:
    """In a full house a newcomer costs the oldest connection that has not told its request, and no other."""
    with serving(tmp_path, Limits(connections=3)) as site, site.call() as idle:
        idle.get("/hello")
        with site.call() as first, site.call() as second, site.call() as third:
            first.send(b"GET /he")
            assert hung_up(first)
            assert third.get("/hello")[0] == 200
            assert is_open(idle)
            assert is_open(second)
        assert site.stats().dropped["evicted"] == 1


def test_then_the_idle(tmp_path: Path) -> None:
    """When everybody has told its request, the one that rests longest goes."""
    with serving(tmp_path, Limits(connections=2)) as site, site.call() as first, site.call() as second:
        first.get("/hello")
        second.get("/hello")
        with site.call() as third:
            assert third.get("/hello")[0] == 200
            assert hung_up(first)
            assert is_open(second)


def test_who_is_served_is_never_dropped_for_a_newcomer(tmp_path: Path) -> None:
    """When all are being served the newcomer is turned away with 503; and TCP takes no room of the Unix socket."""
    with serving(tmp_path, Limits(connections=2)) as site, site.call() as first, site.call() as second:
        for caller in (first, second):
            caller.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
            site.gate.await_entry()
        with site.call() as third, site.call_unix() as near:
            status, _, body = third.answer()
            assert (503, "cannot take another connection") == (status, detail(body))
            assert near.get("/hello")[0] == 200
        site.gate.opened.set()
        assert [b"let go"] * 2 == [first.answer()[2], second.answer()[2]]
        assert site.stats().dropped["full"] == 1


def test_a_full_pool_refuses_at_once(tmp_path: Path) -> None:
    """With all workers busy and the queue full a request is 503 now, rather than served some day."""
    ask = b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n"
    with serving(tmp_path, Limits(workers=1, queue=1)) as site, site.call() as a, site.call() as b, site.call() as c:
        a.send(ask)
        site.gate.await_entry()
        b.send(ask)
        with site.call() as probe:
            probe.get("/hello")  # b's request was there before, so it is in the queue
        assert site.stats().queue_depth == 1
        status, headers, _ = c.send(ask).answer()
        assert (503, "1") == (status, headers["retry-after"])
        assert c.get("/hello")[0] == 200
        site.gate.opened.set()
        assert [b"let go"] * 2 == [a.answer()[2], b.answer()[2]]


@contextlib.contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Leave this process so many descriptors; none that is let go meanwhile comes on top of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as held:
        lowest = held.enter_context(open(os.devnull)).fileno()
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1 + count, hard))
        held.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        spare = []
        with contextlib.suppress(OSError):
            while True:
                spare.append(held.enter_context(open(os.devnull)))
        for one in spare[-count:] if count else ():
            one.close()
        yield


def test_running_out_of_descriptors_is_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Without a descriptor for it a knock waits in the backlog, and is answered when there is one again."""
    warned = threading.Event()
    watcher = Watcher(warned)
    with serving(tmp_path, Limits(accept_pause_s=0.03)) as site, Caller(socket.socket()) as caller:
        site.stats()  # its thread has begun, and opens nothing more
        logging.getLogger("respawnd.http").addHandler(watcher)
        try:
            with descriptors_left(0):
                caller.sock.connect(site.address)
                assert warned.wait(PATIENCE_S)
        finally:
            logging.getLogger("respawnd.http").removeHandler(watcher)
        assert caller.get("/hello")[0] == 200
    assert "Cannot accept a connection: Too many open files" in caplog.text


def test_the_last_descriptor_serves(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Who gets the last one is not thrown out for it: nobody else knocks."""
    with serving(tmp_path, Limits(accept_pause_s=0.03)) as site, Caller(socket.socket()) as caller:
        site.stats()
        with descriptors_left(1):
            caller.sock.connect(site.address)
            assert caller.get("/hello")[0] == 200
    assert "" == caplog.text


class Watcher(logging.Handler):
    """Sets an event at the first message."""

    def __init__(self, told: threading.Event) -> None:
        super().__init__()
        self._told = told

    def emit(self, record: logging.LogRecord) -> None:
        """Tell."""
        self._told.set()


def mutated(rng: random.Random) -> bytes:
    """Make nonsense: pure noise, or a good request with a few bytes turned, cut or doubled."""
    if rng.random() < 0.3:
        return rng.randbytes(rng.randrange(1, 400))
    data = bytearray(
        b"POST /echo?a=%41 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
    )
    for _ in range(rng.randrange(1, 8)):
        at = rng.randrange(len(data))
        data[at : at + rng.choice((0, 1, 1, 5))] = rng.randbytes(rng.choice((0, 1, 1, 3)))
    return bytes(data)


@pytest.mark.slow
def test_nonsense_breaks_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Six hundred broken requests are answered or closed, without one fault of ours, and the server serves on."""
    rng = random.Random(9747)
    with serving(tmp_path) as site:
        for _ in range(600):
            with site.call_unix() as caller, contextlib.suppress(BrokenPipeError):
                caller.send(mutated(rng))
                caller.sock.shutdown(socket.SHUT_WR)
                assert caller.rest()[:9] in {b"", b"HTTP/1.1 "}
        with site.call() as caller:
            assert caller.get("/hello")[0] == 200
        assert site.stats().dropped["error"] == 0
    assert caplog.records == []
