"""Web pages: what a browser may ask of a loopback port, and whose writes are refused."""

from __future__ import annotations

from typing import Any

import pytest

from supervisor.control.origin import refusal
from supervisor.control.request import Headers, Kind, Request, TcpPeer, parse_target

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


def asked(
    method: str = "GET", path: str = "/api/v1/services", kind: Kind = "tcp", loopback: bool = True, **headers: str
) -> Request:
    """Build a request; underscores in header names are dashes."""
    pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request(method, parse_target(path), Headers(pairs), TcpPeer("127.0.0.1", 5), kind, loopback, 0.0)


@pytest.mark.parametrize(
    "host", ["localhost:9747", "LOCALHOST", "localhost.", "127.0.0.1:9747", "127.8.9.1", "[::1]:9747", "[::1]"]
)
def test_a_browser_on_this_host_is_welcome(host: str) -> None:
    """Names and addresses that can only mean this host are ours, with any port."""
    assert refusal(asked(host=host, user_agent=FIREFOX)) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:9747",
        "evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1x",
        "localhost.evil.example",
        "",
        "10.0.0.1",
        "[::1",
        "[::2]",
    ],
)
def test_a_rebound_name_is_refused(host: str) -> None:
    """A name that a stranger can point at 127.0.0.1 is refused to a browser, whatever it looks like."""
    assert refusal(asked(host=host, user_agent=FIREFOX)) is not None


@pytest.mark.parametrize(
    "mark",
    [
        {"user_agent": FIREFOX},
        {"origin": "http://evil.example"},
        {"referer": "http://evil.example/"},
        {"cookie": "a=b"},
        {"accept_language": ""},
        {"accept_encoding": "gzip, deflate"},
        {"sec_fetch_mode": "cors"},
        {"sec_ch_ua": '"Chromium"'},
    ],
)
def test_one_mark_makes_a_browser(mark: dict[str, Any]) -> None:
    """A page may disguise one header; any other that browsers send still gives it away."""
    assert refusal(asked(host="evil.example", **mark)) is not None


@pytest.mark.parametrize(
    "headers",
    [
        {"user_agent": "curl/8.5.0", "accept": "*/*"},
        {"user_agent": "Prometheus/2.42.0", "accept_encoding": "gzip"},
        {"user_agent": "Alertmanager/0.25.0"},
        {},
    ],
)
def test_a_tool_may_use_any_name(headers: dict[str, Any]) -> None:
    """Tools reach a loopback port through tunnels and proxies under names of their own."""
    assert refusal(asked(host="prod-7.example", **headers)) is None


def test_allowed_hosts_are_allowed() -> None:
    """The operator's own names are ours, in any case and with any port."""
    request = asked(host="Status.Example:443", user_agent=FIREFOX)
    assert refusal(request, ["status.example"]) is None
    assert refusal(request, ["other.example"]) is not None


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready"])
def test_metrics_and_health_are_exempt(path: str) -> None:
    """Prometheus and load balancers reach these under any name."""
    assert refusal(asked(path=path, host="evil.example", user_agent=FIREFOX)) is None


def test_host_is_checked_on_loopback_only() -> None:
    """The Unix socket is out of a browser's reach, and a public listener has names we cannot know."""
    assert refusal(asked(host="any.example", user_agent=FIREFOX, loopback=False)) is None
    assert refusal(asked(host="any.example", user_agent=FIREFOX, kind="unix", loopback=False)) is None


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://localhost:9747", "localhost:9747"),
        ("http://127.0.0.1:9747", "127.0.0.1:9747"),
        ("http://[::1]:9747", "[::1]:9747"),
        ("http://localhost", "localhost:80"),
        ("https://localhost", "localhost"),
    ],
)
def test_our_own_page_may_write(origin: str, host: str) -> None:
    """A write from our page names our origin; default ports need not be spelled out."""
    assert refusal(asked("POST", host=host, origin=origin)) is None


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://localhost:3000",
        "http://localhost",
        "file://",
        "http://evil.example, http://localhost:9747",
    ],
)
def test_another_page_may_not_write(origin: str) -> None:
    """A write that names another origin is refused, also one from another port, on every kind of listener."""
    assert refusal(asked("POST", host="localhost:9747", origin=origin)) is not None
    assert refusal(asked("POST", host="localhost:9747", origin=origin, kind="unix", loopback=False)) is not None


def test_a_write_from_another_site_is_refused_without_an_origin_too() -> None:
    """Sec-Fetch-Site tells where a request comes from when Origin does not."""
    assert refusal(asked("POST", host="localhost", sec_fetch_site="cross-site")) is not None
    assert refusal(asked("POST", host="localhost", sec_fetch_site="same-origin")) is None


def test_a_tool_may_write_without_an_origin() -> None:
    """curl names no origin; whether it may write is for the token to say."""
    assert refusal(asked("POST", host="localhost:9747", user_agent="curl/8.5.0")) is None
