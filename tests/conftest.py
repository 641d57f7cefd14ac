"""What every test gets: no leak goes unseen, nothing is skipped in silence, ports are free, Hypothesis repeats itself.

Under CI (the variable CI is set, as .ci/run sets it) a skipped test is a failed one, and property tests draw the same
examples each time. Elsewhere Hypothesis looks for new ones, and a missing program skips its tests with a reason.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import socket
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from tests import leaks

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

CI = bool(os.environ.get("CI"))
SLOW = [hypothesis.HealthCheck.too_slow]  # a shared machine's pauses say nothing of a strategy

hypothesis.settings.register_profile("dev", deadline=None, suppress_health_check=SLOW)
hypothesis.settings.register_profile("ci", derandomize=True, deadline=None, suppress_health_check=SLOW)
hypothesis.settings.load_profile("ci" if CI else "dev")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job, whose children would be deaf to it
    signal.signal(signal.SIGINT, signal.default_int_handler)


def missing(name: str) -> str:
    """Return why `name` (a program, or "root") is not to be had here, or nothing."""
    if name == "root":
        return "" if os.geteuid() == 0 else "not run by root"
    return "" if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") else f"{name} is not installed"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs something that is not here."""
    for marker in item.iter_markers("needs"):
        for reason in filter(None, map(missing, marker.args)):
            pytest.skip(reason)


def unskipped(report: Any) -> None:
    """Turn a skip into a failure under CI, where all that a test needs must have been installed."""
    if CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped under CI: {report.longrepr}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """See `unskipped`."""
    report = yield
    unskipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """See `unskipped`; this is for whole modules."""
    report = yield
    unskipped(report)
    return report


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a thread, a child or a descriptor behind; what is on its way out gets two seconds.

    In tests/system/ a daemon may be killed: its children come to us, the dead are reaped, the living are a leak.
    """
    orphans = "system" in request.path.parts
    leaks.adopt_orphans(orphans)
    before = leaks.Census.take()
    yield
    left = before.leftover(orphans=orphans)
    if left:
        gc.collect()  # a cycle may still hold a closed-over socket; only now, for a collection costs more than a test
        left = before.leftover(grace=2.0, orphans=orphans)
    if left:
        leaks.clear(before)
        pytest.fail(f"left behind: {', '.join(left)}", pytrace=False)


@pytest.fixture(scope="session")
def _ports_given() -> set[int]:
    """Keep the ports that were handed out, so that no two tests get the same one."""
    return set()


@pytest.fixture
def free_port(_ports_given: set[int]) -> Callable[[], int]:
    """Give a function that returns a TCP port of 127.0.0.1 on which nothing listens, another one at each call."""

    def find() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port: int = probe.getsockname()[1]
            if port not in _ports_given:
                _ports_given.add(port)
                return port

    return find
