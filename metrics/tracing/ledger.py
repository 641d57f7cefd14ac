"""The open episodes of each replica, and how one is begun, linked and ended.

An episode is told of once, when it ends, whole or not at all. Which of them are recorded: `metrics.tracing.sampling`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from metrics.tracing import words
from metrics.tracing.ids import Context, Ids, parsed
from metrics.tracing.sampling import ONE_IN, Sampling
from metrics.tracing.spans import Episode, Link, Record
from supervisor.core import events as ev
from supervisor.core.effects import Transition, Wanted
from supervisor.core.model import UnitKey

Change = Transition | Wanted


class Sink(NamedTuple):
    """Whom the episodes tell: of finished spans, of a number of spans that were sampled out, of exemplars.

    An exemplar is of a family, of a service or None, a value, the span that shows where it comes from, and a wall time.
    """

    records: Callable[[Sequence[Record]], None]
    sampled_out: Callable[[int], None]
    exemplar: Callable[[str, str | None, float, Context, float], None]


class Track:
    """What is going on with one replica: `up` brings a life up (or is a run of a job), `down` takes one down.

    `last` is the recorded episode that brought up its present life, or failed to; `told` the number of the life whose
    episode was told of last; `paused` the part of the respawn under way that is not the supervisor's own, in seconds.
    """

    __slots__ = ("down", "key", "last", "paused", "told", "up")

    def __init__(self, key: UnitKey) -> None:
        self.key = key
        self.up: Episode | None = None
        self.down: Episode | None = None
        self.last: Context | None = None
        self.told: int | None = None
        self.paused = 0.0

    @property
    def episodes(self) -> tuple[Episode, ...]:
        """Those that are open."""
        return tuple(episode for episode in (self.up, self.down) if episode is not None)


class Ledger:
    """All tracks, and what the whole daemon is about. `offset`: nanoseconds of wall less monotonic time, now.

    `boot` is the span of the boot and `booted` the moment of its end; `shutdown` is the event that asked for the
    daemon's end, and `closing` that it has begun.
    """

    def __init__(self, ids: Ids, sampling: Sampling, sink: Sink, offset: Callable[[], int]) -> None:
        self.ids, self.sampling, self.sink, self.offset = ids, sampling, sink, offset
        self.tracks: dict[UnitKey, Track] = {}
        self.boot: Context | None = None
        self.booted: float | None = None
        self.shutdown: ev.Shutdown | None = None
        self.closing = False

    def track(self, key: UnitKey) -> Track:
        """What is kept of a replica."""
        track = self.tracks.get(key)
        if track is None:
            track = self.tracks[key] = Track(key)
        return track

    # --- begin ------------------------------------------------------------------------------------------------------

    def begin(self, track: Track, name: str, fact: Change, begun: float) -> Episode:
        """Make an episode that began at `begun`, linked with the one before it and with who asked for it."""
        episode = Episode(name, begun, words.common(fact.unit), self.offset())
        if track.last is not None:
            episode.links.append(Link(track.last, "previous"))
        self.asked(episode, fact)
        return episode

    def asked(self, episode: Episode, fact: Change) -> None:
        """Say who asked for what happened, and in which trace."""
        origin = getattr(fact.cause, "origin", None)
        episode.attributes.update(words.asked_by(origin))
        context = parsed(origin.trace) if origin is not None and origin.trace else None
        if context is not None:
            episode.links.append(Link(context, "command"))
        elif self._shuts_down(fact):
            episode.links.append(Link(self.ids.named("shutdown"), "shutdown"))
        elif self.boot is not None and self._boots(fact):
            episode.links.append(Link(self.boot, "boot"))

    def why_up(self, fact: Change) -> str:
        """The start.trigger: boot, manual, config, or dependency."""
        if isinstance(fact.cause, ev.Start) and fact.cause.origin is None:
            return "boot" if self._boots(fact) else "config"
        return "manual" if isinstance(fact.cause, (ev.Start, ev.RestartAsked)) else "dependency"

    def why_down(self, fact: Change) -> str:
        """The stop.trigger: shutdown, manual, config, or dependency."""
        if self._shuts_down(fact):
            return "shutdown"
        if isinstance(fact.cause, ev.Stop) and fact.cause.origin is None:
            return "config"
        return "dependency" if isinstance(fact.cause, ev.DependencyLost) else "manual"

    def _boots(self, fact: Change) -> bool:
        """Whether the boot asked for this. Facts are told after the picture that shows the boot's end."""
        ours = isinstance(fact.cause, ev.Start) and fact.cause.origin is None
        return ours and self.boot is not None and (self.booted is None or fact.at <= self.booted)

    def _shuts_down(self, fact: Change) -> bool:
        """Whether the daemon's own end asked for this; the fleet hands its origin on to each."""
        cause = fact.cause
        if not isinstance(cause, ev.Stop):
            return False
        if self.shutdown is not None and cause.origin is self.shutdown.origin:
            return True
        return self.closing and cause.origin is None

    # --- end --------------------------------------------------------------------------------------------------------

    def cancel(self, track: Track, at: float) -> None:
        """Something else came in between what brings a life up; that is no error."""
        if track.up is not None:
            track.up.tell("cancelled", at)
            self.finish(track, track.up, at)

    def finish(self, track: Track, episode: Episode, at: float) -> None:
        """Tell of an episode, unless it came to nothing or is sampled out."""
        up = episode is track.up
        if up:
            track.up = None
        else:
            track.down = None
        if episode.tentative:
            return
        context, share = self._judged(track, episode, up)
        if share == 0:
            self.sink.sampled_out(1 + len(episode.children))
            return
        for phase, seconds in episode.phases.items():
            episode.attributes[f"respawnd.{phase}_seconds"] = round(seconds, 9)
        if episode.error is not None:
            episode.attributes["error.type"] = episode.error
        if share < 1:
            episode.attributes["respawnd.sampled_ratio"] = 1 / ONE_IN
        self.sink.records(episode.finished(at, context, self.ids.child))
        if up:
            track.last = context

    def _judged(self, track: Track, episode: Episode, up: bool) -> tuple[Context, float]:
        """Where an episode stands, and the share of its like that is recorded."""
        key, life = track.key, episode.life
        if not up or life is None or life == track.told:  # told: taken up again, after quarantine
            context = self.ids.fresh()
            return context, self.sampling.once(key.service, context.trace_id)
        track.told = life
        share = self.sampling.life(key, life)
        self.sampling.done(key, life)
        return self.ids.life(key, life), share

    def end(self, at: float) -> None:
        """The daemon ends: tell of what is open as far as it is known."""
        for track in self.tracks.values():
            for episode in track.episodes:
                episode.tell("daemon.shutdown", at)
                self.finish(track, episode, at)
        self.tracks.clear()

    def forget(self, key: UnitKey) -> None:
        """The unit is no more."""
        track = self.tracks.pop(key, None)
        for episode in track.episodes if track is not None else ():
            assert track is not None
            self.finish(track, episode, episode.begun)
        self.sampling.forget(key)

    def reset(self) -> int:
        """Facts were lost, so what is open cannot be told of: drop it. How many spans that is."""
        open_ones = [episode for track in self.tracks.values() for episode in track.episodes]
        self.tracks.clear()
        self.sampling.reset()
        return sum(1 + len(episode.children) for episode in open_ones)
