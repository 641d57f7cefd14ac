"""Control groups: which is a replica's own, what its files say, and a real one where the machine has them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from metrics.sampler import SamplerSettings
from metrics.sampler.cgroup import Groups, Memory, own
from metrics.sampler.snapshot import Group
from supervisor.core.model import UnitKey
from tests.leaks import wait_for_exit
from tests.metrics.sampling_host import Host


@pytest.mark.parametrize(
    ("paths", "daemon", "expected"),
    [
        ({"a": "/x/a", "b": "/x/b"}, "/x/daemon", {"a", "b"}),
        ({"a": "/x/a", "b": "/x/a"}, "/x", set()),
        ({"a": "/x/a", "b": "/x/a/b"}, "/x", {"b"}),
        ({"a": "/x/a", "b": "/x/ab"}, "/x", {"a", "b"}),
        ({"a": "/x"}, "/x", set()),
        ({"a": "/x"}, "/x/daemon", set()),
        ({"a": "/"}, "/x", set()),
        ({"a": "/x/daemon/a"}, "/x/daemon", {"a"}),
    ],
)
def test_whose_group_is_its_own(paths: dict[str, str], daemon: str, expected: set[str]) -> None:
    """Neither the daemon nor another replica may be in it or below it."""
    assert expected == own(paths, daemon)


class Fake:
    """A directory that looks like a control group below a mount."""

    def __init__(self, root: Path) -> None:
        self.mount, self.failed = root / "mount", Counter[str]()
        self.group = self.mount / "svc"
        self.group.mkdir(parents=True)
        self.groups = Groups(lambda reason: self.failed.update([reason]), str(self.mount))

    def put(self, **files: str) -> None:
        """Let there be files; a double underscore stands for the dot."""
        for name, text in files.items():
            (self.group / name.replace("__", ".")).write_text(text)


@pytest.fixture
def fake(tmp_path: Path) -> Fake:
    """A directory that looks like a control group."""
    return Fake(tmp_path)


def test_each_figure_is_read_where_its_file_is(fake: Fake) -> None:
    """Without controllers there is processor time alone; with them, throttling, bytes of all devices, stalls."""
    assert fake.groups.counters("/svc", pressure=True) is None
    fake.put(cpu__stat="usage_usec 30\nuser_usec 20\nsystem_usec 10\n")
    inode = fake.group.stat().st_ino
    assert Group(inode, 20, 10, None, None, None, None) == fake.groups.counters("/svc", pressure=True)
    fake.put(
        cpu__stat="usage_usec 30\nuser_usec 20\nsystem_usec 10\nnr_throttled 2\nthrottled_usec 7\n",
        io__stat="8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n8:16 rbytes=1 wbytes=2 rios=1 wios=1\n",
    )
    for number, name in enumerate(("cpu", "memory", "io")):
        line = f"avg10=0.00 avg60=0.00 avg300=0.00 total={number + 5}\n"
        fake.put(**{f"{name}__pressure": f"some {line}full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n"})
    assert Group(inode, 20, 10, 101, 22, 7, (5, 6, 7)) == fake.groups.counters("/svc", pressure=True)
    assert Group(inode, 20, 10, 101, 22, None, None) == fake.groups.counters("/svc", pressure=False)
    assert fake.groups.counters("/gone", pressure=True) is None
    assert not Counter(fake.failed)


def test_memory_is_what_cannot_be_given_back_at_once(fake: Fake) -> None:
    """The page cache that nobody needs is no use of memory; a limit is told where there is one."""
    assert fake.groups.memory("/svc") is None
    fake.put(memory__current="1000\n", memory__max="max\n", memory__stat="anon 600\ninactive_file 300\n")
    assert Memory(700, None) == fake.groups.memory("/svc")
    fake.put(memory__max="4096\n")
    assert Memory(700, 4096) == fake.groups.memory("/svc")


def test_nonsense_is_counted(fake: Fake) -> None:
    """A file that is not as documented costs its group and is told of."""
    fake.put(cpu__stat="user_usec 1\nsystem_usec 1\n", io__stat="8:0 rbytes=x wbytes=1\n")
    assert fake.groups.counters("/svc", pressure=False) is None
    assert {"format": 1} == fake.failed


def test_processes_of_a_group_are_those_below_it_too(fake: Fake) -> None:
    """A service that makes groups of its own stays whole."""
    (fake.group / "inner" / "most").mkdir(parents=True)
    fake.put(cgroup__procs="1\n2\n")
    (fake.group / "inner" / "cgroup.procs").write_text("3\n")
    (fake.group / "inner" / "most" / "cgroup.procs").write_text("4\n")
    assert [1, 2, 3, 4] == sorted(fake.groups.processes("/svc"))
    assert [] == fake.groups.processes("/gone")


def test_the_group_of_a_process(tmp_path: Path) -> None:
    """The line of the unified hierarchy counts; a group that is gone, or out of sight, is none."""
    proc = tmp_path / "proc"
    (proc / "7").mkdir(parents=True)
    groups = Groups(lambda _: None, "/nowhere", str(proc))
    for text, path in (
        ("9:name=systemd:/a\n0::/b/c\n", "/b/c"),
        ("0::/b (deleted)\n", None),
        ("0::/../b\n", None),
        ("1:cpu:/a\n", None),
    ):
        (proc / "7" / "cgroup").write_text(text)
        assert path == groups.path(7)
    assert groups.path(8) is None
    assert Groups(lambda _: None, "", str(proc)).path(7) is None


def test_where_the_hierarchy_is_mounted(tmp_path: Path) -> None:
    """The mount table says; a machine without the unified hierarchy has none."""
    (tmp_path / "self").mkdir()
    table = tmp_path / "self" / "mountinfo"
    table.write_text(
        "11 32 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw\n20 31 0:38 / /u rw,relatime - cgroup2 c rw\n"
    )
    assert "/u" == Groups(lambda _: None, proc=str(tmp_path)).mount
    table.write_text("11 32 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw\n")
    assert "" == Groups(lambda _: None, proc=str(tmp_path)).mount


@pytest.fixture
def real() -> Iterator[Path]:
    """A control group of this machine. Skips loudly where none can be made; fails there under CI."""
    mount = Groups(lambda _: None).mount
    folder = Path(mount) / f"respawnd-test-{os.getpid()}"
    try:
        assert mount, "no unified hierarchy is mounted"
        folder.mkdir()
    except (OSError, AssertionError) as error:
        if os.environ.get("CI"):
            pytest.fail(f"needs a control group: {error}")
        pytest.skip(f"needs a control group: {error}")
    yield folder
    folder.rmdir()


@pytest.mark.slow
@pytest.mark.needs("root")
def test_a_real_group_tells_of_processes_that_nobody_waited_for(real: Path) -> None:
    """A life in its own group: what was reaped without a word, between two looks, is counted to the microsecond."""
    with Host(SamplerSettings(pressure=True)) as host:
        main = host.launch()
        (real / "cgroup.procs").write_text(str(main.pid))
        first = host.look()
        assert 1 == first.processes
        assert main.do("deaf()")
        child = main.do("fork()")
        main.do(f"at({child}, 'burn(0.1)')")
        os.kill(child, 9)
        wait_for_exit(child, 10.0)
        second = host.look()
        assert second.user + second.system - first.user - first.system >= 0.1
        assert second.pressure is not None
        stat = dict(line.split() for line in (real / "cpu.stat").read_text().splitlines())
        told = second.user + second.system - first.user - first.system
        assert told <= int(stat["usage_usec"]) / 1e6 + 0.001
        os.kill(main.pid, 9)
        host.reap()
        third = host.look()
        assert 0 == third.processes
        assert third.user + third.system >= second.user + second.system
        successor = host.launch()
        (real / "cgroup.procs").write_text(str(successor.pid))
        assert 1 == host.look().processes
        successor.do("burn(0.05)")
        fourth = host.look()
        assert fourth.user + fourth.system >= third.user + third.system + 0.05
        assert {} == host.errors()


@pytest.mark.slow
@pytest.mark.needs("root")
def test_a_group_that_two_share_is_nobodys_own(real: Path) -> None:
    """Two replicas in one group are told apart by their processes."""
    with Host() as host:
        one, other = host.launch(), host.launch(UnitKey("other"))
        for actor in (one, other):
            (real / "cgroup.procs").write_text(str(actor.pid))
        other.do("burn(0.1)")
        host.look()
        other.do("burn(0.1)")
        mine, theirs = host.look(), host.look(UnitKey("other"))
        assert (1, 1) == (mine.processes, theirs.processes)
        assert theirs.user + theirs.system >= 0.18
        assert mine.user + mine.system < theirs.user + theirs.system
