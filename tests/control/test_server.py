"""The server over real sockets: what is answered, to whom, and on which thread."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from supervisor.control.engine import Engine
from supervisor.control.response import Response, problem
from tests.control.serving import detail, serving
from tests.control.serving import problem as parsed

if TYPE_CHECKING:
    from pathlib import Path

    from supervisor.control.request import Request


def json_of(answer: tuple[int, dict[str, str], bytes]) -> dict[str, object]:
    """Take the JSON out of an answer that must be 200."""
    assert answer[0] == 200
    return parsed(answer[2])


def test_quick_handlers_answer_on_the_io_thread_blocking_ones_on_a_worker(tmp_path: Path) -> None:
    """A quick handler runs on respawnd-http, a blocking one on respawnd-http-1, which was started with it."""
    with serving(tmp_path) as site, site.call() as caller:
        assert site.stats().workers == 1
        assert json_of(caller.get("/facts/x"))["thread"] == "respawnd-http"
        assert json_of(caller.get("/worker"))["thread"] == "respawnd-http-1"
        assert site.stats().workers == 1


def test_the_unix_socket_tells_who_asks(tmp_path: Path) -> None:
    """Over the Unix socket a request bears the uid and pid of its client; over TCP its address."""
    with serving(tmp_path) as site, site.call_unix() as near, site.call() as far:
        facts = json_of(near.get("/facts/x"))
        assert (f"uid {os.getuid()} pid {os.getpid()}", "unix", False) == (
            facts["peer"],
            facts["kind"],
            facts["loopback"],
        )
        facts = json_of(far.get("/facts/x"))
        host, port = far.sock.getsockname()
        assert (f"{host}:{port}", "tcp", True) == (facts["peer"], facts["kind"], facts["loopback"])


def test_parameters_and_query_arrive_decoded(tmp_path: Path) -> None:
    """A segment is decoded after the path was split; a query keeps every value in order."""
    with serving(tmp_path) as site, site.call() as caller:
        facts = json_of(caller.get("/facts/web%2F%C3%A9?n=1&n=2&f=a+b%26"))
        assert {"name": "web/é"} == facts["params"]
        assert {"n": ["1", "2"], "f": ["a b&"]} == facts["query"]


def test_an_absolute_target_is_understood(tmp_path: Path) -> None:
    """A target in absolute form, as proxies send it, is routed by its path (RFC 9112, 3.2.2)."""
    with serving(tmp_path) as site, site.call() as caller:
        assert caller.get("http://localhost/hello")[2] == b"hello"


def test_unknown_path_is_404_and_wrong_method_405(tmp_path: Path) -> None:
    """Errors are problem+json; a wrong method learns which are right; the connection lives on."""
    with serving(tmp_path) as site, site.call() as caller:
        status, headers, body = caller.get("/nowhere")
        assert (404, "application/problem+json") == (status, headers["content-type"])
        assert {"type", "title", "status", "detail"} == set(parsed(body))
        status, headers, body = caller.get("/hello", method="DELETE")
        assert (405, "GET, HEAD") == (status, headers["allow"])
        assert detail(body) == "cannot DELETE this path: it takes GET, HEAD"
        assert caller.get("/hello")[0] == 200


def test_a_refused_request_with_a_body_is_answered_and_closed(tmp_path: Path) -> None:
    """A body nobody wants is not waited for: the answer comes at once, and the client can still read it."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000)
        status, headers, _ = caller.answer()
        assert (404, "close") == (status, headers["connection"])
        assert caller.rest() == b""


def test_head_is_get_without_its_body(tmp_path: Path) -> None:
    """HEAD gives the headers of GET, the length included, and no body; the next request is understood."""
    with serving(tmp_path) as site, site.call() as caller:
        status, headers, body = caller.get("/hello", method="HEAD")
        assert (200, "5", b"") == (status, headers["content-length"], body)
        assert caller.get("/hello")[2] == b"hello"


def test_no_content_has_no_length(tmp_path: Path) -> None:
    """204 bears neither body nor Content-Length (RFC 9110, 8.6)."""
    with serving(tmp_path) as site, site.call() as caller:
        status, headers, _ = caller.get("/nothing", "Content-Length: 0", method="POST")
        assert (204, False) == (status, "content-length" in headers)


@pytest.mark.parametrize(
    "head", [b"GET /hello HTTP/1.0\r\n\r\n", b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"]
)
def test_a_client_that_wants_to_close_is_closed(tmp_path: Path, head: bytes) -> None:
    """HTTP/1.0, and Connection: close, end the connection after the answer."""
    with serving(tmp_path) as site, site.call() as caller:
        answer = caller.send(head).rest()
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert answer.endswith(b"\r\n\r\nhello")


@pytest.mark.slow
def test_a_thousand_requests_on_one_connection(tmp_path: Path) -> None:
    """Keep-alive serves request after request, and each is counted."""
    with serving(tmp_path) as site, site.call() as caller:
        assert {200} == {caller.get("/hello")[0] for _ in range(1000)}
        stats = site.stats()
        assert (1, 1000) == (stats.accepted, stats.requests["/hello", "GET", 200])


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    """Requests sent at once are answered one by one, in order, also when workers and bodies come between."""
    asked = []
    for n in range(100):
        body = b"%d" % n
        asked.append(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        asked.append(b"GET /worker HTTP/1.1\r\nHost: x\r\n\r\n")
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"".join(asked))
        got = [caller.answer()[2] for _ in asked]
        assert [b"%d" % n for n in range(100)] == got[::2]
        assert all(b"respawnd-http-" in body for body in got[1::2])


def test_a_body_is_announced_and_awaited(tmp_path: Path) -> None:
    """Expect: 100-continue gets its go-ahead before the body is sent, and the answer after it."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert caller.sock.recv(100).startswith(b"HTTP/1.1 100 ")
        assert caller.send(b"body").answer()[2] == b"body"


def test_a_refused_body_gets_no_go_ahead(tmp_path: Path) -> None:
    """What is too large is refused in place of 100 Continue, so it is never sent."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"POST /small HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n")
        status, _, body = caller.answer()
        assert (413, "cannot take a body beyond 10 bytes") == (status, detail(body))


def test_a_chunked_body_arrives_whole(tmp_path: Path) -> None:
    """A body without announced length is gathered from its chunks."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        )
        assert caller.answer()[2] == b"abcde"


@pytest.mark.parametrize("framing", [b"Content-Length: 2000000", b"Transfer-Encoding: chunked"])
def test_a_body_beyond_the_cap_is_413_however_it_is_framed(tmp_path: Path, framing: bytes) -> None:
    """The cap holds for a length and for chunks that add up; the client reads the refusal while it sends."""
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"POST /echo HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n" + chunk * 2)
        assert caller.answer()[0] == 413
        with site.call() as other:
            assert other.get("/hello")[0] == 200


def test_headers_beyond_the_cap_are_431(tmp_path: Path) -> None:
    """64 KiB of headers are refused, a little less is fine."""
    with serving(tmp_path) as site:
        with site.call() as caller:
            assert caller.get("/hello", "X: " + "a" * 65_000)[0] == 200
        with site.call() as caller:
            assert caller.get("/hello", "X: " + "a" * 65_536)[0] == 431


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 40,  # a TLS hello
        b"GET /hello\r\n\r\n",
        b"GET /hello HTTP/1.1\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET hello HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_400(tmp_path: Path, garbage: bytes) -> None:
    """A broken request gets a problem with status 400, and nobody else notices."""
    with serving(tmp_path) as site, site.call() as caller, site.call() as other:
        status, headers, body = caller.send(garbage).answer()
        assert (400, "application/problem+json") == (status, headers["content-type"])
        assert detail(body).startswith("cannot read the request: ")
        assert other.get("/hello")[0] == 200
        assert "malformed" in {route for route, _, _ in site.stats().requests}


@pytest.mark.parametrize("path", ["/fail", "/worker-fails", "/bad-header"])
def test_a_handler_that_fails_costs_its_own_request(
    tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception, or a header that would split the answer, is 500 and a line in the log; the connection goes on."""
    with serving(tmp_path) as site, site.call() as caller:
        status, headers, body = caller.get(path)
        assert (500, 500) == (status, parsed(body)["status"])
        assert "x-split" not in headers
        assert caller.get("/hello")[0] == 200
    assert any(path in record.getMessage() for record in caplog.records)


def test_admit_refuses_before_the_body_is_read(tmp_path: Path) -> None:
    """A check on headers alone answers although the body has not come."""

    def admit(request: Request) -> Response | None:
        return problem(401, "cannot do this without a token") if request.route == "/echo" else None

    with serving(tmp_path, admit=admit) as site, site.call() as caller:
        assert caller.get("/hello")[0] == 200
        caller.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        assert caller.answer()[0] == 401


def test_admit_that_fails_lets_nobody_in(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A check that raises is no leave: 500, and the log tells."""

    def admit(_request: Request) -> Response | None:
        raise LookupError("a fault on purpose")

    with serving(tmp_path, admit=admit) as site, site.call() as caller:
        assert caller.get("/hello")[0] == 500
    assert "Cannot admit GET /hello" in caplog.text


def test_a_large_answer_arrives_whole(tmp_path: Path) -> None:
    """Eight megabytes pass through a socket that takes them in pieces."""
    with serving(tmp_path) as site, site.call() as caller:
        assert len(caller.get("/big")[2]) == 8 << 20


def test_counters_have_closed_labels(tmp_path: Path) -> None:
    """Requests are counted by route, method and status; a strange method is "other", a strange path "unmatched"."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.get("/facts/a")
        caller.get("/facts/b")
        caller.get("/what/ever", method="FROB")
        assert {("/facts/{name}", "GET", 200): 2, ("unmatched", "other", 404): 1} == site.stats().requests


def test_an_idle_server_sleeps_for_ever(tmp_path: Path) -> None:
    """Without connections there is no timer; a keep-alive connection has one; when it is gone, there is none again."""
    with serving(tmp_path) as site:
        assert site.settle(Engine._timeout) is None
        with site.call() as caller:
            caller.get("/hello")
            assert 50.0 < (site.settle(Engine._timeout) or 0.0) <= 60.0
            caller.get("/hello", "Connection: close")
            assert caller.rest() == b""
        assert site.settle(Engine._timeout) is None


@pytest.mark.slow
def test_the_import_graph_stays_small() -> None:
    """Importing the server brings in none of the standard library's own HTTP, nor what hangs on it."""
    code = "import sys, supervisor.control.server, supervisor.control.client; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert set() == loaded & {"http", "http.client", "http.server", "email", "asyncio", "ssl", "urllib.request", "json"}


def test_a_client_that_half_closes_still_gets_its_answer(tmp_path: Path) -> None:
    """Shutting down the sending side after the request is a way to end, not a way to leave."""
    with serving(tmp_path) as site, site.call() as caller:
        caller.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
        caller.sock.shutdown(1)
        site.gate.await_entry()
        site.gate.opened.set()
        assert caller.answer()[2] == b"let go"


def test_a_client_that_leaves_while_a_worker_works_is_forgotten(tmp_path: Path) -> None:
    """The answer of a worker whose client has gone is dropped; the drop is counted."""
    with serving(tmp_path) as site:
        with site.call_unix() as caller:
            caller.send(b"GET /gate HTTP/1.1\r\nHost: x\r\n\r\n")
            site.gate.await_entry()
        with site.call() as other:
            other.get("/hello")  # the hang-up was there before this request, so it has been seen
        site.gate.opened.set()
        assert site.stats().dropped["reset"] == 1
