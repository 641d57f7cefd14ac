"""TRACEPARENT: a life gets its own by either road; a service's own word goes before ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from supervisor.core.model import Kind, Restart, UnitKey
from tests.host.launching import STAGED, Rig, rig, spec

ROADS = [pytest.param({}, id="plain"), pytest.param(STAGED, id="staged")]
JOB: dict[str, Any] = {"kind": Kind.ONESHOT, "restart": Restart.NEVER}
SAY = ("/bin/sh", "-c", "echo ${TRACEPARENT-none} $RESPAWND_LIFE")


@pytest.fixture
def host() -> Iterator[Rig]:
    """A launcher that traces jobs."""
    with rig() as one:
        one.launcher.trace = trace
        yield one


def trace(key: UnitKey, life: int, kind: Kind) -> str | None:
    """What a life is given: something for jobs."""
    return f"{key.service}-{life}" if kind is Kind.ONESHOT else None


@pytest.mark.parametrize("road", ROADS)
def test_each_life_of_a_job_has_its_own(host: Rig, road: dict[str, Any]) -> None:
    """Each life finds the trace of its own run, beside its tag."""
    job = spec(*SAY, name="job", **JOB, **road)
    assert "job-1 i-job.0-1\n" == host.output(job)
    assert "job-2 i-job.0-2\n" == host.output(job)


@pytest.mark.parametrize("road", ROADS)
def test_who_gets_none_finds_none(host: Rig, road: dict[str, Any]) -> None:
    """A service that gets no trace has no variable of that name."""
    assert "none i-web.0-1\n" == host.output(spec(*SAY, **road))


@pytest.mark.parametrize("road", ROADS)
def test_the_services_own_word(host: Rig, road: dict[str, Any]) -> None:
    """What a service sets itself stays."""
    own = spec(*SAY, name="job", **JOB, environment={"TRACEPARENT": "mine"}, **road)
    assert "mine i-job.0-1\n" == host.output(own)


@pytest.mark.parametrize("road", ROADS)
def test_tracing_that_ends(host: Rig, road: dict[str, Any]) -> None:
    """When the launcher no longer traces, the next life does not find the last one's trace; and back again."""
    job = spec(*SAY, name="job", **JOB, **road)
    assert "job-1 i-job.0-1\n" == host.output(job)
    host.launcher.trace = None
    assert "none i-job.0-2\n" == host.output(job)
    host.launcher.trace = trace
    assert "job-3 i-job.0-3\n" == host.output(job)
