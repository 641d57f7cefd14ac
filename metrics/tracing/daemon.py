"""Episodes of the daemon itself: its boot, its end, reloads of the configuration, a page that took long."""

from __future__ import annotations

from metrics.tracing import words
from metrics.tracing.ids import Context, parsed
from metrics.tracing.ledger import Ledger
from metrics.tracing.spans import Attributes, Episode, Link
from supervisor.core.events import Origin, Shutdown


class Daemon:
    """What the daemon is about. Moments are monotonic seconds; all but `boot` belongs to the thread of the spans."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._boot: Episode | None = None
        self._shutdown: Episode | None = None

    def boot(self, began: float, services: int, digest: str, reason: str) -> None:
        """The boot is under way since `began`."""
        self._boot = self._episode(
            "respawnd.boot", began, {"respawnd.services": services, "config.hash": digest, "boot.reason": reason}
        )
        self._ledger.boot = self._ledger.ids.named("boot")

    def booted(self, at: float) -> None:
        """The first launch of everything that needed nothing has been answered."""
        self._ledger.booted = at
        boot, self._boot = self._boot, None
        if boot is not None:
            self._tell(boot, at, self._ledger.ids.named("boot"))

    def shutting(self, event: Shutdown | None, at: float) -> None:
        """The end was asked for, or (None) has begun because a service asked for it; a second time hurries."""
        ledger = self._ledger
        ledger.closing = True
        if event is not None and ledger.shutdown is None:
            ledger.shutdown = event
        if self._shutdown is None:
            self._shutdown = self._episode("respawnd.shutdown", at, {}, event.origin if event is not None else None)
        elif event is not None and event.hurry:
            self._shutdown.tell("hurry", at)

    def end(self, at: float) -> None:
        """The daemon ends now."""
        self._ledger.end(at)
        boot, self._boot = self._boot, None
        shutdown, self._shutdown = self._shutdown, None
        if boot is not None:
            boot.tell("daemon.shutdown", at)
            self._tell(boot, at, self._ledger.ids.named("boot"))
        if shutdown is not None:
            self._tell(shutdown, at, self._ledger.ids.named("shutdown"))

    def reloaded(
        self,
        began: float,
        at: float,
        before: str,
        after: str | None,
        changed: int,
        problems: int,
        origin: Origin | None,
    ) -> None:
        """A reload is over. What was wrong is in the log: a configuration may quote secrets."""
        episode = self._episode("config.reload", began, {"config.hash.old": before}, origin)
        if after is None:
            episode.error = "config"
            episode.tell("validation.error", at, problems=problems)
        else:
            episode.attributes["config.hash.new"] = after
            episode.attributes["config.changed_services"] = changed
        self._tell(episode, at, self._ledger.ids.fresh())

    def render_slow(self, at: float, series: int, size: int, duration: float) -> None:
        """A page of metrics took long."""
        found: Attributes = {"series": series, "bytes": size, "duration": duration}
        self._tell(self._episode("metrics.render_slow", at - duration, found), at, self._ledger.ids.fresh())

    def _episode(self, name: str, begun: float, attributes: Attributes, origin: Origin | None = None) -> Episode:
        found = {**attributes, **words.asked_by(origin)}
        episode = Episode(name, begun, found, self._ledger.offset())
        context = parsed(origin.trace) if origin is not None and origin.trace else None
        if context is not None:
            episode.links.append(Link(context, "command"))
        return episode

    def _tell(self, episode: Episode, at: float, context: Context) -> None:
        ledger = self._ledger
        if not ledger.sampling.wants(context.trace_id):
            ledger.sink.sampled_out(1)
            return
        if episode.error is not None:
            episode.attributes["error.type"] = episode.error
        ledger.sink.records(episode.finished(at, context, ledger.ids.child))
