"""One unit against a random but plausible host and a fleet that opens and closes its gate as it likes.

The laws of one unit, asked after every step; the fleet's adversary is `tests.core.adversary`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.decide import TABLE, decide
from supervisor.core.model import UnitKey, UnitSpec
from supervisor.core.state import LaunchError, State, Trigger, Unit, Want
from supervisor.core.steps import OPEN, Gate
from tests.core import adversary, laws

KEY = UnitKey("a")
SPECS = adversary.specs("a")
GATES = st.sampled_from(
    [OPEN, OPEN, Gate(dependencies=("db ready",)), Gate(slots=("parallelism",)), Gate(tokens=("rate",))]
)
TRIGGERS = st.sampled_from([Trigger.MANUAL, Trigger.FEEDBACK])
#: Deadlines between the word to stop and the end of what SIGKILL ends: launch overdue, kill, kill again.
BOUND = 4


class UnitMachine(RuleBasedStateMachine):
    """Everything that can be said to one unit."""

    unit: Unit

    @initialize(spec=SPECS)
    def open(self, spec: UnitSpec) -> None:
        """Begin with a unit at rest."""
        self.unit, self.now, self.gate = Unit(KEY, spec), 1000.0, OPEN
        self.flight = self.main = self.left = self.killed = self.asked = False
        self.launches: list[float] = []

    def tell(self, event: Any) -> None:
        """Decide, hold the unit to its row, and carry out what it asks for."""
        was = self.unit
        self.unit, effects = decide(was, event, self.now, self.gate)
        declared = {was.state, *TABLE[was.state].leads_to}
        assert self.unit.state in declared or isinstance(event, ev.Quarantined)
        assert (self.unit.since == self.now) or self.unit.state is was.state, "a change of state has its moment"
        for effect in effects:
            if isinstance(effect, fx.Launch):
                self.launch(was, effect)
            elif isinstance(effect, fx.Signal):
                assert self.main, "a signal goes only to a living life"
                assert effect.life == self.unit.life
            elif isinstance(effect, fx.Sweep):
                assert self.main or self.left, "a sweep goes only to what lives"
                self.killed = self.killed or effect.signal == 9

    def launch(self, was: Unit, effect: fx.Launch) -> None:
        """A life begins: where nothing is, under a new number, within the budget."""
        assert not any((self.flight, self.main, self.left)), "at most one life"
        assert effect.life == was.life + 1
        assert self.unit.want is Want.UP, "nobody is launched who is not wanted"
        assert () == self.gate.in_the_way(self.unit.trigger), "the gate is open"
        self.flight, self.killed, self.asked = True, False, False
        self.launches.append(self.now)
        policy = effect.spec.give_up
        if policy.failures is not None:
            recent = [at for at in self.launches if at > self.now - policy.within]
            assert len(recent) <= policy.failures + 1, "restart intensity"

    # --- the host ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.flight)
    @rule(ok=st.sampled_from([True, True, True, False]), draw=adversary.DRAW)
    def answered(self, ok: bool, draw: float) -> None:
        """Exec is answered."""
        self.flight, self.main = False, ok
        if ok:
            self.tell(ev.Launched(KEY, self.unit.life, 7, self.now, self.now))
        else:
            self.tell(ev.LaunchFailed(KEY, self.unit.life, LaunchError("exec", 2, "no such file"), draw))

    @precondition(lambda self: self.main)
    @rule(
        code=st.sampled_from([0, 1, 7]), crash=st.booleans(), left=st.booleans(), oom=st.booleans(), draw=adversary.DRAW
    )
    def ends(self, code: int, crash: bool, left: bool, oom: bool, draw: float) -> None:
        """The main process ends."""
        self.main, self.left = False, left
        spent, life, signal = self.unit.failures, self.unit.life, 11 if crash else None
        answer = None if crash else code
        self.tell(ev.Exited(KEY, life, answer, signal, self.now, self.now, oom=oom, left=left, draw=draw))
        assert not self.asked or spent == self.unit.failures, "what was asked for spends no budget"

    @precondition(lambda self: self.left)
    @rule()
    def last_one_ends(self) -> None:
        """The last straggler ends."""
        self.left = False
        spent = self.unit.failures
        self.tell(ev.Gone(KEY, self.unit.life))
        assert not self.asked or spent == self.unit.failures, "what was asked for spends no budget"

    @precondition(lambda self: self.unit.state is not State.WAITING)
    @rule()
    def says_ready(self) -> None:
        """Ready, in time or late."""
        self.tell(ev.Ready(KEY, self.unit.life))

    @precondition(lambda self: self.unit.state is not State.LAUNCHING)
    @rule()
    def fails_its_check(self) -> None:
        """Unhealthy, in time or late."""
        self.tell(ev.Unhealthy(KEY, self.unit.life))

    @rule(back=st.integers(1, 3))
    def ghost(self, back: int) -> None:
        """News of an older life changes nothing."""
        was, life = self.unit, self.unit.life - back
        self.tell(ev.Exited(KEY, life, 1, None, 0.0, 0.0))
        self.tell(ev.Launched(KEY, life, 1, 0.0, 0.0))
        self.tell(ev.Gone(KEY, life))
        assert self.unit is was

    @rule(times=st.integers(2, 6), code=st.sampled_from([0, 1]))
    def crash_loop(self, times: int, code: int) -> None:
        """It dies as soon as it is up, again and again."""
        for _ in range(times):
            if self.flight:
                self.answered(ok=True, draw=0.5)
            if self.main:
                self.ends(code=code, crash=False, left=False, oom=False, draw=0.5)
            if self.unit.state is State.BACKOFF:
                self.to_deadline()

    # --- operators and the fleet ------------------------------------------------------------------------------------

    @rule()
    def start(self) -> None:
        """An operator starts it."""
        self.forget()
        self.asked = self.asked or (self.unit.want is Want.DOWN and self.unit.state in (State.STOPPING, State.KILLING))
        self.tell(ev.Start((KEY,)))

    @rule()
    def stop(self) -> None:
        """An operator stops it."""
        self.tell(ev.Stop((KEY,)))
        assert self.unit.want is Want.DOWN

    @rule(trigger=TRIGGERS)
    def restart(self, trigger: Trigger) -> None:
        """It is restarted: its record is clean, and no death on the way counts."""
        self.forget()
        self.tell(ev.RestartAsked((KEY,), trigger))
        self.asked = self.unit.state in (State.STOPPING, State.KILLING)
        assert (Want.UP, (), 0) == (self.unit.want, self.unit.failures, self.unit.streak)

    @rule()
    def stop_to_the_end(self) -> None:
        """Told to stop, what SIGKILL ends is stopped after a bounded number of deadlines."""
        self.tell(ev.Stop((KEY,)))
        for _ in range(BOUND):
            if self.flight:
                self.answered(ok=True, draw=0.5)
            if self.killed:
                self.main = self.left = False
                life = self.unit.life
                event = ev.Gone(KEY, life) if self.unit.main_gone else ev.Exited(KEY, life, None, 9, self.now, self.now)
                self.tell(event)
            if self.unit.state is State.STOPPED:
                return
            self.to_deadline()
        raise AssertionError("it does not stop")

    @rule(gate=GATES)
    def gate_moves(self, gate: Gate) -> None:
        """The fleet's gate opens or closes; who waits is told."""
        self.gate = gate
        self.forget()
        self.tell(ev.DependencyBack(KEY))

    @rule()
    def loses_a_dependency(self) -> None:
        """A dependency is lost."""
        self.forget()
        self.tell(ev.DependencyLost(KEY, "db"))

    @rule(spec=SPECS, replace=st.booleans())
    def changes(self, spec: UnitSpec, replace: bool) -> None:
        """It gets another specification."""
        self.forget()
        self.tell(ev.ConfigChanged(KEY, spec, replace))

    @rule(really=st.integers(0, 5))
    def quarantine(self, really: int) -> None:
        """Deciding for it has failed."""
        if really == 0:
            self.tell(ev.Quarantined(KEY, "fault"))

    def forget(self) -> None:
        """Who intervenes has a new account of launches."""
        self.launches.clear()

    # --- time -------------------------------------------------------------------------------------------------------

    @rule()
    def to_deadline(self) -> None:
        """Its deadline comes."""
        if self.unit.deadline is not None:
            self.now = max(self.now, self.unit.deadline)
            self.tell(ev.DeadlineReached(KEY))

    @rule(share=st.floats(0.1, 0.9))
    def some_time(self, share: float) -> None:
        """Time passes, not as far as the deadline."""
        until = self.unit.deadline if self.unit.deadline is not None else self.now + 30
        self.now += max(0.0, until - self.now) * share

    @invariant()
    def laws(self) -> None:
        """Timers and processes are as the state says."""
        unit = self.unit
        laws.timers(unit)
        if unit.aside is None:
            there = unit.state in (State.STARTING, State.RUNNING, State.STOPPING, State.KILLING)
            assert there == (self.main or self.left)
            assert (unit.state is State.LAUNCHING) == self.flight
            assert there == (unit.pid is not None)
        else:
            assert unit.state is State.FATAL
            assert self.flight or self.main or self.left
        assert (unit.state is State.WAITING) == bool(unit.waiting_for)
