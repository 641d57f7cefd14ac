"""The recorder: an observer of the loop that counts what happened to every service, and what the loop itself did.

Rules: `observe`, `turned`, `count_event`, `count_spawn_duration` and `observe_lag` belong to the loop's thread and take
no lock; `count` and `put` are for every thread. Durations come from the moments in the facts; a clock is read only for
the Unix time of what is told without one: the load of a job, and its launches that failed. A transition tells what
changed since the recorder last looked at the unit, not only what changed in it: what happened without a change of state
(an exit while stopping, a launch that failed at once) is counted with the next transition. Every configured service has
a record, also one without units; it ends when both are gone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from metrics.catalog import B1, B2, B3, BY_NAME, EVENTS, OTHER, STREAMS, Kind
from metrics.recorder.carry import put_back, taken_out
from metrics.recorder.jobs import Offset, enlisted, ran
from metrics.recorder.moves import moved
from metrics.recorder.store import (
    UNSEEN,
    Exemplar,
    Exemplars,
    Observed,
    Replica,
    Service,
    Usage,
    empty,
    exemplified,
    observed,
)
from metrics.recorder.tally import Labels, Tally
from supervisor.core.effects import Forget, Transition, Wanted
from supervisor.core.events import Adopted
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.ports import Fact
from supervisor.core.state import State, Unit
from supervisor.core.view import FleetView, desired

#: One value, or label values (in the catalogue's order) with a value each.
Reading = float | Iterable[tuple[Labels, float]]
Probe = Callable[[], Reading]

LAG = "respawnd_loop_lag_seconds"
OVERHEAD = "respawnd_respawn_overhead_seconds"
SPAWN = "respawnd_spawn_duration_seconds"
_BOUNDS = {LAG: B3, OVERHEAD: B2, SPAWN: B2}
LATENCY = "respawnd_service_respawn_latency_seconds"
_ADOPTED = "respawnd_children_adopted_total"
#: Prefix of the families that are ours; the others are of the process, and end with it.
_OURS = "respawnd_"


def _offset() -> float:
    return time.time() - time.monotonic()


class Recorder:
    """Counts for the whole daemon. Readers: see `metrics.exposition`. `offset` is Unix time less monotonic time."""

    def __init__(self, offset: Offset = _offset) -> None:
        self.offset = offset
        self.replicas: dict[UnitKey, Replica] = {}
        self.services: dict[str, Service] = {}
        self.histograms: dict[str, Observed] = {name: empty(bounds) for name, bounds in _BOUNDS.items()}
        self.exemplars: dict[str, Exemplars] = {}
        self.events: dict[str, int] = dict.fromkeys((*EVENTS.values(), OTHER), 0)
        self.tally = Tally()
        self.probes: dict[str, Probe] = {}
        self.resumed: dict[str, Callable[[], list[tuple[Labels, float]]]] = {}
        self.ticked: float | None = None
        self._configured: Mapping[str, UnitSpec] = {}

    # --- for the loop's thread --------------------------------------------------------------------------------------

    def observe(self, fact: Fact) -> None:
        """Take one fact of the loop (an Observer of `supervisor.core.ports`)."""
        if isinstance(fact, Transition):
            self._moved(fact)
        elif isinstance(fact, Wanted):
            replica = self.replicas.get(fact.unit.key)
            if replica is not None:
                if not replica.known:
                    self._first(replica, fact)
                self._account(replica, fact.unit, fact.at)
        elif isinstance(fact, Forget):
            self.forget(fact.key)

    def sync(self, view: FleetView) -> None:
        """Hold the record against a picture: what is new to it is counted from now on, what it lacks is dropped.

        For boot, after a configuration was taken, and after `import_state`. Facts that led to the picture may be told
        before or after it: a unit that they have told of leaves by its Forget, not by a picture without it. Services
        are those that are configured and those that have units; they cost a microsecond each, units two.
        """
        self._configured = view.specs
        for name, spec in view.specs.items():
            service = self.services.get(name)
            if service is None:
                service = self.services[name] = Service(name, view.at)
            enlisted(service, spec, view.at, self.offset)
        for key, unit in view.units.items():
            replica = self.replicas.get(key) or self._enrol(unit, view.at)
            if not replica.known and replica.pictured is None:
                replica.pictured = None if replica.carried else view.at
                replica.meet(unit)
                self._account(replica, unit, view.at)
        for key in [key for key, one in self.replicas.items() if not one.known and key not in view.units]:
            self._drop(key, view.at)
        for name in [name for name, one in self.services.items() if not one.members and name not in view.specs]:
            del self.services[name]

    def forget(self, key: UnitKey) -> None:
        """Drop what is kept of a replica, and of its service with the last of them, unless that is still configured."""
        self._drop(key)

    def turned(self, now: float, late: float | None) -> None:
        """Note a pass of the loop at `now` (monotonic), and by how many seconds it woke too late, if that is known."""
        self.ticked = now
        if late is not None:
            self.observe_lag(late)

    def observe_lag(self, seconds: float) -> None:
        """Note by how much the loop woke later than intended."""
        self.histograms[LAG] = observed(self.histograms[LAG], B3, max(0.0, seconds))

    def count_spawn_duration(self, seconds: float) -> None:
        """Note the time from the call that starts a process to its confirmed exec."""
        self.histograms[SPAWN] = observed(self.histograms[SPAWN], B2, seconds)

    def count_event(self, name: str) -> None:
        """Count an event that the loop took, by the name of its class."""
        self.events[EVENTS.get(name, OTHER)] += 1

    # --- for one other thread, or for all ---------------------------------------------------------------------------

    def count_output(self, service: str, stream: str, amount: int) -> None:
        """Count bytes of captured output; for the output thread alone. A service that is gone is passed over."""
        found = self.services.get(service)
        if found is not None:
            out, err = found.output
            found.output = (out + amount, err) if stream == STREAMS[0] else (out, err + amount)

    def count_dropped_lines(self, service: str, amount: int) -> None:
        """Count lines of output that were lost; for the output thread alone."""
        found = self.services.get(service)
        if found is not None:
            found.dropped += amount

    def sampled(self, usages: Mapping[UnitKey, Usage]) -> None:
        """Take what the process trees were found to use; for the sampler's thread alone. Replicas gone are passed over.

        Values are kept as they are: the sampler begins where an imported `Replica.usage` stands, and its counters never
        fall.
        """
        for key, usage in usages.items():
            replica = self.replicas.get(key)
            if replica is not None:
                replica.usage = usage

    def exemplify(
        self, family: str, service: str | None, value: float, trace_id: str, span_id: str, wall: float
    ) -> None:
        """Keep the trace of an observed value as the newest of its bucket; for the tracer's thread alone.

        `family` is a histogram of the daemon (`service` is then passed over), or the respawn latency of `service`; a
        service that is gone is passed over. KeyError for another family.
        """
        one = Exemplar(value, trace_id, span_id, wall)
        if family == LATENCY:
            found = self.services.get(service or "")
            if found is not None:
                found.exemplars = exemplified(found.exemplars, B1, one)
        else:
            self.exemplars[family] = exemplified(self.exemplars.get(family), _BOUNDS[family], one)

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        """Raise a counter of the daemon; from any thread. KeyError for a family that the catalogue does not have."""
        self.tally.add(name, labels, by)

    def put(self, name: str, value: float, *labels: str) -> None:
        """Set a gauge of the daemon; from any thread."""
        self.tally.put(name, labels, value)

    def probe(self, name: str, read: Probe) -> None:
        """Let `read` be called at each render for the values of a family.

        It runs in the thread that renders, so it must be quick. To a counter of ours is added what was counted under
        its name. KeyError for a family that the catalogue does not have.
        """
        family = BY_NAME[name]
        if family.kind is Kind.COUNTER and name.startswith(_OURS):
            self.probes[name] = self.resumed[name] = lambda: self._resumed(name, read)
        else:
            self.probes[name] = read

    def _resumed(self, name: str, read: Probe) -> list[tuple[Labels, float]]:
        """Add what an earlier daemon had counted, which the tally keeps, to what a probe of this one reads."""
        values = dict(self.tally.read(name))
        reading = read()
        for labels, value in [((), reading)] if isinstance(reading, (int, float)) else reading:
            values[labels] = values.get(labels, 0.0) + value
        return list(values.items())

    # --- transitions ------------------------------------------------------------------------------------------------

    def _enrol(self, unit: Unit, at: float) -> Replica:
        key = unit.key
        service = self.services.get(key.service)
        if service is None:
            service = self.services[key.service] = Service(key.service, at)
            enlisted(service, unit.spec, at, self.offset)
        service.members += 1
        replica = self.replicas[key] = Replica(key, service)
        return replica

    def _account(self, replica: Replica, unit: Unit, at: float) -> None:
        """Move the availability of its service on to `at`, if this replica adds to it otherwise than before."""
        up, wished = unit.state is State.RUNNING, desired(unit)
        if up is not replica.up or wished is not replica.desired:
            replica.service.account(at, up - replica.up, wished - replica.desired)
            replica.up, replica.desired = up, wished

    def _first(self, replica: Replica, fact: Transition | Wanted) -> None:
        """Get ready for the first fact of a replica: a picture ahead of it is taken back, for the facts tell all."""
        at = replica.pictured
        if at is not None and fact.at <= at:
            replica.service.account(at, -replica.up, -replica.desired)
            replica.up = replica.desired = False
            replica.life = UNSEEN
        if replica.life == UNSEEN or at is None:
            replica.meet(fact.was)
        replica.known, replica.pictured = True, None

    def _moved(self, fact: Transition) -> None:
        unit, at = fact.unit, fact.at
        replica = self.replicas.get(unit.key) or self._enrol(unit, at)
        if not replica.known:
            self._first(replica, fact)
        self._account(replica, unit, at)
        job = replica.service.job
        overhead = moved(replica, fact) if job is None else ran(replica, job, fact, self.offset)
        if overhead is not None:
            self.histograms[OVERHEAD] = observed(self.histograms[OVERHEAD], B2, overhead)
        if isinstance(fact.cause, Adopted):
            self.count(_ADOPTED)

    def _drop(self, key: UnitKey, at: float | None = None) -> None:
        """Drop a replica at a moment, or at that of what was last told of its service."""
        replica = self.replicas.pop(key, None)
        if replica is None:
            return
        service = replica.service
        service.members -= 1
        service.account(service.span[-1] if at is None else at, -replica.up, -replica.desired)
        if not service.members and key.service not in self._configured:
            self.services.pop(key.service, None)

    # --- for a successor --------------------------------------------------------------------------------------------

    def export_state(self) -> dict[str, Any]:
        """Take all counters and histograms out, as plain data that JSON can carry.

        For the loop's thread, once observers have been told of all that happened. Readings of probes are taken as at a
        render, so that a successor's own can go on from them.
        """
        return taken_out(self)

    def import_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `export_state` gave, before any fact is observed; then `sync` with the restored units.

        The interval that was open goes on: monotonic time is the machine's, not the process's. Families, buckets and
        words that this version does not have are passed over, and `sync` drops the services that are not configured any
        more. ValueError for another format, or for what is not whole; then nothing was put back.
        """
        put_back(self, state)
