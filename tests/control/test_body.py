"""What requests ask for: taken as meant, or refused in words."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

from supervisor.control import body
from supervisor.control.body import RefusedError
from supervisor.control.request import Headers, Request, TcpPeer, parse_target


def request(content: bytes = b"", query: str = "") -> Request:
    """A request with a body and a query."""
    peer, target = TcpPeer("127.0.0.1", 5), parse_target(f"/x?{query}")
    return Request("POST", target, Headers([]), peer, "tcp", loopback=True, received_at=0.0, body=content)


def refusal(error: pytest.ExceptionInfo[RefusedError]) -> tuple[int, str]:
    """The status and the text of a refusal, which its answer has too."""
    said = json.loads(error.value.response.body)  # type: ignore[arg-type]  # a problem is no stream
    assert said["detail"] == str(error.value)
    return error.value.response.status, said["detail"]


def test_a_body_is_an_object_of_known_keys() -> None:
    """No body is an empty one."""
    known = {"wait": bool, "timeout": float}
    assert {} == body.fields(request(), known)
    assert {"wait": False, "timeout": 3} == body.fields(request(b'{"wait": false, "timeout": 3}'), known)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "cannot read the body as JSON: "),
        (b"[" * 100_000, "cannot read the body as JSON: "),
        (b"\xff", "cannot read the body as JSON: "),
        (b"[]", "cannot use the body: it must be a JSON object"),
        (b'{"wiat": false}', 'cannot use the body: no key "wiat" (did you mean wait?)'),
        (b'{"wait": 1}', "cannot use the body: wait must be true or false"),
        (b'{"timeout": "1"}', "cannot use the body: timeout must be a number"),
        (b'{"timeout": true}', "cannot use the body: timeout must be a number"),
    ],
)
def test_a_body_that_makes_no_sense(content: bytes, said: str) -> None:
    """400, and why; the nearest key where one was misspelt."""
    with pytest.raises(RefusedError) as error:
        body.fields(request(content), {"wait": bool, "timeout": float})
    code, text = refusal(error)
    assert (400, said) == (code, text[: len(said)])


def test_patience() -> None:
    """A number of seconds from nothing to an hour; a minute if nobody says."""
    assert (60.0, 0.0, 3600.0) == (body.patience({}), body.patience({"timeout": 0}), body.patience({"timeout": 3600}))
    for wrong in (-1, 3601, float("inf"), float("nan")):
        with pytest.raises(RefusedError) as error:
            body.patience({"timeout": wrong})
        assert (400, f"cannot wait {wrong:g} s: timeout is a number from 0 to 3600") == refusal(error)


def test_numbers_flags_and_words_of_a_query() -> None:
    """Each has its default and its refusal."""
    asked = request(query="lines=7&follow=1&stream=stderr")
    assert 7 == body.whole(asked, "lines", 100)
    assert 100 == body.whole(request(), "lines", 100)
    assert body.flag(asked, "follow")
    assert not body.flag(request(), "follow")
    assert "stderr" == body.one_of(asked, "stream", ("both", "stderr"))
    assert "both" == body.one_of(request(), "stream", ("both", "stderr"))


@pytest.mark.parametrize("query", ["lines=", "lines=-1", "lines=1.5", "lines=%C2%B2", "lines=12345678"])
def test_no_whole_number(query: str) -> None:
    """Also not a digit of another script, or more than a line count can be."""
    with pytest.raises(RefusedError, match="a whole number is needed"):
        body.whole(request(query=query), "lines", 100)


def test_no_flag_and_no_word() -> None:
    """What is neither is refused."""
    with pytest.raises(RefusedError, match="cannot use follow=yes: 1 or 0 is needed"):
        body.flag(request(query="follow=yes"), "follow")
    with pytest.raises(RefusedError, match="cannot use stream=x: it is one of both, stderr"):
        body.one_of(request(query="stream=x"), "stream", ("both", "stderr"))


@pytest.mark.parametrize(
    ("value", "number"),
    [("HUP", 1), ("SIGHUP", 1), ("hup", 1), ("1", 1), (1, 1), ("sigusr1", signal.SIGUSR1), ("RTMIN+3", 37), (64, 64)],
)
def test_a_signal(value: Any, number: int) -> None:
    """By name or by number."""
    assert number == body.signal_number(value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("HPU", 'cannot send it: signal must be a signal such as TERM, SIGHUP or 10, not "HPU" (did you mean HUP?)'),
        ("SIG_IGN", "cannot send it: signal must be "),
        (0, "cannot send it: signal must be "),
        ("65", "cannot send it: signal must be "),
        (True, "cannot send it: the body must have a signal"),
        (None, "cannot send it: the body must have a signal"),
    ],
)
def test_no_signal(value: Any, said: str) -> None:
    """Refused with the nearest name."""
    with pytest.raises(RefusedError) as error:
        body.signal_number(value)
    assert (400, said) == (refusal(error)[0], str(error.value)[: len(said)])
