"""Launching by both roads: what a child finds, and how a failure is told."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.core.events import Launched, LaunchFailed
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.host import programs
from tests.host.launching import STAGED, Rig, rig, spec, status

SLEEP = ("sleep", "600")
ROADS: dict[str, dict[str, Any]] = {"plain": {}, "staged": STAGED}


@pytest.fixture
def host() -> Iterator[Rig]:
    """A launcher."""
    with rig() as one:
        yield one


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What to ask for so that this road is taken."""
    return ROADS[request.param]


def test_a_child_sees_three_descriptors(host: Rig, road: dict[str, Any]) -> None:
    """Whatever the daemon has open, even without close-on-exec, a child has 0, 1 and 2; and 0 is /dev/null."""
    leaky = os.open("/dev/zero", os.O_RDONLY)
    os.set_inheritable(leaky, True)
    look = (
        "for f in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do test -e /proc/$$/fd/$f && readlink /proc/$$/fd/$f; done; :"
    )
    seen = host.output(spec("sh", "-c", look, **road)).split()
    os.close(leaky)
    pipe = os.readlink(f"/proc/self/fd/{host.write}")
    assert ["/dev/null", pipe, pipe] == seen


def test_a_child_leads_its_session(host: Rig, road: dict[str, Any]) -> None:
    """It has its own session and process group, and the daemon is its parent."""
    pid = host.pid(spec(*SLEEP, **road))
    assert (pid, pid) == (os.getsid(pid), os.getpgid(pid))
    assert str(os.getpid()) == status(pid)["PPid"]


def test_signals_are_as_they_should_be(host: Rig, road: dict[str, Any]) -> None:
    """What the daemon blocks and ignores is neither blocked nor ignored in a child."""
    before = signal.getsignal(signal.SIGUSR2)
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGCHLD})
    try:
        host.pid(spec(*SLEEP, **road))  # the program is known now, so that the next may be launched from here
        seen = status(host.pid(spec(*SLEEP, **road), inline_ok=True))
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGCHLD})
        signal.signal(signal.SIGUSR2, before)
    own = 0b11 << 31  # 32 and 33 belong to the C library, which sets them to ignored in what it spawns
    assert (0, 0) == (int(seen["SigBlk"], 16), int(seen["SigIgn"], 16) & ~own)


def test_each_life_has_its_own_tag(host: Rig, road: dict[str, Any]) -> None:
    """From life to life RESPAWND_LIFE changes, and nothing else."""
    what = spec("env", environment={"PORT": "8000"}, **road)
    first, second = (dict(line.split("=", 1) for line in host.output(what).splitlines()) for _ in range(2))
    common = {
        "PATH": "/usr/bin:/bin", "LANG": "C", "PORT": "8000", "RESPAWND_SERVICE": "web", "RESPAWND_REPLICA": "0",
    }  # fmt: skip
    assert {**common, "RESPAWND_LIFE": "i-web.0-1"} == first
    assert {**common, "RESPAWND_LIFE": "i-web.0-2"} == second


def test_the_directory(host: Rig, road: dict[str, Any], tmp_path: Path) -> None:
    """A child starts in its directory, from which a relative program counts; a script sees its name as configured."""
    script = tmp_path / "run.sh"
    script.write_text('#!/bin/sh\npwd; echo "$0"\n')
    script.chmod(0o755)
    assert f"{tmp_path}\n./run.sh\n" == host.output(spec("./run.sh", directory=str(tmp_path), **road))


def test_the_childs_own_path(host: Rig, road: dict[str, Any], tmp_path: Path) -> None:
    """A bare name is looked for along the child's PATH, not the daemon's."""
    shutil.copy("/bin/echo", tmp_path / "hello")
    assert "world\n" == host.output(spec("hello", "world", environment={"PATH": f"/none:{tmp_path}"}, **road))


def test_a_program_that_moves(host: Rig, tmp_path: Path) -> None:
    """What was found along PATH and is not there any more is looked for again."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    shutil.copy("/bin/echo", tmp_path / "a" / "hello")
    what = spec("hello", environment={"PATH": f"{tmp_path}/a:{tmp_path}/b"})
    assert "\n" == host.output(what)
    (tmp_path / "a" / "hello").rename(tmp_path / "b" / "hello")
    assert "\n" == host.output(what)
    (tmp_path / "b" / "hello").unlink()
    error = host.refused(what)
    assert ("exec", errno.ENOENT) == (error.stage, error.errno)
    assert error.text.startswith("exec hello: no such program along PATH")


def test_a_directory_that_is_not_there(host: Rig, road: dict[str, Any], tmp_path: Path) -> None:
    """Told with stage, errno and the path."""
    error = host.refused(spec(*SLEEP, directory=f"{tmp_path}/none", **road))
    assert ("chdir", errno.ENOENT) == (error.stage, error.errno)
    assert f"chdir {tmp_path}/none: no such directory" == error.text


def test_a_directory_that_is_a_file(host: Rig, road: dict[str, Any], tmp_path: Path) -> None:
    """Told as that."""
    (tmp_path / "file").touch()
    error = host.refused(spec(*SLEEP, directory=f"{tmp_path}/file", **road))
    assert ("chdir", errno.ENOTDIR, f"chdir {tmp_path}/file: not a directory") == (error.stage, error.errno, error.text)


def test_a_program_that_is_not_there(host: Rig, road: dict[str, Any]) -> None:
    """The issue's own example."""
    error = host.refused(spec("/usr/bin/foo", **road))
    assert ("exec", errno.ENOENT, "exec /usr/bin/foo: no such file") == (error.stage, error.errno, error.text)


def test_no_program_of_that_name(host: Rig, road: dict[str, Any]) -> None:
    """A bare name is told as such, with where it was looked for."""
    error = host.refused(spec("no-such-program", **road))
    assert ("exec", errno.ENOENT) == (error.stage, error.errno)
    assert error.text.startswith("exec no-such-program: no such program along PATH")


@pytest.mark.parametrize(
    ("text", "mode", "number", "words"),
    [
        (b"#!/bin/sh\n", 0o644, errno.EACCES, "permission denied"),
        (b"\x7fNOT A PROGRAM", 0o755, errno.ENOEXEC, "neither a program for this machine nor a script"),
        (b"#!/none/python\n", 0o755, errno.ENOENT, "its interpreter /none/python is missing"),
    ],
)
def test_a_file_that_cannot_be_run(
    host: Rig, road: dict[str, Any], tmp_path: Path, text: bytes, mode: int, number: int, words: str
) -> None:
    """Not executable, not a program, interpreter missing: each told as what it is."""
    file = tmp_path / "program"
    file.write_bytes(text)
    file.chmod(mode)
    error = host.refused(spec(str(file), **road))
    assert ("exec", number) == (error.stage, error.errno)
    assert error.text.startswith(f"exec {file}: {words}")


def test_too_long_and_just_not(host: Rig, road: dict[str, Any]) -> None:
    """An environment of half a megabyte gets through; one string above 128 KiB does not (the kernel's limit)."""
    large = {f"V{at}": "x" * 5000 for at in range(100)}
    assert "5000\n" == host.output(spec("sh", "-c", "echo ${#V99}", environment=large, **road))
    error = host.refused(spec("echo", "x" * 200_000, **road))
    assert ("exec", errno.E2BIG) == (error.stage, error.errno)


def test_what_no_program_can_be_given(host: Rig, road: dict[str, Any]) -> None:
    """A NUL would end the string early: refused, not cut off."""
    error = host.refused(spec("echo", "a\0b", **road))
    assert ("exec", errno.EINVAL) == (error.stage, error.errno)
    error = host.refused(spec("echo", environment={"A": "b\0c"}, **road))
    assert ("environment", errno.EINVAL) == (error.stage, error.errno)


def test_no_descriptors_for_output(host: Rig, road: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe that could not be made is a launch that failed, with its errno."""

    def outputs(key: UnitKey, what: UnitSpec) -> tuple[int, int]:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(host.launcher, "_outputs", outputs)
    error = host.refused(spec(*SLEEP, **road))
    assert ("output", errno.EMFILE, "output: too many open files") == (error.stage, error.errno, error.text)


def test_the_daemons_own_output(host: Rig, road: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Descriptors 1 and 2 of the daemon may be the child's, also the one for the other (logs: inherit)."""
    saved = os.dup(1)
    os.dup2(host.write, 1)
    try:
        monkeypatch.setattr(host.launcher, "_outputs", lambda *_: (host.write, 1))
        assert "to both\n" == host.output(spec("sh", "-c", "echo to both >&2", **road))
    finally:
        os.dup2(saved, 1)
        os.close(saved)


def test_out_of_descriptors(host: Rig) -> None:
    """Without a free descriptor the plain road still goes; the staged one says what is missing, and recovers."""
    host.wait(host.pid(spec("true", **STAGED)))
    host.wait(host.pid(spec("true")))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        plain, staged = host.launch(spec("true")), host.launch(spec("true", **STAGED))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert isinstance(plain, Launched)
    assert isinstance(staged, LaunchFailed)
    assert ("descriptors", errno.EMFILE) == (staged.error.stage, staged.error.errno)
    staged = host.launch(spec("true", **STAGED))
    assert isinstance(staged, Launched)
    assert ("posix_spawn", "fork_server") == (plain.method, staged.method)


def test_what_is_known_to_be_quick_is_launched_inline(host: Rig) -> None:
    """The first launch of a program goes through a thread; the next ones are answered at once, of other units too."""
    assert host.start(spec("true"), inline_ok=True) is None
    first = host.answer()
    assert isinstance(first, Launched)
    second = host.start(spec("true", name="other"), inline_ok=True)
    assert isinstance(second, Launched)
    assert 0 < second.spent
    assert host.start(spec("true"), inline_ok=False) is None
    assert isinstance(host.answer(), Launched)


def test_what_lies_far_away_is_never_launched_inline(host: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program on a network file system was quick only as long as the network is."""
    monkeypatch.setattr(programs, "is_remote", lambda _: True)
    for _ in range(8):
        assert host.start(spec("true"), inline_ok=True) is None
        assert isinstance(host.answer(), Launched)


def test_an_inline_launch_that_fails(host: Rig, tmp_path: Path) -> None:
    """It is answered at once too, and the next attempt looks anew."""
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    host.pid(spec(str(program)))
    program.unlink()
    answer = host.start(spec(str(program)), inline_ok=True)
    assert isinstance(answer, LaunchFailed)
    assert ("exec", errno.ENOENT) == (answer.error.stage, answer.error.errno)
    shutil.copy("/bin/true", program)
    assert host.pid(spec(str(program)), inline_ok=True)


def test_in_flight_until_the_answer_is_taken(host: Rig, road: dict[str, Any]) -> None:
    """A child counts as in flight until the loop watches it, however long its answer is posted: nobody may reap it."""
    assert host.start(spec("true", **road)) is None
    host.answers.put(host.answers.get(timeout=20))  # posted, and not taken
    assert 1 == host.launcher.in_flight()
    assert isinstance(host.answer(), Launched)
    assert 0 == host.launcher.in_flight()


def test_a_fault_of_ours_costs_one_launch(host: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that nobody foresaw is an answer, and the launcher goes on."""

    def broken(key: UnitKey, what: UnitSpec) -> tuple[int, int]:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(host.launcher, "_outputs", broken)
        error = host.refused(spec("true"))
    assert ("launcher", "launcher: ZeroDivisionError()") == (error.stage, error.text)
    assert isinstance(host.launch(spec("true")), Launched)


@pytest.mark.slow
def test_two_hundred_at_once(host: Rig) -> None:
    """Each is answered once, by either road, those that fail too; and each child is there."""
    kinds: tuple[dict[str, Any], ...] = ({}, STAGED, {"directory": "/none"}, {"directory": "/none", **STAGED})
    for at in range(200):
        assert host.start(spec("true", name=f"s{at}", **kinds[at % 4])) is None
    answers = [host.answer() for _ in range(200)]
    assert {f"s{at}" for at in range(200)} == {answer.key.service for answer in answers}
    launched = [answer.pid for answer in answers if isinstance(answer, Launched)]
    assert 100 == len(set(launched))
    assert {0} == {host.wait(pid) for pid in launched}
    assert 0 == host.launcher.in_flight()


def test_threads_end_with_the_launcher() -> None:
    """After stop a launch is refused in words, and nothing is left: the leak guard looks."""
    with rig() as host:
        host.wait(host.pid(spec("true", **STAGED)))
        assert host.launcher.stop(10.0)
        answer = host.launch(spec("true"))
        assert isinstance(answer, LaunchFailed)
        assert "launcher" == answer.error.stage
        host.launcher._null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)


def test_scripts_of_another_interpreter(host: Rig, tmp_path: Path) -> None:
    """A script runs under the interpreter of its first line, here this one."""
    script = tmp_path / "tell"
    script.write_text(f"#!{sys.executable} -IS\nprint(__file__)\n")
    script.chmod(0o755)
    assert f"{script}\n" == host.output(spec(str(script)))


def test_without_threads(host: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started a plain launch is refused, and a staged one that has begun is seen to its end."""
    staged = spec("true", **STAGED)
    host.wait(host.pid(staged))

    def refuse(job: object, *, slow: bool) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(host.launcher._threads, "submit", refuse)
    error = host.refused(spec("true", name="other"))
    assert ("launcher", errno.EAGAIN, "launcher: can't start new thread") == (error.stage, error.errno, error.text)
    assert isinstance(host.start(staged), Launched)
    assert 0 == host.launcher.in_flight()
