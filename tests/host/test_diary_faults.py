"""The daemon's own log when something of itself fails: a target, or the thread that writes it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.host.diary import Diary
from supervisor.host.pulse import Pulses
from tests.host.disk import mounted
from tests.host.test_diary import available, rows

Configure = Callable[..., Diary]
log = logging.getLogger("respawnd.test")


def test_a_full_disk_is_told_on_stderr_once(diary: Configure, tmp_path: Path) -> None:
    """Where a file is the only target, too: its end would otherwise be the only sign of it."""
    read, write = os.pipe()
    with mounted(tmp_path / "disk", "64k") as disk:
        (disk / "filler").write_bytes(bytes(64 << 10))
        book = diary("info", "json", [f"file:{disk}/log"], stderr=write)
        for number in range(50):
            log.info("record %d", number)
        assert book.flush(20)
        assert {f"file:{disk}/log": 50} == book.dropped
        assert book.close(20)
    row = json.loads(available(read))
    assert "error" == row["level"]
    expected = f"Cannot log to file:{disk}/log: No space left on device; what it does not take is lost, and counted"
    assert expected == row["msg"]
    for fd in (read, write):
        os.close(fd)


def test_a_fault_of_the_thread_costs_one_record(
    diary: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log goes on, tells what happened with its stack, and counts what was at hand."""
    pulses = Pulses()
    book = diary("info", "json", [f"file:{tmp_path}/log"], pulses=pulses)
    [target] = book._targets
    deliver, faults = target.deliver, iter([SystemExit("on purpose")])

    def once(record: logging.LogRecord) -> None:
        for fault in faults:
            raise fault
        deliver(record)

    monkeypatch.setattr(target, "deliver", once)
    log.info("lost")
    log.info("kept")
    assert book.flush(20)  # the failure's own record may come after this
    assert book.flush(20)
    said = rows(tmp_path / "log")
    assert {"Lost 1 log messages: file:" + f"{tmp_path}/log did not take them", "kept"} <= {row["msg"] for row in said}
    assert "on purpose" in next(row["exc"] for row in said if "respawnd-diary failed" in row["msg"])
    assert [("diary", True, 1)] == [(beat.name, beat.up, beat.restarts) for beat in pulses.beats()]
    assert {f"file:{tmp_path}/log": 1} == book.dropped
