"""What a life used is told with its death, by the kernel's own figures."""

from __future__ import annotations

import os
import resource

import pytest

from supervisor.host import kernel
from tests.metrics.sampling_host import Host


@pytest.mark.slow
def test_reaping_tells_what_a_life_and_its_children_used() -> None:
    """Processor time to the microsecond, with the children it waited for; peak memory in bytes."""
    with Host() as host:
        main = host.launch()
        child = main.do("fork()")
        main.do(f"at({child}, 'burn(0.05)')")
        main.do(f"end({child})")
        main.do("burn(0.05)")
        main.do("eat(16)")
        said = main.do("used()")
        os.kill(main.pid, 9)
        consumed = host.reap()
    assert said["user"] <= consumed.user <= said["user"] + 0.05
    assert said["system"] <= consumed.system <= said["system"] + 0.05
    assert 0.1 <= consumed.user + consumed.system
    # A child begins as what it was forked from: the tests themselves, which may be large by now.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    assert 16 << 20 <= consumed.peak < before + (128 << 20)


def test_a_child_that_lives_is_not_reaped() -> None:
    """Asked of a child that lives, the answer is None, and its end is told later all the same."""
    with Host() as host:
        main = host.launch()
        assert kernel.reap(main.pidfd) is None
        os.kill(main.pid, 15)
        assert host.reap().user >= 0


def test_without_the_call_the_end_is_told_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose call is not known the C library's is used: how it ended, and not what it used."""
    monkeypatch.setattr(kernel, "_WAITID", None)
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    pidfd = os.pidfd_open(pid)
    try:
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOWAIT)
        assert (3, None, False, None) == kernel.reap(pidfd)
    finally:
        os.close(pidfd)
