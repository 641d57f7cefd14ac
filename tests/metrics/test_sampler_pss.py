"""Proportional memory: only for those who ask, seldom, and never of a stranger."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from metrics.sampler import SamplerSettings
from metrics.sampler.proc import Proc
from metrics.sampler.pss import EVERY, SHARE, Proportional
from tests.metrics.sampling_host import Host, referee


@pytest.mark.slow
def test_shared_memory_is_divided_among_those_who_share_it() -> None:
    """A forked child adds little: what it shares with its parent counts half for each."""
    with Host(SamplerSettings(pss=True)) as host:
        main = host.launch()
        main.do("eat(16)")
        child = main.do("fork()")
        main.do(f"at({child}, '1')")
        usage = host.look()
        said = sum(one.memory_full_info().pss for one in referee(main.pid, child))
        assert said == pytest.approx(usage.proportional, rel=0.05)
        assert usage.proportional is not None
        assert usage.proportional < usage.resident - (8 << 20)
        assert usage.proportional == host.look().proportional
        host.sampler.configure(SamplerSettings())
        assert host.look().proportional is None


def test_a_pass_spends_a_bounded_time_on_it() -> None:
    """A tree is due once a minute, and only while the pass has time for it."""
    now = [1000.0]
    pss = Proportional(lambda _: None, lambda: None, lambda _: True, lambda: now[0])
    pss.begin(5.0)
    assert [True, False, True] == [pss.due(None), pss.due(now[0] - EVERY + 1), pss.due(now[0] - EVERY)]
    now[0] += SHARE * 5.0
    assert not pss.due(None)


def test_a_pid_given_anew_counts_nothing() -> None:
    """What psutil read by pid is thrown away if the process is no longer who was meant."""
    entry = Proc(lambda _: None, lambda: None).entry(os.getpid())
    assert entry is not None
    assert 0 == Proportional(lambda _: None, lambda: None, lambda _: False).of([entry])
    assert 0 < (Proportional(lambda _: None, lambda: None, lambda _: True).of([entry]) or 0)


@pytest.mark.slow
def test_who_does_not_ask_does_not_pay() -> None:
    """The sampler comes without psutil."""
    code = "import sys, metrics.sampler; print('psutil' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "False\n" == run.stdout
