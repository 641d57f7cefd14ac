"""All that watches the daemon and its services, wired: recorder, sampler, tracing, metrics page, the loop's watch.

Rules: what the loop calls here (`observers`, `turned`, `event`, `picture`) appends or counts, no more. Nothing here has
a say in supervision: the daemon would run without it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from attrs import frozen

from metrics.exposition import Exposition, Page
from metrics.recorder import Recorder
from metrics.recorder.store import Usage
from metrics.sampler import Sampler, SamplerSettings
from supervisor import instruments
from supervisor.config import Config
from supervisor.config.settings import MetricsSettings
from supervisor.control.server import Server
from supervisor.core.events import Event, Exited, Launched, Origin, Reconfigured
from supervisor.core.model import UnitKey
from supervisor.core.ports import Observer
from supervisor.core.view import FleetView
from supervisor.host import kernel
from supervisor.host.diary import Diary
from supervisor.host.edge import HostEdge
from supervisor.host.launch import Launcher
from supervisor.host.mailbox import Mailbox
from supervisor.host.output import OutputThread
from supervisor.host.pulse import Pulses
from supervisor.host.thread import attend
from supervisor.host.watch import Watch
from supervisor.loop import LONGEST
from supervisor.version import VERSION

if TYPE_CHECKING:
    from metrics.tracing import Tracing

#: Seconds: `status` and its like get figures no older than this: less than what a restart takes to settle.
FRESH = 0.5


@frozen
class Parts:
    """What the page reads of the rest of the daemon."""

    edge: HostEdge
    mailbox: Mailbox[Any]
    launcher: Launcher
    output: OutputThread
    server: Server
    diary: Diary


class Telemetry:
    """Makes everything when it is made, and starts it in `start`.

    `view` gives the present picture, `tag` what RESPAWND_LIFE is of a life; `also` is called every few seconds, in the
    sampler's thread.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        view: Callable[[], FleetView],
        tag: Callable[[UnitKey, int], str],
        also: Sequence[Callable[[], None]],
        pulses: Pulses,
    ) -> None:
        self._began, self._view, self._pulses = time.monotonic(), view, pulses
        self._resync = True
        self._watch = Watch(self._began, LONGEST)
        self._recorder = Recorder()
        self._sampler = Sampler(
            view,
            self._recorder,
            _sampled(config.metrics),
            tag=tag,
            also=(lambda: self._watch.look(time.monotonic()), *also),
            # At the loop's own priority: a niced thread that loses its processor keeps the interpreter's lock.
            attend=partial(attend, pulses=pulses),
        )
        self._tracing = self._tracer(config, environ)
        slow = self._tracing.render_slow if self._tracing is not None else None
        self._exposition = Exposition(self._recorder, view, max_series=config.metrics.max_series, slow=slow)
        instruments.describe(self._recorder, config)
        instruments.loaded(self._recorder, config)

    def _tracer(self, config: Config, environ: Mapping[str, str]) -> Tracing | None:
        if config.tracing.exporter == "off":
            return None
        from metrics.tracing import Identity, Tracing, enabled  # noqa: PLC0415 - 5 ms that only who traces pays

        if not enabled(config.tracing, environ):
            return None
        identity, life = Identity(VERSION, config.daemon.state_dir), partial(attend, pulses=self._pulses)
        return Tracing(config.tracing, identity, self._recorder, environ, attend=life)

    # --- life ---------------------------------------------------------------------------------------------------------

    def connect(self, parts: Parts) -> None:
        """Let the page read the parts, and launches carry their trace."""
        recorder = self._recorder
        self._counts = instruments.OutputCounts(parts.output, recorder)
        instruments.wire(recorder, self._view, parts.server, parts.diary, lambda: parts.edge.lives.orphans_reaped)
        instruments.threads(recorder, self._pulses)
        queues = instruments.queues_of(
            self._view, parts.mailbox, parts.launcher, parts.output, parts.server, parts.diary
        )
        if self._tracing is not None:
            parts.launcher.trace = self._tracing.traceparent
            queues |= instruments.queues_of_tracing(self._tracing)
        instruments.queues(recorder, queues)

    def start(self, config: Config) -> None:
        """Start the threads."""
        self._sampler.start()
        if self._tracing is not None:
            self._tracing.boot(self._began, len(config.services), instruments.digest(config))
            self._tracing.start()

    def stop(self, timeout: float) -> bool:
        """End the threads; False if one is left to the end of the process after `timeout` seconds."""
        until = time.monotonic() + timeout
        done = self._sampler.stop(timeout)
        if self._tracing is not None:
            done = self._tracing.stop(max(0.0, until - time.monotonic())) and done
        return done

    # --- in the loop's turn -------------------------------------------------------------------------------------------

    @property
    def last_turn(self) -> float:
        """The moment of the loop's last turn."""
        return self._watch.last_turn

    @property
    def observers(self) -> tuple[Observer, ...]:
        """Who is told of facts."""
        return (self._recorder.observe,) if self._tracing is None else (self._recorder.observe, self._tracing.observe)

    def turned(self, now: float, late: float | None) -> None:
        """Note a turn of the loop at `now`, and by how much it came late, if that is known."""
        self._recorder.turned(now, late)
        self._watch.turned(now)

    def event(self, event: Event) -> None:
        """Note an event that was taken."""
        self._recorder.count_event(type(event).__name__)
        if isinstance(event, Exited):
            self._sampler.exited(event.key, event.life, event.consumed)
        elif isinstance(event, Launched):
            self._recorder.count_spawn_duration(event.spent)
        elif isinstance(event, Reconfigured):
            self._resync = True
        if self._tracing is not None:
            self._tracing.event(event)

    def picture(self, view: FleetView) -> None:
        """Note a picture; after boot and reload the record is held against it, for units that have not moved yet."""
        if self._resync:
            self._resync = False
            self._recorder.sync(view)
        if self._tracing is not None:
            self._tracing.picture(view)

    # --- for any thread -----------------------------------------------------------------------------------------------

    def loaded(self, before: Config, config: Config, began: float, origin: Origin | None = None) -> None:
        """Note that `config` was taken in the place of `before`, which took since `began`."""
        instruments.loaded(self._recorder, config)
        self._sampler.configure(_sampled(config.metrics))
        self._exposition.configure(config.metrics.max_series)
        if self._tracing is not None:
            changed = instruments.changed_services(before, config)
            words = instruments.digest(before), instruments.digest(config)
            self._tracing.reloaded(began, *words, changed, 0, origin)

    def refused(self, before: Config, problems: int, began: float, origin: Origin | None = None) -> None:
        """Note that a configuration was refused for so many problems."""
        instruments.loaded(self._recorder, None)
        if self._tracing is not None:
            self._tracing.reloaded(began, instruments.digest(before), None, 0, problems, origin)

    def usage(self, keys: Iterable[UnitKey]) -> Mapping[UnitKey, Usage]:
        """What the processes of each use, at most half a second ago; one that was never looked at is missing."""
        self._sampler.fresh(FRESH)
        known = ((key, self._recorder.replicas.get(key)) for key in keys)
        return {key: one.usage for key, one in known if one is not None and one.usage is not None}

    def page(self, accept: str, encoding: str, names: tuple[str, ...], budget: float | None) -> Page:
        """The metrics page."""
        self._counts.carry(self._view().units)
        page = self._exposition.page(accept, encoding, names, budget)
        kernel.trim()
        return page


def _sampled(settings: MetricsSettings) -> SamplerSettings:
    return SamplerSettings(settings.sample_interval, settings.pressure, settings.pss)
