"""Output capture by the real thread, with real pipes and processes."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from supervisor.core.model import LogPolicy, UnitKey
from supervisor.host import pipes
from supervisor.host.capture import Capture
from supervisor.host.output import OutputThread
from supervisor.host.pulse import Pulses
from tests.host.capturing import PLAIN, WEB, descriptors, drained, shell, warnings
from tests.host.disk import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def output(clock: Clock) -> Iterator[OutputThread]:
    """A running output thread; it must end, and leave no descriptor open."""
    before = descriptors()
    thread = OutputThread(max_files=4, clock=clock)
    thread.start()
    yield thread
    assert thread.stop(5)
    assert before == descriptors()


def test_what_a_child_writes_is_in_its_file(output: OutputThread, tmp_path: Path) -> None:
    """Raw bytes of stdout and stderr end in their files, whose directory is made, and is not for everybody."""
    out = output.open(WEB, "stdout", f"{tmp_path}/log/web/0/stdout.log", PLAIN)
    err = output.open(WEB, "stderr", f"{tmp_path}/log/web/0/stderr.log", PLAIN)
    assert shell(r"printf 'one\n\0two'; echo three >&2", out, err) == 0
    drained(output)
    assert (tmp_path / "log/web/0/stdout.log").read_bytes() == b"one\n\0two"
    assert (tmp_path / "log/web/0/stderr.log").read_bytes() == b"three\n"
    assert output.stats()[WEB, "stdout"].bytes == 8
    assert (tmp_path / "log/web/0").stat().st_mode & 0o007 == 0


def test_a_silent_stream_makes_no_file(output: OutputThread, tmp_path: Path) -> None:
    """Files are opened at the first output."""
    output.open(WEB, "stdout", f"{tmp_path}/stdout.log", PLAIN)
    drained(output)
    assert list(tmp_path.iterdir()) == []


def test_the_next_life_gets_the_same_pipe_blocking_again(output: OutputThread, tmp_path: Path) -> None:
    """A life that sets O_NONBLOCK on its stdout spoils it for itself only."""
    first = output.open(WEB, "stdout", f"{tmp_path}/a", PLAIN)
    fcntl.fcntl(first, fcntl.F_SETFL, os.O_NONBLOCK)
    second = output.open(WEB, "stdout", f"{tmp_path}/a", PLAIN)
    assert first == second
    assert fcntl.fcntl(second, fcntl.F_GETFL) & os.O_NONBLOCK == 0
    assert fcntl.fcntl(second, fcntl.F_GETFD) == fcntl.FD_CLOEXEC


def test_a_pipe_is_enlarged_when_start_up_is_over(output: OutputThread, clock: Clock, tmp_path: Path) -> None:
    """A second after the last stream was opened, or with the first output; not while services are being started."""
    quiet = output.open(WEB, "stdout", f"{tmp_path}/a", PLAIN)
    loud = output.open(WEB, "stderr", f"{tmp_path}/b", PLAIN)
    output.tend()
    os.write(loud, b"hello\n")
    drained(output)
    small = pipes.capacity(quiet)
    assert small < pipes.capacity(loud)
    clock.now += 1
    output.tend()
    drained(output)
    assert pipes.capacity(quiet) == pipes.capacity(loud)


def test_a_new_path_holds_from_the_next_open(output: OutputThread, tmp_path: Path) -> None:
    """Opening again with another path leads what comes after into it."""
    fd = output.open(WEB, "stdout", f"{tmp_path}/a", PLAIN)
    shell("echo one", fd)
    drained(output)
    fd = output.open(WEB, "stdout", f"{tmp_path}/b", PLAIN)
    drained(output)
    shell("echo two", fd)
    drained(output)
    assert [b"one\n", b"two\n"] == [(tmp_path / name).read_bytes() for name in "ab"]


@pytest.mark.needs("root")
def test_a_child_of_another_user_can_reopen_its_stdout(output: OutputThread, tmp_path: Path) -> None:
    """`echo > /dev/stdout` works for the service's user, also after that user was changed."""
    echo = ["sh", "-c", "echo hello > /dev/stdout"]
    for uid in (65534, 12345):
        fd = output.open(WEB, "stdout", f"{tmp_path}/a", PLAIN, uid=uid)
        assert subprocess.run(echo, stdout=fd, user=uid, check=False, timeout=20).returncode == 0
    drained(output)
    assert (tmp_path / "a").read_bytes() == b"hello\n" * 2


def test_two_streams_may_share_a_file(output: OutputThread, tmp_path: Path) -> None:
    """Two services that name one path do not overwrite each other."""
    keys = [UnitKey("a"), UnitKey("b")]
    fds = [output.open(key, "stdout", f"{tmp_path}/both", PLAIN) for key in keys]
    for _ in range(3):
        for key, fd in zip(keys, fds, strict=True):
            shell(f"echo {key.service}", fd)
            drained(output, key)
    assert (tmp_path / "both").read_bytes() == b"a\nb\n" * 3


def test_a_restarted_daemon_continues_the_file(tmp_path: Path) -> None:
    """What is in the file stays; what comes is put behind it."""
    for word in ("one", "two"):
        output = OutputThread()
        output.start()
        shell(f"echo {word}", output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN))
        assert output.stop(5)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


@pytest.mark.slow
def test_a_flood_is_captured_whole(output: OutputThread, tmp_path: Path) -> None:
    """64 MiB at full speed arrive byte for byte, while another service's line gets through."""
    script = "import os,sys\nfor n in range(1024): os.write(1, (b'%09d\\n' % n) * 6553 + b'123456')"
    fd = output.open(WEB, "stdout", f"{tmp_path}/flood", LogPolicy(max_size=0))
    quiet = UnitKey("quiet")
    other = output.open(quiet, "stdout", f"{tmp_path}/quiet", PLAIN)
    flood = subprocess.Popen([sys.executable, "-c", script], stdout=fd)
    shell("echo here", other)
    drained(output, quiet)
    assert flood.wait(20) == 0
    drained(output)
    want = hashlib.sha256()
    for number in range(1024):
        want.update((b"%09d\n" % number) * 6553 + b"123456")
    assert want.hexdigest() == hashlib.sha256((tmp_path / "flood").read_bytes()).hexdigest()
    assert (tmp_path / "quiet").read_bytes() == b"here\n"
    assert output.stats()[WEB, "stdout"].dropped_bytes == 0


def test_a_child_is_not_held_up_by_a_deaf_thread(tmp_path: Path) -> None:
    """Nobody reads: a child can still write what the pipe holds, 1 MiB where granted, and end; it is captured later."""
    output = OutputThread()
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN)
    size = pipes.enlarge(fd)
    assert shell(f"head -c {size} /dev/zero", fd) == 0
    output.start()
    assert output.stop(5)
    assert (tmp_path / "log").read_bytes() == bytes(size)


def test_a_fault_of_the_thread_costs_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its stack and counted, and the thread goes on where it was; meanwhile the pipe holds it all."""
    pulses = Pulses()
    output = OutputThread(pulses=pulses)
    output.start()
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN)
    obey, faults = output._obey, iter([SystemExit("on purpose")])

    def once() -> None:
        for fault in faults:
            raise fault
        obey()

    monkeypatch.setattr(output, "_obey", once)
    shell("echo hello", fd)
    drained(output)
    assert (tmp_path / "log").read_bytes() == b"hello\n"
    assert "SystemExit: on purpose" in caplog.text
    assert [("output", True, 1)] == [(beat.name, beat.up, beat.restarts) for beat in pulses.beats()]
    assert (0, 0) == (output.waiting, output.uncompressed)
    assert output.stop(5)
    assert [] == pulses.beats()


@pytest.mark.slow
def test_silent_streams_cost_no_wake_up(tmp_path: Path) -> None:
    """A thousand open streams that nobody writes to: the thread sleeps."""
    before = descriptors()
    output = OutputThread()
    output.start()
    for number in range(500):
        for stream in ("stdout", "stderr"):
            output.open(UnitKey("web", number), stream, f"{tmp_path}/{number}.{stream}", PLAIN)
    assert before + 1000 + 7 >= descriptors()
    drained(output)
    select.select([], [], [], 0.1)  # until it is back in epoll
    slept = switches()
    select.select([], [], [], 0.5)
    assert slept == switches()
    assert output.stalled() == 0
    assert output.stop(5)
    assert before == descriptors()


def switches() -> int:
    """How often the output thread has gone to sleep."""
    thread = next(thread for thread in threading.enumerate() if thread.name == "respawnd-output")
    with open(f"/proc/self/task/{thread.native_id}/status", encoding="ascii") as status:
        return int(next(line for line in status if line.startswith("voluntary")).split()[1])


def test_at_most_so_many_files_are_open(output: OutputThread, tmp_path: Path) -> None:
    """Twelve services take turns writing through four descriptors, and each finds its file again."""
    keys = [UnitKey("web", number) for number in range(12)]
    drained(output, keys[0])  # its thread has begun, and no longer writes its name into /proc
    before = descriptors()
    fds = [output.open(key, "stdout", f"{tmp_path}/{key.replica}", PLAIN) for key in keys]
    for word in (b"one\n", b"two\n"):
        for key, fd in zip(keys, fds, strict=True):
            os.write(fd, word)
            drained(output, key)
    assert before + 12 + 4 == descriptors()
    assert {b"one\ntwo\n"} == {(tmp_path / str(number)).read_bytes() for number in range(12)}


def test_a_closed_stream_is_captured_to_its_end(output: OutputThread, tmp_path: Path) -> None:
    """What is in the pipe at close is in the file; the key may be opened anew at once; its counters start again."""
    fd = output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN)
    shell("echo one", fd)
    output.close(WEB, "stdout")
    output.close(WEB, "stderr")
    shell("echo two", output.open(WEB, "stdout", f"{tmp_path}/log", PLAIN))
    drained(output)
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
    assert output.stats()[WEB, "stdout"].bytes == 4


def test_a_bug_in_one_stream_spares_the_others(
    output: OutputThread, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception of our own condemns that stream: its output is dropped, counted and told; others are captured."""
    write = Capture._write

    def broken(self: Capture, now: float, count: int) -> int:
        if self.key == WEB:
            raise ZeroDivisionError
        return write(self, now, count)

    monkeypatch.setattr(Capture, "_write", broken)
    bad = output.open(WEB, "stdout", f"{tmp_path}/bad", PLAIN)
    good = output.open(UnitKey("good"), "stdout", f"{tmp_path}/good", PLAIN)
    for _ in range(2):
        shell("echo hello", bad)
        drained(output)
        shell("echo hello", good)
        drained(output, UnitKey("good"))
    assert (tmp_path / "good").read_bytes() == b"hello\n" * 2
    assert output.stats()[WEB, "stdout"].dropped_lines == 2
    assert warnings(caplog) == ["Cannot capture stdout of web:0"]


_CAPTURER = """
import sys, threading
from supervisor.core.model import LogPolicy, UnitKey
from supervisor.host import pipes
from supervisor.host.output import OutputThread
pipes.create = lambda uid=None: int(sys.argv[1])
output = OutputThread()
output.start()
output.open(UnitKey("web"), "stdout", sys.argv[2], LogPolicy(max_size=0))
print(flush=True)
threading.Event().wait()
"""


@pytest.mark.slow
def test_a_killed_daemon_loses_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three times kill -9 among 200,000 lines: each is in the file once, or in the pipe for the next daemon."""
    fd = pipes.create()
    child = subprocess.Popen(["seq", "0", "199999"], stdout=fd)
    for _ in range(3):
        daemon = subprocess.Popen(
            [sys.executable, "-c", _CAPTURER, str(fd), f"{tmp_path}/log"], stdout=subprocess.PIPE, pass_fds=[fd]
        )
        assert daemon.stdout is not None
        daemon.stdout.readline()
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(20)
        daemon.stdout.close()
    monkeypatch.setattr(pipes, "create", {None: fd}.get)
    output = OutputThread()
    output.open(WEB, "stdout", f"{tmp_path}/log", LogPolicy(max_size=0))
    output.start()
    assert child.wait(20) == 0
    assert output.stop(20)
    found = [int(line) for line in (tmp_path / "log").read_bytes().split()]
    assert found == list(range(200000))
