"""The daemon's own log: never in the way, honest about what it lost."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import termios
import threading
from typing import TYPE_CHECKING, Any

import pytest

from supervisor.core.model import LogPolicy
from supervisor.host import diary_lines, diary_streams
from supervisor.host.diary import Diary, configure
from supervisor.host.diary_target import Target
from tests.host.disk import mounted

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Configure = Callable[..., Diary]

log = logging.getLogger("respawnd.test")


def rows(path: Path) -> list[dict[str, Any]]:
    """The lines of a JSON log."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def available(fd: int) -> bytes:
    """What can be read without waiting."""
    os.set_blocking(fd, False)
    parts = []
    try:
        while part := os.read(fd, 1 << 16):
            parts.append(part)
    except BlockingIOError:
        pass
    return b"".join(parts)


class Stuck(Target):
    """A target that hangs until it is released."""

    def __init__(self) -> None:
        super().__init__("stuck", diary_lines.text)
        self.reached, self.release = threading.Event(), threading.Event()
        self.taken: list[bytes] = []

    def send(self, data: bytes) -> None:
        """Say that it is reached, and hang."""
        self.reached.set()
        assert self.release.wait(20)
        self.taken.append(data)

    def close(self) -> None:
        """Nothing is open."""


def test_a_record_is_a_line_of_json(diary: Configure, tmp_path: Path) -> None:
    """With time, level, logger, thread, message and what came in extra, which cannot take the place of those."""
    book = diary("debug", "auto", [f"file:{tmp_path}/log"])
    log.info("Started %s: pid %d", "web", 123, extra={"service": "web", "pid": 123, "level": "mine"})
    assert book.flush(20)
    [row] = rows(tmp_path / "log")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row.pop("ts"))
    assert row == {
        "level": "info",
        "logger": "respawnd.test",
        "thread": "MainThread",
        "msg": "Started web: pid 123",
        "service": "web",
        "pid": 123,
    }


def test_a_terminal_gets_text(diary: Configure) -> None:
    """Local time, level, message, and the extras that it does not tell; nothing that steers the terminal."""
    ours, theirs = pty.openpty()
    book = diary(stderr=theirs)
    log.warning("Cannot signal web: \x1b[31mno\nsuch process", extra={"service": "web", "life": 7, "part": "proc"})
    assert book.flush(20)
    line = available(ours).decode()
    when, said = line[:24], line[24:]
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ", when)
    assert said == "WARNING Cannot signal web: \\x1b[31mno\\nsuch process life=7 part=proc\r\n"
    os.close(ours)
    os.close(theirs)


def test_no_terminal_gets_json_unless_text_is_asked_for(diary: Configure) -> None:
    """auto, and the two words that overrule it."""
    first = {}
    for form in ("auto", "json", "text"):
        read, write = os.pipe()
        book = diary("info", form, stderr=write)
        log.info("hello")
        assert book.flush(20)
        first[form] = available(read)[:1]
        os.close(read)
        os.close(write)
    assert {"auto": b"{", "json": b"{"} == {form: byte for form, byte in first.items() if form != "text"}
    assert first["text"].isdigit()


def test_what_is_logged_with_an_exception_tells_it(diary: Configure, tmp_path: Path) -> None:
    """JSON has it under exc; text on indented lines."""
    text, row = tmp_path / "text", tmp_path / "json"
    for form, path in (("text", text), ("json", row)):
        book = diary("info", form, [f"file:{path}"])
        try:
            divmod(1, 0)
        except ZeroDivisionError:
            log.exception("Cannot decide for web")
        assert book.flush(20)
    assert rows(row)[0]["exc"].splitlines()[-1].startswith("ZeroDivisionError: integer division")
    assert text.read_text().splitlines()[-1].startswith("    ZeroDivisionError: integer division")


def test_no_record_breaks_the_diary(diary: Configure, tmp_path: Path) -> None:
    """A wrong format string, odd extras, broken characters: told as well as may be; one that cannot be is counted."""

    class Bad:
        def __str__(self) -> str:
            raise ZeroDivisionError

    book = diary("info", "json", [f"file:{tmp_path}/log"])
    log.info("pid %d", "none")
    log.info("odd", extra={"path": tmp_path, "name_": b"\xff".decode(errors="surrogateescape")})
    log.info("bad", extra={"bad": Bad()})
    log.info("good")
    assert book.flush(20)
    first, second, note, last = rows(tmp_path / "log")
    assert first["msg"].startswith("pid %d (with ('none',): ")
    assert (str(tmp_path), "\udcff") == (second["path"], second["name_"])
    assert note["msg"] == f"Lost 1 log messages: file:{tmp_path}/log did not take them"
    assert last["msg"] == "good"
    assert book.dropped == {f"file:{tmp_path}/log": 1}


def test_levels(diary: Configure, tmp_path: Path) -> None:
    """Below the level nothing is made; it can be changed; records are counted by level."""
    book = diary("warning", "json", [f"file:{tmp_path}/log"])
    log.info("not this")
    log.error("this")
    book.set_level("debug")
    log.debug("this too")
    assert book.flush(20)
    assert [row["msg"] for row in rows(tmp_path / "log")] == ["this", "this too"]
    assert book.messages == {"debug": 1, "info": 0, "warning": 0, "error": 1, "critical": 0}


@pytest.mark.parametrize(
    ("level", "form", "target", "message"),
    [
        ("loud", "auto", "stderr", "cannot log at level 'loud': not one of debug, info, warning, error"),
        ("info", "xml", "stderr", "cannot log as 'xml': not one of auto, text, json"),
        *(
            (
                "info",
                "auto",
                target,
                f"cannot log to {target!r}: not stderr, file:PATH, syslog, syslog:ADDRESS or journal",
            )
            for target in ("", "file:", "stdout", "stderr:x", "journal:x")
        ),
        *(
            ("info", "auto", target, f"cannot log to {target!r}: the address is HOST, HOST:PORT or a path")
            for target in ("syslog:host:port", "syslog::514", "syslog:host:0", "syslog:[::1]x")
        ),
    ],
)
def test_what_cannot_be_is_refused(level: str, form: str, target: str, message: str) -> None:
    """By name, and before a thread is started."""
    with pytest.raises(ValueError) as raised:
        configure(level, form, [target])
    assert message == str(raised.value)


def test_a_full_disk_costs_counted_lines(diary: Configure, tmp_path: Path) -> None:
    """Only whole lines are in the file; once there is room, the next record brings word of what was lost."""
    with mounted(tmp_path / "disk", "64k") as disk:
        (disk / "filler").write_bytes(bytes(60 << 10))
        book = diary("info", "json", [f"file:{disk}/log"])
        for number in range(300):
            log.info("record %d", number)
        assert book.flush(20)
        kept = len(rows(disk / "log"))
        assert 0 < kept < 300
        assert 300 - kept == book.dropped[f"file:{disk}/log"]
        (disk / "filler").unlink()
        [target] = book._targets
        target._retry_at = 0.0
        log.info("back")
        assert book.flush(20)
        lost, back = [row["msg"] for row in rows(disk / "log")][kept:]
        assert f"Lost {300 - kept} log messages: file:{disk}/log did not take them" == lost
        assert back == "back"
        assert book.close(20)


def test_the_file_is_rotated(diary: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By size, keeping five, each line whole."""
    monkeypatch.setattr(diary_streams, "_POLICY", LogPolicy(max_size=1000, keep=5, compress=False))
    book = diary("info", "json", [f"file:{tmp_path}/log"])
    for number in range(100):
        log.info("record %d", number)
    assert book.flush(20)
    assert ["log", *(f"log.{number}" for number in range(1, 6))] == sorted(path.name for path in tmp_path.iterdir())
    newest_first = [rows(tmp_path / name)[-1]["msg"] for name in ("log", "log.1")]
    assert newest_first[0] == "record 99"
    assert all(rows(path) for path in tmp_path.iterdir())


def test_a_directory_that_comes_later(diary: Configure, tmp_path: Path) -> None:
    """The directory of the file is made; what stands in its way costs lines."""
    (tmp_path / "logs").write_bytes(b"")
    book = diary("info", "json", [f"file:{tmp_path}/logs/respawnd.log"])
    log.info("lost")
    assert book.flush(20)
    (tmp_path / "logs").unlink()
    book._targets[0]._retry_at = 0.0
    log.info("found")
    assert book.flush(20)
    assert rows(tmp_path / "logs/respawnd.log")[-1]["msg"] == "found"


def test_a_closed_stderr_costs_lines_only(diary: Configure, tmp_path: Path) -> None:
    """No descriptor at all, or a pipe without a reader: another target has every record, and one that says so."""
    read, write = os.pipe()
    os.close(read)
    for fd in (write, 1000):
        book = diary("info", "json", ["stderr", f"file:{tmp_path}/{fd}"], stderr=fd)
        for _ in range(3):
            log.info("hello")
        assert book.flush(20)
        assert book.dropped == {"stderr": 3, f"file:{tmp_path}/{fd}": 0}
        said = [row["msg"] for row in rows(tmp_path / str(fd))]
        assert ["hello"] * 3 == [said[0], *said[2:]]
        assert said[1].startswith("Cannot log to stderr: B")
    os.close(write)


def test_a_stderr_that_is_closed_later_is_not_taken_for_another_file(diary: Configure, tmp_path: Path) -> None:
    """Its number may be a database's by then; the stream itself is still ours."""
    read, write = os.pipe()
    book = diary("info", "json", stderr=write)
    with open(tmp_path / "database", "wb") as database:
        os.dup2(database.fileno(), write)
        log.info("hello")
        assert book.flush(20)
    assert (tmp_path / "database").read_bytes() == b""
    assert json.loads(available(read))["msg"] == "hello"
    os.close(read)
    os.close(write)


@pytest.mark.slow
def test_a_pipe_that_nobody_reads_holds_nothing_up(diary: Configure, tmp_path: Path) -> None:
    """stderr takes what the pipe holds; the rest is counted; a reader that comes back finds whole lines and a note."""
    read, write = os.pipe()
    book = diary("info", "json", ["stderr", f"file:{tmp_path}/log"], stderr=write)
    for number in range(3000):
        log.info("record %d %s", number, "x" * 100)
    assert book.flush(20)
    assert len(rows(tmp_path / "log")) == 3000
    lost = book.dropped["stderr"]
    assert 2000 < lost < 3000
    kept = available(read)
    log.info("back")
    assert book.flush(20)
    after = available(read).split(b"\n")
    assert 3000 - lost == kept.count(b"\n")
    # The line that was cut off in the middle is ended, so that the next one is whole.
    assert [f"Lost {lost} log messages: stderr did not take them", "back"] == [
        json.loads(line)["msg"] for line in after if line.startswith(b"{")
    ]
    os.close(read)
    os.close(write)


@pytest.mark.slow
def test_a_stopped_terminal_holds_nothing_up(diary: Configure) -> None:
    """Ctrl-S: lines are lost, and told after Ctrl-Q."""
    ours, theirs = pty.openpty()
    book = diary(stderr=theirs)
    termios.tcflow(theirs, termios.TCOOFF)
    for _ in range(50):
        log.info("unseen")
    assert book.flush(20)
    assert book.dropped == {"stderr": 50}
    termios.tcflow(theirs, termios.TCOON)
    log.info("seen")
    assert book.flush(20)
    said = available(ours).decode().splitlines()
    assert ["Lost 50 log messages: stderr did not take them", "seen"] == [line[32:].strip() for line in said]
    os.close(ours)
    os.close(theirs)


def test_a_caller_never_waits_for_a_target_that_hangs(diary: Configure) -> None:
    """The queue fills, records are refused and counted, and once the target is back it hears of that without asking."""
    stuck = Stuck()
    book = Diary([stuck], capacity=10)
    logger = logging.getLogger("respawnd.stuck")
    book.attach(logger)
    logger.warning("first")
    assert stuck.reached.wait(20)
    for _ in range(100):
        logger.warning("more")
    assert book.dropped == {"stuck": 90}
    assert not book.flush(0.01)
    assert not book.close(0.01)
    logger.warning("too late")
    stuck.release.set()
    book._thread.join(20)
    assert not book._thread.is_alive()
    # Ten were queued when it was closed, with no time left to write them.
    assert book.dropped == {"stuck": 101}
    assert b"Lost 101 log messages: stuck did not take them" in stuck.taken[-1]
    logger.handlers.clear()
    logger.propagate = True


def test_refused_records_are_told_when_the_queue_is_empty() -> None:
    """There may be no next record for long."""
    stuck = Stuck()
    book = Diary([stuck], capacity=2)
    logger = logging.getLogger("respawnd.stuck")
    book.attach(logger)
    logger.warning("first")
    assert stuck.reached.wait(20)
    for _ in range(5):
        logger.warning("more")
    stuck.release.set()
    assert book.flush(20)
    assert sum(b"Lost 3 log messages" in line for line in stuck.taken) == 1
    assert book.close(20)
    logger.handlers.clear()
    logger.propagate = True


def test_closing_writes_what_is_queued(diary: Configure, tmp_path: Path) -> None:
    """All of it, in order."""
    book = diary("info", "json", [f"file:{tmp_path}/log"])
    for number in range(500):
        log.info("%d", number)
    assert book.close(20)
    assert [str(number) for number in range(500)] == [row["msg"] for row in rows(tmp_path / "log")]


def test_arguments_are_taken_as_they_are_now(diary: Configure, tmp_path: Path) -> None:
    """What changes after the call does not change the record."""
    book = diary("info", "json", [f"file:{tmp_path}/log"])
    names = ["web"]
    log.info("names %s", names)
    names.append("db")
    assert book.flush(20)
    assert rows(tmp_path / "log")[0]["msg"] == "names ['web']"
