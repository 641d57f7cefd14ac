"""The daemon's own log in a faked syslog and a faked journal, there or away."""

from __future__ import annotations

import array
import json
import logging
import os
import re
import socket
from typing import TYPE_CHECKING

import pytest

from supervisor.host import diary_targets
from supervisor.host.diary import Diary
from supervisor.host.diary_lines import journal
from supervisor.host.diary_sockets import Datagrams, Journal
from supervisor.host.diary_targets import make_target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from supervisor.host.diary_target import Target

logger = logging.getLogger("respawnd.sockets")


@pytest.fixture
def path(tmp_path: Path) -> str:
    """Where a collector listens."""
    return f"{tmp_path}/socket"


@pytest.fixture
def put_back() -> Iterator[None]:
    """The logger as it was."""
    yield
    logger.handlers.clear()
    logger.propagate = True


def server(path: str, kind: int = socket.SOCK_DGRAM) -> socket.socket:
    """A collector that listens at path, and fails a test in which nothing comes."""
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(path)
    listener.settimeout(20)
    return listener


def record(message: str, **extra: object) -> logging.LogRecord:
    """A warning of Friday, 21 November 2025."""
    row = logging.LogRecord("respawnd.host", logging.WARNING, "", 0, message, (), None)
    row.created = 1763683200.5
    vars(row).update(extra)
    return row


def told(target: Target, row: logging.LogRecord) -> None:
    """Deliver, and close."""
    target.deliver(row)
    assert target.dropped == 0
    target.close()


def test_local_syslog_gets_what_the_c_library_sends(path: str) -> None:
    """Facility daemon, RFC 3164 time, name and pid, no host; one line."""
    with server(path) as listener:
        told(make_target(f"syslog:{path}", "auto"), record("Cannot signal web:\nno such process", life=3))
        got = listener.recv(9000).decode()
    pattern = rf"<28>Nov 2[01] \d\d:\d\d:\d\d respawnd\[{os.getpid()}\]: Cannot signal web:\\nno such process life=3"
    assert re.fullmatch(pattern, got)


def test_syslog_may_carry_json(path: str) -> None:
    """With log_format = json."""
    with server(path) as listener:
        told(make_target(f"syslog:{path}", "json"), record("Hello", life=3))
        row = json.loads(listener.recv(9000).partition(b": ")[2])
    assert ("Hello", 3, "2025-11-21T00:00:00.500Z") == (row["msg"], row["life"], row["ts"])


def test_local_syslog_may_be_a_stream(path: str) -> None:
    """Then messages end in NUL, as the C library has it."""
    with server(path, socket.SOCK_STREAM) as listener:
        listener.listen()
        target = make_target(f"syslog:{path}", "auto")
        target.deliver(record("one"))
        target.deliver(record("two"))
        connection, _ = listener.accept()
        target.close()
        with connection, connection.makefile("rb") as stream:
            messages = stream.read().split(b"\0")
    assert [b"one", b"two", b""] == [message.rpartition(b": ")[2] for message in messages]


def test_remote_syslog_gets_rfc_5424(path: str) -> None:
    """By UDP; one message a datagram, cut at 8 KiB."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(20)
        target = make_target(f"syslog:127.0.0.1:{listener.getsockname()[1]}", "auto")
        target.deliver(record("Hello"))
        target.deliver(record("x" * 10000))
        target.close()
        first, second = listener.recv(9000).decode(), listener.recv(9000)
    host = os.uname().nodename
    assert f"<28>1 2025-11-21T00:00:00.500Z {host} respawnd {os.getpid()} - - Hello" == first
    assert len(second) == 8192


@pytest.mark.parametrize(
    ("where", "want"),
    [
        ("loghost", ("loghost", 514)),
        ("10.0.0.1:1514", ("10.0.0.1", 1514)),
        ("[::1]:1514", ("::1", 1514)),
        ("[::1]", ("::1", 514)),
    ],
)
def test_addresses(where: str, want: tuple[str, int]) -> None:
    """Host, host and port, and both with an address of version 6."""
    assert want == diary_targets._address(f"syslog:{where}", where)


def test_the_journal_gets_fields(path: str) -> None:
    """Message, priority, identifier, and each extra as a field of ours; what holds a line end goes by its length."""
    with server(path) as listener:
        told(Journal("journal", path=path), record("one\ntwo", service="web", **{"exit-code": 3}))
        entry = listener.recv(1 << 16)
    assert entry.startswith(b"MESSAGE\n" + (7).to_bytes(8, "little") + b"one\ntwo\n")
    assert {
        b"PRIORITY=4",
        b"SYSLOG_IDENTIFIER=respawnd",
        b"SYSLOG_FACILITY=3",
        b"RESPAWND_LOGGER=respawnd.host",
        b"RESPAWND_THREAD=MainThread",
        b"RESPAWND_SERVICE=web",
        b"RESPAWND_EXIT_CODE=3",
    } == set(entry.split(b"\n")[3:-1])


def test_what_is_too_large_for_a_datagram_goes_by_a_sealed_memory_file(path: str) -> None:
    """As journald asks for it."""
    with server(path) as listener:
        row = record("x" * (1 << 20))
        told(Journal("journal", path=path), row)
        data, fds, _, _ = socket.recv_fds(listener, 10, 1)
    with open(fds[0], "rb") as memory:
        assert data == b""
        assert journal(row) == os.pread(memory.fileno(), 2 << 20, 0)
        with pytest.raises(PermissionError):
            os.pwrite(memory.fileno(), b"x", 0)


@pytest.mark.parametrize("spec", ["syslog", "journal"])
def test_a_collector_that_is_away_costs_counted_lines(path: str, put_back: None, spec: str) -> None:
    """Not there at first, then there, then restarted: each absence costs its records, and is told by the next."""
    target = Journal(spec, path=path) if spec == "journal" else make_target(f"syslog:{path}", "auto")
    target.name = spec
    target.retry = 0.0
    book = Diary([target])
    book.attach(logger)
    for absence in (1, 2):
        for _ in range(5):
            logger.warning("unseen")
        assert book.flush(20)
        assert book.dropped == {spec: 5 * absence}
        with server(path) as listener:
            logger.warning("seen")
            note, seen = listener.recv(9000), listener.recv(9000)
        os.unlink(path)
        assert f"Lost 5 log messages: {spec} did not take them".encode() in note
        assert b"seen" in seen
    assert book.close(20)


def test_a_collector_that_hangs_is_not_waited_for(path: str, put_back: None) -> None:
    """Its socket fills; what comes after that is counted; it is asked again a second later at the soonest."""
    with server(path) as listener:
        target = make_target(f"syslog:{path}", "auto")
        book = Diary([target])
        book.attach(logger)
        for _ in range(2000):
            logger.warning("x" * 1000)
        assert book.flush(20)
        lost = book.dropped[f"syslog:{path}"]
        assert 0 < lost < 2000
        assert isinstance(target, Datagrams)
        assert target._socket is None
        for _ in range(2000 - lost):
            listener.recv(9000)
        target._retry_at = 0.0
        logger.warning("seen")
        note = listener.recv(9000)
        assert book.close(20)
    assert f"Lost {lost} log messages".encode() in note


def test_a_name_that_nobody_knows_costs_lines(put_back: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's refusal is a loss like any other, and it is not asked for each record."""
    asked = array.array("i", [0])

    def refuse(*args: object, **more: object) -> None:
        asked[0] += 1
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    book = Diary([make_target("syslog:nowhere.invalid", "auto")])
    book.attach(logger)
    for _ in range(5):
        logger.warning("unseen")
    assert book.flush(20)
    assert book.dropped == {"syslog:nowhere.invalid": 5}
    assert asked[0] == 1
    assert book.close(20)
