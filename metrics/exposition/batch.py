"""What one page is made from: a picture of the fleet in batches, each with its records and label texts in step."""

from __future__ import annotations

from collections.abc import Iterator

from metrics.recorder import Recorder
from metrics.recorder.store import Replica, Service, moved_on
from supervisor.core.state import Unit
from supervisor.core.view import FleetView

#: Services rendered in one go: some tenths of a millisecond for the largest family.
BATCH = 128


class Batch:
    """Some services of one picture, with their units, records and label texts in step.

    `now` is monotonic; added to `offset` it is wall time.
    """

    __slots__ = ("_availability", "labels", "members", "now", "offset", "replicas", "services", "titles", "units")

    def __init__(self, now: float, offset: float) -> None:
        self.now, self.offset = now, offset
        self.units: list[Unit] = []
        self.replicas: list[Replica] = []
        self.labels: list[str] = []
        self.services: list[Service] = []
        self.titles: list[str] = []
        self.members: list[list[Unit]] = []
        self._availability: list[tuple[float, float]] | None = None

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
    running, _, wished, _, _ = moved_on(service.span, now)
    total = running, wished
    shown = service.shown
    if shown is not None and (total[0] < shown[0] or total[1] < shown[1]):
        total = max(total[0], shown[0]), max(total[1], shown[1])
    service.shown = total
    return total


def batches(view: FleetView, recorder: Recorder, now: float, offset: float) -> Iterator[Batch]:
    """Cut a picture into batches. What the recorder has not heard of yet is shown with nothing counted."""
    by_service: dict[str, list[Unit]] = {}
    for key, unit in view.units.items():
        by_service.setdefault(key.service, []).append(unit)
    known = recorder.replicas
    batch = Batch(now, offset)
    for name, members in by_service.items():
        service = recorder.services.get(name) or Service(name, now)
        batch.services.append(service)
        batch.titles.append(service.label)
        batch.members.append(members)
        for unit in members:
            replica = known.get(unit.key) or Replica(unit.key, service)
            batch.units.append(unit)
            batch.replicas.append(replica)
            batch.labels.append(replica.label)
        if len(batch.services) == BATCH:
            yield batch
            batch = Batch(now, offset)
    if batch.services:
        yield batch
