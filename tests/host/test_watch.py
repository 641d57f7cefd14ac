"""The watch over the loop: a stall is told once, with every thread's stack, and nothing else is taken for one."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.host import diary_lines, watch
from supervisor.host.diary import configure
from supervisor.host.watch import Watch, stacks

PATIENCE = 10.0
LONGEST = 5.0


@pytest.fixture
def one() -> Watch:
    """A watch that begins at 100."""
    return Watch(100.0, LONGEST)


@pytest.fixture
def stuck() -> Iterator[threading.Thread]:
    """A thread named as the loop's that hangs in `hang`."""
    inside, go = threading.Event(), threading.Event()

    def hang() -> None:
        inside.set()
        go.wait(PATIENCE)

    thread = threading.Thread(target=hang, name="respawnd-loop")
    thread.start()
    assert inside.wait(PATIENCE)
    yield thread
    go.set()
    thread.join(PATIENCE)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The first words of what was logged, stacks left out."""
    return [record.getMessage() for record in caplog.records if not record.getMessage().startswith("Stack of")]


def look_until(one: Watch, begin: float, end: float) -> None:
    """Look every five seconds."""
    now = begin
    while now <= end:
        one.look(now)
        now += 5.0


def test_a_loop_that_turns_as_promised_is_left_alone(one: Watch, caplog: pytest.LogCaptureFixture) -> None:
    """Idle or busy: a turn at least every five seconds is all that is asked."""
    for now in range(100, 200, 5):
        one.turned(float(now))
        one.look(now + 4.9)
    assert [] == caplog.records


def test_late_by_five_seconds_is_no_stall_yet(one: Watch, caplog: pytest.LogCaptureFixture) -> None:
    """It promised a turn by 105; at 110 it is five seconds late, and only past that it is told."""
    look_until(one, 105.0, 110.0)
    assert [] == caplog.records
    one.look(110.5)
    assert 1 == len([text for text in told(caplog) if text.startswith("The loop has not turned for 10.5 s")])


def test_a_stall_is_told_once_and_its_end_with_its_length(one: Watch, caplog: pytest.LogCaptureFixture) -> None:
    """However long it lasts; the next one is told again."""
    look_until(one, 105.0, 160.0)
    one.turned(162.5)
    one.turned(163.0)
    look_until(one, 165.0, 190.0)
    first, back, second = told(caplog)
    assert first.startswith("The loop has not turned for 15.0 s: stacks of ")
    assert "The loop turns again: it was away for 62.5 s" == back
    assert second.startswith("The loop has not turned for 12.0 s")


@pytest.mark.parametrize("loop_first", [False, True])
def test_a_process_that_was_stopped_gives_no_alarm(
    one: Watch, loop_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """After SIGSTOP, or an hour without a processor, the watcher was away as well, whoever runs first afterwards."""
    one.turned(104.0)
    one.look(105.0)
    if loop_first:
        one.turned(3700.0)
    one.look(3700.0)
    one.turned(3703.0)
    look_until(one, 3705.0, 3710.0)
    assert [] == caplog.records
    one.look(3715.0)
    assert 1 == len(told(caplog))


def test_a_loop_that_does_not_come_back_from_a_stop_is_told(one: Watch, caplog: pytest.LogCaptureFixture) -> None:
    """The time in which nobody ran does not count, the time after it does."""
    one.look(105.0)
    one.look(3700.0)
    assert [] == caplog.records
    one.look(3705.0)
    assert 1 == len(told(caplog))


def test_the_stacks_of_all_threads_are_there(
    one: Watch, stuck: threading.Thread, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop first; each with name, kernel id, state and the functions that it is in."""
    look_until(one, 105.0, 115.0)
    header, *rest = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(threading.enumerate()) == len(rest)
    assert header.getMessage().endswith(f"stacks of {len(rest)} threads follow")
    # It may have been seen on its way to sleep.
    assert re.fullmatch(rf"Stack of respawnd-loop \(thread {stuck.native_id}, state [RS]\)", rest[0].getMessage())
    assert rest[0].exc_text is not None
    assert f"{__file__}:" in rest[0].exc_text
    assert "in stuck.<locals>.hang" in rest[0].exc_text
    assert any(record.getMessage().startswith("Stack of MainThread") for record in rest[1:])


@pytest.mark.parametrize("form", ["json", "text"])
def test_it_survives_every_format(one: Watch, stuck: threading.Thread, form: str, tmp_path: Path) -> None:
    """One record a thread: a line of JSON with the frames in exc, or a line of text with the frames below it."""
    logger = logging.getLogger("respawnd")
    before = (logger.handlers[:], logger.propagate, logger.level)
    book = configure("info", form, [f"file:{tmp_path}/log"])
    try:
        look_until(one, 105.0, 115.0)
        assert book.flush(PATIENCE)
    finally:
        assert book.close(PATIENCE)
        logger.handlers[:], logger.propagate = before[:2]
        logger.setLevel(before[2])
    lines = (tmp_path / "log").read_text().splitlines()
    if form == "json":
        rows = [json.loads(line) for line in lines]
        assert 2 + len(threading.enumerate()) == len(rows)  # the diary's own thread is no more
        assert "hang" in next(row["exc"] for row in rows if row.get("tid") == stuck.native_id)
    else:
        assert any(line.endswith("hang") and line.startswith("     ") for line in lines)


def test_the_dump_is_bounded(
    one: Watch, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stuck: threading.Thread
) -> None:
    """Of a deep stack the inner frames, of many threads the first; what is left out is said."""
    monkeypatch.setattr(watch, "_MOST_THREADS", 1)
    monkeypatch.setattr(watch, "_MOST_FRAMES", 3)
    deep = dict.fromkeys(range(50))
    look_until(one, 105.0, 115.0)
    assert deep
    dumped = [record for record in caplog.records if record.exc_text]
    assert 1 == len(dumped)
    assert "  … outer frames left out" == str(dumped[0].exc_text).splitlines()[0]
    assert 4 == len(str(dumped[0].exc_text).splitlines())
    assert f"Stacks of {len(threading.enumerate()) - 1} more threads are left out" == told(caplog)[-1]
    assert 20_000 > len(diary_lines.json_line(dumped[0]))


def test_a_stack_is_text(stuck: threading.Thread) -> None:
    """For whoever asks without a stall."""
    text = str(next(stack for stack in stacks() if stack.tid == stuck.native_id))
    assert text.startswith(f"respawnd-loop (thread {stuck.native_id}, state ")
    assert any(line.startswith("  ") and line.endswith("in stuck.<locals>.hang") for line in text.splitlines()[1:])
