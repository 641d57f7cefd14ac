"""The loop: the single writer. It turns what happened into events for the fleet and the fleet's answers into effects.

Rules: it imports only the core; the edge, the clock and the observers are handed in. Nothing in a turn blocks but the
wait for events, and it turns at least every `LONGEST` seconds, so that a stall can be told from idleness. Effects of an
event are carried out before the next event is decided, so that a respawn waits for nothing but its own decision;
observers hear of it in the next moment in which no event waits: in a crash storm, what is told of it comes after what
is done about it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from supervisor.core import effects as fx
from supervisor.core.effects import Turn
from supervisor.core.events import Event, Origin, Shutdown
from supervisor.core.fleet import Fleet
from supervisor.core.ports import Ask, Edge, Fact, Observer
from supervisor.core.view import FleetView

log = logging.getLogger("respawnd.loop")

#: Seconds between turns at the longest, so that a loop with nothing to do can be told from one that is stuck.
LONGEST = 5.0
#: Facts that may wait for a quiet moment before observers are told in any case.
MOST_FACTS = 4096


class Loop:
    """Runs a fleet over an edge until it has finished.

    `publish` is given a new picture after every turn that changed it; `on_turn` the moment of each turn and, where its
    deadline had come, by how many seconds it was late; `on_event` each event after it was taken, those that the fleet
    gave to its units by itself among them.
    """

    def __init__(
        self,
        fleet: Fleet,
        edge: Edge,
        clock: Callable[[], float],
        observers: Sequence[Observer],
        publish: Callable[[FleetView], None],
        on_turn: Callable[[float, float | None], None],
        on_event: Callable[[Event], None],
    ) -> None:
        self._fleet, self._edge, self._clock = fleet, edge, clock
        self._observers = list(observers)
        self._publish = publish
        self._on_turn, self._on_event = on_turn, on_event
        self._facts: list[Fact] = []
        self._answered: list[tuple[Ask, Exception | None]] = []
        self._number = 0
        self._code: int | None = None
        self._alone = False
        self._unpublished = True

    def run(self) -> int:
        """Boot the fleet, then turn until it has finished; the daemon's exit status."""
        self._take(self._fleet.boot(self._clock()))
        self._close_turn()
        while self._code is None:
            self.turn()
        self._tell_all()
        return self._code

    def turn(self) -> None:
        """Wait for events or the next deadline, and take them all; observers are told when nothing is more urgent."""
        batch = self._edge.wait(0.0) if self._facts else ()
        if not batch or len(self._facts) > MOST_FACTS:
            self._tell_all()
        deadline = self._fleet.deadline
        before = self._clock()
        intended = before + LONGEST if deadline is None else min(before + LONGEST, deadline)
        batch = batch or self._edge.wait(max(0.0, intended - before))
        late = self._clock() - intended
        self._alone = len(batch) <= 2
        for item in batch:
            if isinstance(item, Ask):
                self._answer(item)
            else:
                self._step(item)
        now = self._clock()
        if self._due(now):
            self._take(self._fleet.tick(now))
        self._close_turn()
        # Also where news came before it looked at the clock: after a stall there always is some.
        self._on_turn(now, late if late > 0 or not batch else None)

    def shutdown(self, *, hurry: bool = False, origin: Origin | None = None) -> None:
        """Begin, or hurry, the shutdown; to be called in the loop's own turn or before it runs."""
        self._step(Shutdown(hurry=hurry, origin=origin))

    def _due(self, now: float) -> bool:
        deadline = self._fleet.deadline
        return deadline is not None and deadline <= now

    def _answer(self, ask: Ask) -> None:
        try:
            event = ask.call()
            if event is not None:
                self._step(event)
        except Exception as error:  # noqa: BLE001 - the asker gets it; the loop goes on
            self._answered.append((ask, error))
        else:
            self._answered.append((ask, None))

    def _step(self, event: Event) -> None:
        self._take(self._fleet.step(event, self._clock()))
        self._on_event(event)

    def _take(self, turn: Turn) -> None:
        """Carry out what an event asked for; answers that come at once are taken at once."""
        self._unpublished = True
        self._facts.extend(turn.transitions)
        for event in turn.inner:
            self._on_event(event)
        for effect in turn.effects:
            answer = self._carry_out(effect)
            if answer is not None:
                self._step(answer)

    def _carry_out(self, effect: fx.Effect) -> Event | None:
        edge = self._edge
        if isinstance(effect, fx.Launch):
            return edge.launch(effect, alone=self._alone)
        if isinstance(effect, fx.Signal):
            edge.signal(effect)
        elif isinstance(effect, fx.Sweep):
            return edge.sweep(effect)
        elif isinstance(effect, fx.Finish):
            self._code = effect.code
        elif isinstance(effect, fx.Forget):
            edge.forget(effect)
            self._facts.append(effect)
        elif isinstance(effect, fx.Notice):
            self._facts.append(effect)
        return None

    def _close_turn(self) -> None:
        if self._unpublished or self._answered:
            self._unpublished = False
            self._number += 1
            fleet = self._fleet
            units, now = dict(fleet.units), self._clock()
            self._publish(FleetView(units, self._number, now, fleet.booted, fleet.closing, fleet.specs))
        # Only now, so that who asked finds a picture in which it has happened.
        answered, self._answered = self._answered, []
        for ask, problem in answered:
            ask.done(problem)

    def _tell_all(self) -> None:
        facts, self._facts = self._facts, []
        for observer in list(self._observers) if facts else ():
            self._tell(observer, facts)

    def _tell(self, observer: Observer, facts: Sequence[Fact]) -> None:
        try:
            for fact in facts:
                observer(fact)
        except Exception:  # an observer must not hurt the observed
            log.exception("Removed an observer that failed: %r", observer)
            self._observers.remove(observer)
