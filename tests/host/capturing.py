"""What tests of output capture share: a service, a policy, and words for what they do."""

from __future__ import annotations

import logging
import os
import subprocess
import threading
from typing import TYPE_CHECKING

from supervisor.core.model import LogPolicy, UnitKey

if TYPE_CHECKING:
    import pytest

    from supervisor.host.output import OutputThread

WEB = UnitKey("web", 0)
PLAIN = LogPolicy(compress=False)


def descriptors() -> int:
    """How many this process has open."""
    return len(os.listdir("/proc/self/fd"))


def drained(output: OutputThread, key: UnitKey = WEB) -> None:
    """Wait until what the pipes of key hold now is captured or dropped."""
    done = threading.Event()
    output.drain(key, done.set)
    assert done.wait(20)


def shell(script: str, stdout: int, stderr: int | None = None) -> int:
    """Run it to its end and return its exit status."""
    return subprocess.run(["sh", "-c", script], stdout=stdout, stderr=stderr, timeout=20, check=False).returncode


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged as a warning or worse."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
