"""A program whose exec is slow delays no other launch and stops no thread, on Debian's own Python and on this one.

strace stands in for the slow disk: it holds each exec of one path for a second.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest

DELAY = 1_000_000  # microseconds
PYTHONS = sorted({sys.executable, *(path for path in ("/usr/bin/python3",) if os.path.exists(path))})

# Launches the slow program by both roads while quick ones go on, and prints in which order the answers came.
SCRIPT = """
import json, sys, threading
from tests.host.launching import STAGED, rig, spec
slow, quick = sys.argv[1], "/bin/true"
with rig() as host:
    for _ in range(2):
        host.wait(host.pid(spec(quick)))
        host.wait(host.pid(spec(quick, **STAGED)))
    for name, fields in (("slow0", {}), ("slow1", STAGED)):
        assert host.start(spec(slow, name=name, **fields), inline_ok=True) is None
    order = []
    for at in range(10):
        host.wait(host.pid(spec(quick, name="inline"), inline_ok=True))
        order.append("inline")
        for name, fields in (("thread", {}), ("staged", STAGED)):
            answer = host.launch(spec(quick, name=name, **fields))
            host.wait(answer.pid)
            order.append(answer.key.service)
    assert host.launcher.in_flight() == 2, host.launcher.in_flight()
    late = []
    for _ in range(2):
        late.append((answer := host.answer()).key.service)
        host.wait(answer.pid)
        assert answer.spent >= 0.9, answer
    # Known to be slow by now: never inline.
    again = host.start(spec(slow, name="slow0"), inline_ok=True)
    quick_meanwhile = host.launch(spec(quick, name="inline"), inline_ok=True)
    host.wait(quick_meanwhile.pid)
    host.wait(host.answer().pid)
    print(json.dumps({"order": order, "late": sorted(late), "again": again}))
"""


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.parametrize("python", PYTHONS)
def test_a_slow_exec_delays_no_other(python: str, tmp_path: Path) -> None:
    """While two launches of a slow program are under way, thirty others are answered, each way there is."""
    slow = tmp_path / "slow"
    shutil.copy("/bin/true", slow)
    trace = ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-P", str(slow)]
    trace += ["-e", "trace=execve", "-e", f"inject=execve:delay_enter={DELAY}"]
    paths = ":".join((os.getcwd(), os.path.dirname(os.path.dirname(attrs.__file__))))
    ended = subprocess.run(
        [*trace, python, "-c", SCRIPT, str(slow)], env={**os.environ, "PYTHONPATH": paths}, capture_output=True,
        text=True, timeout=100, check=False,
    )  # fmt: skip
    assert "" == ended.stderr
    told = json.loads(ended.stdout)
    assert ["inline", "thread", "staged"] * 10 == told["order"]
    assert {"late": ["slow0", "slow1"], "again": None} == {name: told[name] for name in ("late", "again")}
