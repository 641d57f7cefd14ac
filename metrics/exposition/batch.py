"""What one page is made from: a picture of the fleet in batches, each with its records and label texts in step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from metrics.recorder import Recorder
from metrics.recorder.store import Job, Replica, Service, Usage
from supervisor.core.model import UnitSpec
from supervisor.core.state import Unit
from supervisor.core.view import FleetView

#: Services rendered in one go: at most a tenth of a millisecond for nearly all families.
BATCH = 64
#: Units looked at in one go.
STRIDE = 512

#: The figures of a replica that was never sampled.
UNKNOWN: tuple[None, ...] = (None,) * len(Usage._fields)


class Batch:
    """Some services of one picture, with their units, records and label texts in step.

    What decides how many lines there are is taken once, so that a page has the lines that were counted for it. `now` is
    monotonic; added to `offset` it is wall time. `jobs`, with titles and members, are those of the oneshots alone.
    """

    __slots__ = (
        "_availability",
        "exits",
        "job_members",
        "job_titles",
        "jobs",
        "labels",
        "members",
        "now",
        "offset",
        "replicas",
        "restarts",
        "services",
        "specs",
        "titles",
        "units",
        "usages",
    )

    def __init__(self, now: float, offset: float) -> None:
        self.now, self.offset = now, offset
        self.units: list[Unit] = []
        self.replicas: list[Replica] = []
        self.labels: list[str] = []
        self.restarts: list[tuple[int, ...]] = []
        self.usages: list[tuple[Any, ...]] = []
        self.services: list[Service] = []
        self.titles: list[str] = []
        self.specs: list[UnitSpec] = []
        self.exits: list[tuple[int, ...]] = []
        self.members: list[list[Unit]] = []
        self.jobs: list[Job] = []
        self.job_titles: list[str] = []
        self.job_members: list[list[Unit]] = []
        self._availability: list[tuple[float, float]] | None = None

    def seal(self) -> Batch:
        """Take from the records what a page needs to be the same throughout."""
        self.labels = [replica.label for replica in self.replicas]
        self.restarts = [replica.restarts for replica in self.replicas]
        self.usages = [replica.usage or UNKNOWN for replica in self.replicas]
        self.titles = [service.label for service in self.services]
        self.exits = [service.exits for service in self.services]
        for service, members in zip(self.services, self.members, strict=True):
            job = service.job
            if job is not None:
                self.jobs.append(job)
                self.job_titles.append(service.label)
                self.job_members.append(members)
        return self

    def availability(self) -> list[tuple[float, float]]:
        """Seconds up and desired of each service, the same for all families of one page."""
        if self._availability is None:
            self._availability = [_availability(service, self.now) for service in self.services]
        return self._availability


def _availability(service: Service, now: float) -> tuple[float, float]:
    """Seconds up and desired, never less than the last page said.

    A transition counts from the moment it was decided, which may lie before a page that was rendered while it was
    carried out; the page has then shown a little more than came true, and the counter waits there until time catches
    up.
    """
    running, up, wished, wants, last = service.span
    passed = now - last
    total = (running + up * passed, wished + wants * passed) if passed > 0 else (running, wished)
    shown = service.shown
    if shown is not None and (total[0] < shown[0] or total[1] < shown[1]):
        total = max(total[0], shown[0]), max(total[1], shown[1])
    service.shown = total
    return total


def batches(view: FleetView, recorder: Recorder, now: float, offset: float) -> Iterator[Batch | None]:
    """Cut a picture into batches, in the order of the configuration; None is a moment to step aside.

    What the recorder has not heard of yet is shown with nothing counted, and a service without replicas as its
    specification has it.
    """
    by_service: dict[str, list[Unit]] = {name: [] for name in view.specs}
    for number, unit in enumerate(view.units.values(), 1):
        name = unit.key.service
        if name in by_service:
            by_service[name].append(unit)
        else:
            by_service[name] = [unit]
        if not number % STRIDE:
            yield None
    known, kept = recorder.replicas, recorder.services
    batch = Batch(now, offset)
    for name, members in by_service.items():
        batch.services.append(kept.get(name) or Service(name, now))
        batch.specs.append(members[0].spec if members else view.specs[name])
        batch.members.append(members)
        batch.units += members
        for unit in members:
            batch.replicas.append(known.get(unit.key) or Replica(unit.key, batch.services[-1]))
        if len(batch.services) == BATCH:
            yield batch.seal()
            batch = Batch(now, offset)
    if batch.services:
        yield batch.seal()
