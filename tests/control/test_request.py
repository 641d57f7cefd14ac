"""Targets, queries, headers and routes: decoded once, or refused."""

from __future__ import annotations

import json
import re
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.control.limits import Limits
from supervisor.control.request import Headers, TcpPeer, UnixPeer, parse_query, parse_target, percent_decoded
from supervisor.control.response import Response, http_date
from supervisor.control.router import Router


@pytest.mark.slow
@given(st.text())
def test_what_was_encoded_is_decoded(text: str) -> None:
    """Any text survives percent-encoding by the standard library and decoding by us."""
    assert text == percent_decoded(urllib.parse.quote(text, safe=""))


@pytest.mark.slow
@given(st.dictionaries(st.text(min_size=1), st.lists(st.text(), min_size=1), min_size=1))
def test_queries_are_read_as_the_library_reads_them(query: dict[str, list[str]]) -> None:
    """A query written by the standard library is read back, every value in order."""
    assert query == parse_query(urllib.parse.urlencode(query, doseq=True))


@given(st.text(alphabet=[chr(n) for n in range(0x21, 0x7F)], min_size=1))
def test_any_target_is_parsed_or_refused(raw: str) -> None:
    """No printable target does anything but parse, or raise ValueError."""
    try:
        target = parse_target(raw)
    except ValueError:
        return
    assert target.path.startswith("/")


@pytest.mark.parametrize("text", ["%", "%2", "%zz", "a%2", "%+1", "%ff", "%c3%28"])
def test_a_broken_escape_is_refused(text: str) -> None:
    """What no client should have sent is not guessed at."""
    with pytest.raises(ValueError):
        percent_decoded(text)


@pytest.mark.parametrize(
    ("raw", "segments"),
    [
        ("/", ("",)),
        ("/a/b", ("a", "b")),
        ("/a%2Fb", ("a/b",)),
        ("/a/#frag", ("a", "")),
        ("http://host:1/a?b", ("a",)),
        ("HTTPS://host", ("",)),
    ],
)
def test_targets_are_split_then_decoded(raw: str, segments: tuple[str, ...]) -> None:
    """An encoded slash stays inside its segment."""
    assert segments == parse_target(raw).segments


@pytest.mark.parametrize("raw", ["*", "a/b", "host:443", "ftp://host/"])
def test_other_targets_are_refused(raw: str) -> None:
    """What is no path is for proxies."""
    with pytest.raises(ValueError):
        parse_target(raw)


def test_headers_ignore_case_and_join() -> None:
    """A header is found by any spelling; repeated ones are one list."""
    headers = Headers([(b"Accept", b"a"), (b"ACCEPT", b"b"), (b"X", b"\xe9")])
    assert ("a, b", "é", None) == (headers["aCcEpT"], headers.get("x"), headers.get("y"))
    assert "ACCEPT" in headers
    assert ["accept", "x"] == list(headers)


def test_peers_are_told_in_words() -> None:
    """The audit trail reads who asked."""
    told = [str(UnixPeer(9, 33, 44)), str(TcpPeer("127.0.0.1", 80)), str(TcpPeer("::1", 80))]
    assert ["uid 33 pid 9", "127.0.0.1:80", "[::1]:80"] == told


def route(router: Router, method: str, path: str) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """Ask the table: pattern, parameters, allowed methods."""
    match = router.find(method, parse_target(path))
    return match.route.pattern if match.route else "", dict(match.params), match.allow


def test_routes() -> None:
    """Words before parameters, one non-empty segment each, HEAD as GET, and what a wrong method may do instead."""
    router = Router()
    for method, pattern in (("GET", "/s"), ("GET", "/s/{name}"), ("GET", "/s/all"), ("POST", "/s/{name}/stop")):
        router.add(method, pattern, lambda _: Response(200))
    assert ("/s", {}, ()) == route(router, "HEAD", "/s")
    assert ("/s/{name}", {"name": "web 1"}, ()) == route(router, "GET", "/s/web%201")
    assert ("/s/all", {}, ()) == route(router, "GET", "/s/all")
    assert ("/s/{name}/stop", {"name": "all"}, ()) == route(router, "POST", "/s/all/stop")
    assert ("", {}, ("POST",)) == route(router, "GET", "/s/all/stop")
    assert ("", {}, ("GET", "HEAD")) == route(router, "PUT", "/s")
    for unknown in ("/", "/s/", "/s/a/b/c", "/s//stop"):
        assert ("", {}, ()) == route(router, "GET", unknown)


def test_a_route_is_added_once() -> None:
    """A pattern that is taken, or no path, is a mistake of ours and raises."""
    router = Router()
    router.add("GET", "/a", lambda _: Response(200))
    with pytest.raises(ValueError, match="GET /a is taken"):
        router.add("GET", "/a", lambda _: Response(200))
    with pytest.raises(ValueError, match="does not begin with a slash"):
        router.add("GET", "a", lambda _: Response(200))


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_dates_are_imf_fixdates(now: int) -> None:
    """A date is what the standard library's parser reads back, and has the one form of RFC 9110."""
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - the oracle of this test alone

    text = http_date(now).decode()
    assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", text)
    assert now == parsedate_to_datetime(text).timestamp()


def test_what_is_not_utf8_is_still_json() -> None:
    """A lone surrogate, as paths and log lines have them, is escaped rather than failing the answer."""
    response = Response.json({"path": "/srv/\udcff é"})
    assert '{"path":"/srv/\\udcff é"}\n'.encode() == response.body
    assert {"path": "/srv/\udcff é"} == json.loads(response.body)


def test_impossible_values_cannot_be_built() -> None:
    """A limit of nothing, and a status that is no final one, are refused."""
    with pytest.raises(ValueError, match="head_s must be positive, not 0"):
        Limits(head_s=0)
    with pytest.raises(ValueError, match="status 101 is not final"):
        Response(101)
