"""Readings below /proc: by identity, with few of them for what is nobody's, and honest about what cannot be read."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from metrics.sampler.proc import REASONS, TURNS, Proc, Reading
from metrics.sampler.tree import Entry, owners

STAT = (
    "{pid} ({name}) {state} {parent} {group} {session} 0 -1 4194304 73 0 0 0 {user} 5 7 9 20 0 3 0 {started} 2990080 "
    "380 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 1 1 1 1 1 1 1 0\n"
)


class Fake:
    """A directory that looks like /proc."""

    def __init__(self, root: Path) -> None:
        self.root, self.failed = root, Counter[str]()
        self.proc = Proc(lambda reason: self.failed.update([reason]), lambda: None, str(root))

    def put(self, pid: int, parent: int = 1, started: int = 10, user: int = 0, **more: object) -> None:
        """Let there be a process."""
        facts = {"name": "x", "state": "S", "group": pid, "session": pid, **more}
        folder = self.root / str(pid)
        folder.mkdir(exist_ok=True)
        (folder / "stat").write_text(STAT.format(pid=pid, parent=parent, started=started, user=user, **facts))


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A directory that looks like /proc."""
    return Fake(tmp_path)


@pytest.mark.parametrize("name", ["x", ")) (x) R 1", "a b\nc", ")", "(", "x) Z 1 1 1 ("])
def test_an_entry_is_read_whatever_the_name(fake: Fake, name: str) -> None:
    """Fields are counted from the last parenthesis."""
    fake.put(7, parent=3, user=11, name=name)
    assert Entry(7, b"S", 3, 7, 7, 11, 5, 7, 9, 3, 10, 380) == fake.proc.entry(7)
    assert not Counter(fake.failed)


@pytest.mark.parametrize("text", ["", "7 (x", "7 (x) S 1", "7 (x) S a b c d e f g h i j k l m n o p q r s t u v w"])
def test_what_cannot_be_understood_is_counted(fake: Fake, text: str) -> None:
    """A line that is no process is told of, and the process is one of which nothing is known, not one that is gone."""
    fake.put(7)
    (fake.root / "7" / "stat").write_text(text)
    scan = fake.proc.scan({}, ())
    assert ({7}, {}) == (scan.blind, scan.everyone)
    assert {"format": 1} == fake.failed


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EACCES, "permission"), (errno.EMFILE, "descriptors"), (errno.EIO, "io"), (errno.ESRCH, None)],
)
def test_what_is_in_the_way_is_told_by_its_kind(
    fake: Fake, monkeypatch: pytest.MonkeyPatch, number: int, reason: str | None
) -> None:
    """Each kind of failure has a word of a closed list; being gone is none."""
    fake.put(7)

    def refuse(path: str, flags: int) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("metrics.sampler.proc._open", refuse)
    assert fake.proc.entry(7) is None
    assert ({reason: 1} if reason else {}) == fake.failed
    assert set(fake.failed) <= set(REASONS)


def test_a_reading_of_a_pid_that_was_given_anew_is_thrown_away(fake: Fake) -> None:
    """What was read of a known pid counts only if the start time that is read after it is the known one."""
    fake.put(7, started=10)
    assert {7} == set(fake.proc.scan({7: 10}, ()).readings)
    fake.put(7, started=99)
    scan = fake.proc.scan({7: 10}, ())
    assert (set(), 99) == (set(scan.readings), scan.everyone[7].started)


def test_a_fresh_reading_is_of_the_process_that_was_seen(fake: Fake) -> None:
    """Between the look and the reading a pid may be given anew: then there is no reading."""
    fake.put(7, started=10)
    seen = fake.proc.entry(7)
    assert seen is not None
    assert fake.proc.fresh(seen) is not None
    fake.put(7, started=11)
    assert fake.proc.fresh(seen) is None


def test_what_is_nobodys_is_not_looked_at_again(fake: Fake) -> None:
    """A stranger is passed over while its directory is the same one, but for one pass of some; unless it is wanted."""
    fake.put(7, user=1)
    scan = fake.proc.scan({}, ())
    fake.proc.nobodys(scan, {7: None})
    fake.put(7, user=2)
    assert 1 == fake.proc.scan({}, ()).everyone[7].user
    assert 2 == fake.proc.scan({}, {7}).everyone[7].user
    seen = [fake.proc.scan({}, ()).everyone[7].user for _ in range(TURNS)]
    assert 1 == seen.count(2)
    (fake.root / "7").rename(fake.root / "gone")
    fake.put(7, user=3)
    assert 3 == fake.proc.scan({}, ()).everyone[7].user


def test_a_tag_is_read_from_the_environment(fake: Fake) -> None:
    """The value of RESPAWND_LIFE, first or last, and of no variable that only ends in it."""
    fake.put(7)
    environ = fake.root / "7" / "environ"
    for data, tag in (
        (b"A=1\0RESPAWND_LIFE=x-1\0", b"x-1"),
        (b"RESPAWND_LIFE=x-2", b"x-2"),
        (b"MY_RESPAWND_LIFE=x-3\0", None),
        (b"", None),
    ):
        environ.write_bytes(data)
        assert tag == fake.proc.tag(7)
    environ.unlink()
    assert fake.proc.tag(7) is None


def entry(pid: int, parent: int, group: int | None = None, session: int | None = None) -> Entry:
    """A process that does nothing."""
    return Entry(pid, b"S", parent, group or pid, session or pid, 0, 0, 0, 0, 1, pid, 1)


def test_each_process_is_of_one_life_at_most() -> None:
    """By descent first, then by session and group, then by tag; another life's main process is its own."""
    everyone = {
        one.pid: one
        for one in (
            entry(1, 0), entry(2, 1), entry(10, 2), entry(11, 10), entry(12, 11, session=12), entry(20, 10),
            entry(21, 20), entry(30, 2, session=10), entry(31, 2, group=20, session=31), entry(40, 2), entry(41, 40),
            entry(50, 1), entry(60, 999),
        )
    }  # fmt: skip
    claimed: dict[int, str | None] = {10: "a", 20: "b", 2: None}
    found = owners(everyone, claimed, {10: "a", 20: "b"}, lambda one: "a" if one.pid == 40 else None)
    assert {"a": {10, 11, 12, 30, 40, 41}, "b": {20, 21, 31}, None: {1, 2, 50, 60}} == {
        owner: {pid for pid, key in found.items() if key == owner} for owner in ("a", "b", None)
    }


def test_a_circle_of_parents_ends() -> None:
    """Entries of different moments may contradict each other; that costs no pass."""
    assert {5: None, 6: None} == owners({5: entry(5, 6), 6: entry(6, 5)}, {}, {}, lambda _: None)


OTHERS = """
import json, os, sys
from collections import Counter
from metrics.sampler.proc import Proc
failed = Counter()
proc = Proc(lambda reason: failed.update([reason]), lambda: None)
entry = proc.entry(int(sys.argv[1]))
print(json.dumps([entry is not None, *proc.reading(int(sys.argv[1])), failed]))
"""


@pytest.mark.slow
@pytest.mark.needs("root", "setpriv")
def test_a_process_of_another_user() -> None:
    """Where the kernel forbids the look the figure is not known, and the refusal counted; the rest is read."""
    python = [sys.executable, "-S", "-c", OTHERS, str(os.getpid())]
    where = {"PYTHONPATH": os.pathsep.join(path for path in ("", *sys.path) if path)}
    plain = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    run = subprocess.run([*plain, *python], capture_output=True, text=True, check=False, env=where)
    assert "" == run.stderr
    there, read, written, _, limit, failed = json.loads(run.stdout)
    assert (True, None, None, None) == (there, read, written, limit)
    assert 2 <= failed["permission"] <= 3


def test_who_has_not_run_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that sleeps is read in full at one pass of TURNS; one that has run for a moment, at the next."""
    proc = Proc(lambda _: None, lambda: None)
    read: list[int] = []
    reading = proc.reading

    def noted(pid: int) -> Reading:
        read.append(pid)
        return reading(pid)

    monkeypatch.setattr(proc, "reading", noted)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as cat:
        assert cat.stdin is not None
        assert cat.stdout is not None
        os.write(cat.stdin.fileno(), b"x")  # its answer tells that it is past exec, and about to sleep
        assert b"x" == os.read(cat.stdout.fileno(), 1)
        entry = proc.entry(cat.pid)
        assert entry is not None
        scans = [proc.scan({cat.pid: entry.started}, ()) for _ in range(4 * TURNS)]
        assert 4 <= len(read) <= 8
        assert {1} == {len(scan.readings) for scan in scans}
        read.clear()
        os.write(cat.stdin.fileno(), b"y")
        assert b"y" == os.read(cat.stdout.fileno(), 1)
        assert cat.pid in proc.scan({cat.pid: entry.started}, ()).readings
        assert [cat.pid] == read
        cat.stdin.close()
