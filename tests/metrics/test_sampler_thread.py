"""The sampler's thread: it samples soon and then by its interval, answers who cannot wait, and ends at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from metrics.pulse import Attend, Pulse, unattended
from metrics.recorder import Recorder
from metrics.recorder.store import Usage
from metrics.sampler import NAME, Sampler, SamplerSettings
from supervisor.core.view import FleetView
from tests.metrics.sampling_host import tag

NEVER = SamplerSettings(interval=3600.0)


class Heard(Recorder):
    """A recorder that says when a sample came."""

    def __init__(self) -> None:
        super().__init__()
        self.samples = 0
        self.came = threading.Condition()

    def sampled(self, usages: object) -> None:
        """Count it."""
        with self.came:
            self.samples += 1
            self.came.notify_all()

    def wait(self, number: int) -> bool:
        """Wait for that many."""
        with self.came:
            return self.came.wait_for(lambda: self.samples >= number, 20.0)


Make = Callable[..., tuple[Sampler, Heard]]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make samplers that are stopped at the end."""
    made: list[Sampler] = []

    def one(settings: SamplerSettings = NEVER, attend: Attend = unattended, **more: object) -> tuple[Sampler, Heard]:
        recorder = Heard()
        sampler = Sampler(FleetView, recorder, settings, tag=tag, attend=attend, **more)  # type: ignore[arg-type]
        made.append(sampler)
        sampler.start()
        return sampler, recorder

    yield one
    assert [True] * len(made) == [sampler.stop(5.0) for sampler in made]


@pytest.mark.slow
def test_the_first_samples_come_soon_then_by_the_interval(make: Make) -> None:
    """A page soon after the start has values, however long the interval is."""
    _, recorder = make()
    assert recorder.wait(2)
    ((_, moment),) = recorder.tally.read("respawnd_resource_sample_time_seconds")
    assert time.time() - 30 < moment <= time.time()
    ((_, duration),) = recorder.tally.read("respawnd_resource_sample_duration_seconds")
    assert 0 < duration < 10


@pytest.mark.slow
def test_another_interval_holds_at_once(make: Make) -> None:
    """Settings can be replaced while the thread waits."""
    sampler, recorder = make()
    assert recorder.wait(1)
    sampler.configure(SamplerSettings(interval=0.05))
    assert recorder.wait(8)


def test_a_fresh_sample_is_had_at_once(make: Make) -> None:
    """Who asks waits for one pass, and who asks for less than there is waits for nothing."""
    sampler, recorder = make()
    sampler.fresh(0.0)
    assert 1 == recorder.samples
    sampler.fresh(60.0)
    assert 1 == recorder.samples


def test_many_who_ask_share_a_pass(make: Make) -> None:
    """Twenty at once cost a few passes, not twenty."""
    sampler, recorder = make()
    together = threading.Barrier(20)

    def ask() -> None:
        together.wait(10.0)
        sampler.fresh(0.0)

    asking = [threading.Thread(target=ask) for _ in range(20)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(10.0)
    assert 1 <= recorder.samples <= 10


def test_nobody_waits_for_a_sampler_that_does_not_run() -> None:
    """Before the start and after the end there is nothing to wait for."""
    sampler = Sampler(FleetView, Recorder(), NEVER, tag=tag)
    began = time.monotonic()
    sampler.fresh(0.0)
    assert sampler.stop(1.0)
    sampler.start()
    assert sampler.stop(5.0)
    sampler.fresh(0.0)
    assert time.monotonic() - began < 5.0


@pytest.mark.slow
def test_guests_of_the_thread_are_called_and_cannot_hurt_it(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is to be called also is called every so often; one that fails is told of once and called on."""
    monkeypatch.setattr("metrics.sampler.ALSO", 0.01)
    calls: list[str] = []
    enough = threading.Event()

    def failing() -> None:
        calls.append("failing")
        raise ValueError("of no importance")

    def counting() -> None:
        calls.append("counting")
        if calls.count("counting") == 3:
            enough.set()

    with caplog.at_level(logging.WARNING, "respawnd.sampler"):
        make(also=(failing, counting))
        assert enough.wait(10.0)
    assert 3 <= calls.count("failing")
    assert 1 == len(caplog.records)


def test_the_thread_lives_as_it_is_told_to(make: Make) -> None:
    """The caller decides on priority and pulse: it gets the name and the body, which says when it works and waits."""
    felt: list[str] = []
    idle = threading.Event()

    class Felt:
        def busy(self) -> None:
            felt.append("busy")

        def idle(self) -> None:
            felt.append("idle")
            idle.set()

    def attend(name: str, body: Callable[[Pulse], None]) -> None:
        felt.append(name)
        body(Felt())

    sampler, _ = make(attend=attend)
    assert idle.wait(5.0)
    sampler.fresh(0.0)
    assert sampler.stop(5.0)
    assert [NAME, "idle", "busy", "idle"] == felt[:4]


def test_what_is_not_in_the_record_is_passed_over(make: Make) -> None:
    """A fleet without units is sampled as well: there is nothing to tell."""
    recorder = Recorder()
    Sampler(FleetView, recorder, NEVER, tag=tag).sample()
    assert {} == recorder.replicas
    assert Usage(1.0).processes == 0
