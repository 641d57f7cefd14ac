"""The recorder: an observer of the loop that counts what happened to every service, and what the loop itself did.

Rules: `observe`, `turned`, `count_event`, `count_spawn_duration` and `observe_lag` belong to the loop's thread and take
no lock; `count` and `put` are for every thread. Nothing here reads a clock: durations come from the moments in the
facts. A transition tells what changed since the recorder last looked at the unit, not only what changed in it: what
happened without a change of state (an exit while stopping, a launch that failed at once) is counted with the next
transition.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from metrics.catalog import B1, B2, B3, BY_NAME, EVENTS, OTHER, REASONS, STREAMS, TRIGGERS
from metrics.recorder.store import (
    UNSEEN,
    Exemplar,
    Exemplars,
    Observed,
    Replica,
    Service,
    Usage,
    counted,
    empty,
    exemplified,
    observed,
)
from metrics.recorder.tally import Labels, Tally
from supervisor.core.effects import Forget, Transition, Wanted
from supervisor.core.model import UnitKey
from supervisor.core.ports import Fact
from supervisor.core.state import Reason, State, Trigger, Unit
from supervisor.core.view import FleetView, desired

#: One value, or label values (in the catalogue's order) with a value each.
Reading = float | Iterable[tuple[Labels, float]]
Probe = Callable[[], Reading]

# By identity, for members are few and immortal: hashing an Enum, or asking it for its value, runs Python (250 ns).
_TRIGGER = {id(trigger): TRIGGERS.index(trigger.value) for trigger in Trigger}
_REASON = {id(reason): REASONS.index(reason.value) for reason in Reason}
LAG = "respawnd_loop_lag_seconds"
OVERHEAD = "respawnd_respawn_overhead_seconds"
SPAWN = "respawnd_spawn_duration_seconds"
_BOUNDS = {LAG: B3, OVERHEAD: B2, SPAWN: B2}
LATENCY = "respawnd_service_respawn_latency_seconds"
_ADOPTED = "respawnd_children_adopted_total"
FORMAT = 1


class Recorder:
    """Counts for the whole daemon. Readers: see `metrics.exposition`."""

    def __init__(self) -> None:
        self.replicas: dict[UnitKey, Replica] = {}
        self.services: dict[str, Service] = {}
        self.histograms: dict[str, Observed] = {name: empty(bounds) for name, bounds in _BOUNDS.items()}
        self.exemplars: dict[str, Exemplars] = {}
        self.events: dict[str, int] = dict.fromkeys((*EVENTS.values(), OTHER), 0)
        self.tally = Tally()
        self.probes: dict[str, Probe] = {}
        self.ticked: float | None = None

    # --- for the loop's thread --------------------------------------------------------------------------------------

    def observe(self, fact: Fact) -> None:
        """Take one fact of the loop (an Observer of `supervisor.core.ports`)."""
        if isinstance(fact, Transition):
            self._moved(fact.was, fact.unit, fact.at, fact.event)
        elif isinstance(fact, Wanted):
            self._wanted(fact.unit, fact.at)
        elif isinstance(fact, Forget):
            self.forget(fact.key)

    def sync(self, view: FleetView) -> None:
        """Hold the record against a picture: units new to it are counted from now on, those it lacks are dropped.

        For boot, after a configuration was taken, and after `import_state`; costs a microsecond or two a unit.
        """
        for key, unit in view.units.items():
            replica = self.replicas.get(key) or self._enrol(key, view.at)
            if replica.life == UNSEEN:
                replica.know(unit, answered=unit.state is not State.LAUNCHING)
            self._account(replica, unit, view.at)
        for key in [key for key in self.replicas if key not in view.units]:
            self.forget(key)

    def forget(self, key: UnitKey) -> None:
        """Drop what is kept of a replica, and of its service with the last of them."""
        replica = self.replicas.pop(key, None)
        if replica is None:
            return
        service = replica.service
        service.members -= 1
        service.account(service.span[-1], -replica.up, -replica.desired)
        if not service.members:
            self.services.pop(key.service, None)

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

        Values are kept as they are: the sampler sees to it that counters never fall.
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

        It runs in the thread that renders, so it must be quick. KeyError for a family that the catalogue does not have.
        """
        self.probes[BY_NAME[name].name] = read

    # --- transitions ------------------------------------------------------------------------------------------------

    def _enrol(self, key: UnitKey, at: float) -> Replica:
        service = self.services.get(key.service)
        if service is None:
            service = self.services[key.service] = Service(key.service, at)
        service.members += 1
        replica = self.replicas[key] = Replica(key, service)
        return replica

    def _account(self, replica: Replica, unit: Unit, at: float) -> None:
        """Move the availability of its service on to `at`, if this replica adds to it otherwise than before."""
        up, wished = unit.state is State.RUNNING, desired(unit)
        if up is not replica.up or wished is not replica.desired:
            replica.service.account(at, up - replica.up, wished - replica.desired)
            replica.up, replica.desired = up, wished

    def _moved(self, was: Unit, unit: Unit, at: float, event: str) -> None:
        replica = self.replicas.get(unit.key) or self._enrol(unit.key, at)
        if replica.life == UNSEEN:
            replica.know(was, answered=was.state is not State.LAUNCHING)
        self._account(replica, unit, at)
        if unit.exit is not replica.exit:
            self._died(replica, unit)
        if unit.state is was.state:
            return
        if was.state is State.LAUNCHING and event != "Quarantined":
            self._answered(replica, was, unit, event)
        elif was.state is State.BACKOFF:
            replica.paused += was.delay
        elif was.state is State.WAITING:
            replica.paused += at - was.since
        if event == "Adopted":
            replica.life = unit.life
            self.count(_ADOPTED)
        elif unit.state is State.RUNNING:
            self._rose(replica.service, unit)
        elif unit.state is State.KILLING:
            replica.service.escalations += 1

    def _wanted(self, unit: Unit, at: float) -> None:
        replica = self.replicas.get(unit.key)
        if replica is not None:
            self._account(replica, unit, at)

    def _died(self, replica: Replica, unit: Unit) -> None:
        """Count an exit that was not counted yet; each exit is a value of its own, so identity tells them apart."""
        if unit.exit is not None:
            service = replica.service
            service.exits = counted(service.exits, _REASON[id(unit.exit.reason)])
            replica.paused = 0.0
        replica.exit = unit.exit

    def _rose(self, service: Service, unit: Unit) -> None:
        if unit.ready_at is not None and unit.started_at is not None:
            number, total = service.ready
            service.ready = number + 1, total + max(0.0, unit.ready_at - unit.started_at)

    def _answered(self, replica: Replica, was: Unit, unit: Unit, event: str) -> None:
        """A launch was answered. Lives between the last that was counted and this one failed without a transition."""
        launched = event == "Launched"
        service = replica.service
        ok, error = service.spawns
        service.spawns = ok + launched, error + max(0, was.life - replica.life - launched)
        replica.life = was.life
        if not launched:
            return
        if unit.trigger is not None:
            replica.restarts = counted(replica.restarts, _TRIGGER[id(unit.trigger)])
        if unit.died_at is not None and unit.started_at is not None:
            latency = max(0.0, unit.started_at - unit.died_at)
            service.latency = observed(service.latency, B1, latency)
            overhead = max(0.0, latency - replica.paused)
            self.histograms[OVERHEAD] = observed(self.histograms[OVERHEAD], B2, overhead)

    # --- for a successor --------------------------------------------------------------------------------------------

    def export_state(self) -> dict[str, Any]:
        """Take all counters and histograms out, as plain data that JSON can carry; for the loop's thread."""
        return {
            "format": FORMAT,
            "services": {name: _taken_out(service) for name, service in self.services.items()},
            "replicas": [
                [*key, replica.up, replica.desired, replica.restarts] for key, replica in self.replicas.items()
            ],
            "histograms": dict(self.histograms),
            "events": dict(self.events),
            "counters": self.tally.export(),
        }

    def import_state(self, state: Mapping[str, Any]) -> None:
        """Put back what `export_state` gave, before any fact is observed; then `sync` with the restored units.

        The interval that was open goes on: monotonic time is the machine's, not the process's. ValueError for another
        format.
        """
        if state.get("format") != FORMAT:
            raise ValueError(f"cannot take over metrics: format {state.get('format')}, not {FORMAT}")
        for name, replica, up, wished, restarts in state["replicas"]:
            taken = self._enrol(UnitKey(name, replica), 0.0)
            taken.up, taken.desired, taken.restarts = up, wished, tuple(restarts)
        for name, totals in state["services"].items():
            _put_back(self.services[name], totals)
        for name, (counts, total) in state["histograms"].items():
            self.histograms[name] = tuple(counts), total
        self.events.update(state["events"])
        for name, values in state["counters"].items():
            for labels, value in values:
                self.count(name, *labels, by=value)


_CARRIED = ("exits", "spawns", "ready", "escalations", "output", "dropped", "shown")


def _taken_out(service: Service) -> dict[str, Any]:
    return {"span": service.span, "latency": service.latency} | {name: getattr(service, name) for name in _CARRIED}


def _put_back(service: Service, totals: Mapping[str, Any]) -> None:
    for name in _CARRIED:
        value = totals[name]
        setattr(service, name, tuple(value) if isinstance(value, list) else value)
    counts, total = totals["latency"]
    service.latency = tuple(counts), total
    running, up, wished, wants, last = totals["span"]
    service.span = running, up, wished, wants, last
