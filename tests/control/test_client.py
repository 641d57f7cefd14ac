"""The client of the command line: each way to fail has a name, and nothing is waited for without a bound."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from supervisor.control import client
from tests.control.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def saying(path: Path, answer: bytes, hold: bool = False) -> Iterator[str]:
    """Listen on `path` and say `answer` to one caller, whatever it asks; `hold` keeps the connection open."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        done = threading.Event()

        def serve() -> None:
            with listener.accept()[0] as sock:
                sock.recv(1 << 16)
                sock.sendall(answer)
                if hold:
                    done.wait(10.0)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield str(path)
        finally:
            done.set()
            thread.join()


def test_ask_and_answer(tmp_path: Path) -> None:
    """Over both kinds of target: status, headers, body, JSON; a body is sent, an error status is an answer."""
    with serving(tmp_path) as site:
        for target in (site.path, site.address):
            facts = client.request(target, "GET", "/facts/web?n=1").json()
            assert ({"name": "web"}, {"n": ["1"]}) == (facts["params"], facts["query"])
            assert client.request(target, "POST", "/echo", body=b"x" * 100_000).body == b"x" * 100_000
            missing = client.request(target, "GET", "/nowhere", headers={"accept": "*/*"})
            assert (404, "application/problem+json") == (missing.status, missing.headers["Content-Type"])


def test_a_refusal_before_the_body_is_read_is_heard(tmp_path: Path) -> None:
    """A server that answers 413 while the body is still being sent is understood, not called broken."""
    with serving(tmp_path) as site:
        for target in (site.path, site.address):
            assert client.request(target, "POST", "/echo", body=b"x" * 5_000_000).status == 413


def test_no_socket(tmp_path: Path) -> None:
    """A path that is not there is told apart."""
    path = str(tmp_path / "none")
    with pytest.raises(client.SocketMissingError) as failed:
        client.request(path, "GET", "/")
    assert (f"cannot reach {path}: no such socket", path) == (str(failed.value), failed.value.target)
    assert client.owner_of(path) is None


def test_a_stale_socket(tmp_path: Path) -> None:
    """A socket that a dead daemon left is told apart, and its owner can be named."""
    path = str(tmp_path / "stale")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with pytest.raises(client.NobodyListensError, match="nobody listens there"):
        client.request(path, "GET", "/")
    assert os.getuid() == client.owner_of(path)


def test_a_closed_port() -> None:
    """A port on which nothing listens is told apart."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(client.NobodyListensError, match=r"cannot reach 127\.0\.0\.1:\d+: nobody listens there"):
            client.request(taken.getsockname(), "GET", "/")


@pytest.mark.needs("root")
def test_a_socket_of_another(tmp_path: Path) -> None:
    """A user who may not open the socket is told so."""
    with serving(tmp_path) as site:
        for directory in (tmp_path, *tmp_path.parents[:2]):
            os.chmod(directory, 0o755)
        os.seteuid(65534)
        try:
            with pytest.raises(client.AccessDeniedError, match="permission denied"):
                client.request(site.path, "GET", "/hello")
        finally:
            os.seteuid(0)


def test_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    """One bound covers the whole answer, however it dribbles."""
    with (
        saying(tmp_path / "s", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal", hold=True) as path,
        pytest.raises(client.AnswerTimeoutError, match="no answer in time"),
    ):
        client.request(path, "GET", "/", timeout=0.03)


def test_a_stream_may_be_bounded_by_its_silence(tmp_path: Path) -> None:
    """What has come is handed out; a silence longer than `idle` ends the wait."""
    with (
        saying(tmp_path / "s", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", hold=True) as path,
        client.stream(path, "GET", "/", idle=0.03) as answer,
    ):
        chunks = iter(answer)
        assert (200, b"abc") == (answer.status, next(chunks))
        with pytest.raises(client.AnswerTimeoutError):
            next(chunks)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhal",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_a_broken_answer(tmp_path: Path, answer: bytes) -> None:
    """Nothing, nonsense and half an answer are errors, never a short body."""
    with saying(tmp_path / "s", answer) as path, pytest.raises(client.BadAnswerError):
        client.request(path, "GET", "/")


def test_an_early_hint_is_passed_over(tmp_path: Path) -> None:
    """A 1xx before the answer is not the answer."""
    with saying(tmp_path / "s", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n") as path:
        assert client.request(path, "GET", "/").status == 204


def test_a_path_that_cannot_be_asked_for_is_the_callers_mistake(tmp_path: Path) -> None:
    """What HTTP cannot carry raises ValueError, and leaves nothing open."""
    with serving(tmp_path) as site, pytest.raises(ValueError, match="cannot ask for"):
        client.request(site.path, "GET", "/two words")
