"""One unit against a random but plausible host and a fleet that opens and closes its gate as it likes.

The laws of one unit, asked after every step; the fleet's adversary is `tests.core.adversary`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from supervisor.core import effects as fx
from supervisor.core import events as ev
from supervisor.core.decide import TABLE, decide
from supervisor.core.model import OnDependencyFailure, UnitKey, UnitSpec, needs_restart
from supervisor.core.state import LaunchError, State, Trigger, Unit, Want
from supervisor.core.steps import OPEN, Gate
from tests.core import adversary, laws

KEY = UnitKey("a")
SPECS = adversary.specs("a")
GATES = (OPEN, OPEN, OPEN, Gate(dependencies=("db ready",)), Gate(slots=("parallelism",)), Gate(tokens=("rate",)))
#: Deadlines between the word to stop and the end of what SIGKILL ends: launch overdue, kill, kill again.
BOUND = 4


#: How often each move is made, beside the others.
WEIGHTS = {
    "answer": 16, "refuse": 2, "end": 6, "end_and_leave": 3, "last_one_ends": 4, "end_as_told": 4, "say_ready": 2,
    "fail_its_check": 3, "ghost": 1, "crash_loop": 3, "give_up_and_try": 2, "start": 2, "stop": 2, "restart": 3,
    "stop_to_the_end": 1, "gate_moves": 2, "lose_a_dependency": 1, "change": 1, "quarantine": 1, "to_deadline": 10,
    "some_time": 3, "a_long_run": 6,
}  # fmt: skip
MOVES = [name for name, weight in WEIGHTS.items() for _ in range(weight)]


class UnitMachine(RuleBasedStateMachine):
    """Everything that can be said to one unit."""

    unit: Unit

    @initialize(specs=st.lists(SPECS, min_size=2, max_size=3))
    def open(self, specs: list[UnitSpec]) -> None:
        """Begin with a unit at rest, and start it."""
        self.specs = specs
        self.unit, self.now, self.gate = Unit(KEY, specs[0]), 1000.0, OPEN
        self.flight = self.main = self.left = self.killed = self.asked = False
        self.launches: list[float] = []
        self.failed: list[float] = []
        self.start(0)

    @rule(moves=st.lists(st.tuples(st.sampled_from(MOVES), adversary.NUMBER), min_size=4, max_size=16))
    def things_happen(self, moves: list[tuple[str, int]]) -> None:
        """Some moves, one after the other; a move takes a number, and makes of it what it needs."""
        for name, number in moves:
            getattr(self, name)(number)
            self.laws()

    def tell(self, event: Any) -> None:
        """Decide, hold the unit to its row, and carry out what it asks for."""
        was = self.unit
        self.unit, effects = decide(was, event, self.now, self.gate)
        declared = {was.state, *TABLE[was.state].leads_to}
        assert self.unit.state in declared or isinstance(event, ev.Quarantined)
        assert (self.unit.since == self.now) or self.unit.state is was.state, "a change of state has its moment"
        if self.unit.streak > was.streak:
            self.failure()
        if was.half_open and not self.unit.half_open:
            self.failed.clear()
        for effect in effects:
            if isinstance(effect, fx.Launch):
                self.launch(was, effect)
            elif isinstance(effect, fx.Signal):
                assert self.main, "a signal goes only to a living life"
                assert effect.life == self.unit.life
            elif isinstance(effect, fx.Sweep):
                assert self.main or self.left, "a sweep goes only to what lives"
                self.killed = self.killed or effect.signal == 9

    def failure(self) -> None:
        """A failure was counted: it is given up by the half-open try, or by too many in the window, and not else."""
        unit, policy = self.unit, self.unit.spec.give_up
        borne = unit.spec.on_dependency_failure is OnDependencyFailure.IGNORE
        assert borne or not self.gate.dependencies, "a death while a dependency is down is not counted"
        self.failed.append(self.now)
        recent = [at for at in self.failed if at > self.now - policy.within]
        too_many = policy.failures is not None and len(recent) > policy.failures
        assert (unit.state is State.FATAL) == (unit.half_open or too_many), "given up in time, and not before"

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
            recent = [at for at in self.launches if at > self.now - policy.within + 1e-6]
            assert len(recent) <= policy.failures + 1, "restart intensity"

    # --- the host ---------------------------------------------------------------------------------------------------

    def answer(self, number: int) -> None:
        """Exec succeeds."""
        if self.flight:
            self.flight, self.main = False, True
            self.tell(ev.Launched(KEY, self.unit.life, 7, self.now, self.now))

    def refuse(self, number: int) -> None:
        """Exec fails."""
        if self.flight:
            self.flight = False
            error = LaunchError("exec", 2, "no such file")
            self.tell(ev.LaunchFailed(KEY, self.unit.life, error, adversary.DRAWS[number % 3]))

    def end(self, number: int, *, left: bool = False) -> None:
        """The main process ends, by a code or a signal."""
        if self.main:
            code, draw = adversary.CODES[number % 4], adversary.DRAWS[number % 3]
            life, signal = self.unit.life, 11 if number % 5 == 0 else None
            self.main, self.left = False, left
            code_or_none = code if signal is None else None
            self.spends_nothing(ev.Exited(KEY, life, code_or_none, signal, self.now, self.now, left=left, draw=draw))

    def end_and_leave(self, number: int) -> None:
        """The main process ends, and leaves others behind."""
        self.end(number, left=True)

    def end_as_told(self, number: int) -> None:
        """The main process ends, if it was told to."""
        if self.unit.state in (State.STOPPING, State.KILLING):
            self.end(number, left=number == 0)

    def last_one_ends(self, number: int) -> None:
        """The last straggler ends."""
        if self.left:
            self.left = False
            self.spends_nothing(ev.Gone(KEY, self.unit.life))

    def spends_nothing(self, event: Any) -> None:
        """Tell the end of a life; if somebody asked for that, it spends no budget."""
        spent = self.unit.failures
        self.tell(event)
        assert not self.asked or spent == self.unit.failures, "what was asked for spends no budget"

    def say_ready(self, number: int) -> None:
        """Ready, in time or late."""
        self.tell(ev.Ready(KEY, self.unit.life))

    def fail_its_check(self, number: int) -> None:
        """Unhealthy, in time or late."""
        if self.unit.state is not State.LAUNCHING:
            self.tell(ev.Unhealthy(KEY, self.unit.life))

    def ghost(self, number: int) -> None:
        """News of an older life changes nothing."""
        was, life = self.unit, self.unit.life - 1 - number % 3
        self.tell(ev.Exited(KEY, life, 1, None, 0.0, 0.0))
        self.tell(ev.Launched(KEY, life, 1, 0.0, 0.0))
        self.tell(ev.Gone(KEY, life))
        assert self.unit is was

    def crash_loop(self, number: int) -> None:
        """It dies as soon as it is up, again and again."""
        for _ in range(2 + number % 5):
            self.answer(number)
            self.end(1)
            if self.unit.state is State.BACKOFF:
                self.to_deadline(number)

    def give_up_and_try(self, number: int) -> None:
        """It crashes until it is given up, and once more after the cooldown."""
        self.crash_loop(4)
        if self.unit.state is State.FATAL:
            self.to_deadline(number)
            self.answer(number)
            self.end(1)

    # --- operators and the fleet ------------------------------------------------------------------------------------

    def start(self, number: int) -> None:
        """An operator starts it."""
        self.forget()
        going = self.unit.state in (State.STOPPING, State.KILLING)
        self.asked = self.asked or (going and self.unit.want is Want.DOWN)
        self.tell(ev.Start((KEY,)))
        self.failed = list(self.unit.failures)
        assert self.unit.want is Want.UP

    def stop(self, number: int) -> None:
        """An operator stops it."""
        self.tell(ev.Stop((KEY,)))
        assert self.unit.want is Want.DOWN

    def restart(self, number: int) -> None:
        """It is restarted: its record is clean, and no death on the way counts."""
        self.forget()
        self.tell(ev.RestartAsked((KEY,), Trigger.FEEDBACK if number % 2 else Trigger.MANUAL))
        self.asked = self.unit.state in (State.STOPPING, State.KILLING)
        self.failed.clear()
        assert (Want.UP, (), 0) == (self.unit.want, self.unit.failures, self.unit.streak)

    def stop_to_the_end(self, number: int) -> None:
        """Told to stop, what SIGKILL ends is stopped after a bounded number of deadlines."""
        self.tell(ev.Stop((KEY,)))
        for _ in range(BOUND):
            self.answer(number)
            if self.killed:
                self.main = self.left = False
                life = self.unit.life
                event = ev.Gone(KEY, life) if self.unit.main_gone else ev.Exited(KEY, life, None, 9, self.now, self.now)
                self.tell(event)
            if self.unit.state is State.STOPPED:
                return
            self.to_deadline(number)
        raise AssertionError("it does not stop")

    def gate_moves(self, number: int) -> None:
        """The fleet's gate opens or closes; who waits is told."""
        self.gate = GATES[number % len(GATES)]
        self.forget()
        self.tell(ev.DependencyBack(KEY))

    def lose_a_dependency(self, number: int) -> None:
        """A dependency is lost."""
        self.forget()
        self.tell(ev.DependencyLost(KEY, "db"))

    def change(self, number: int) -> None:
        """It gets another specification."""
        self.forget()
        new = self.specs[number % len(self.specs)]
        self.tell(ev.ConfigChanged(KEY, new, needs_restart(self.unit.spec, new)))
        self.failed = list(self.unit.failures)

    def quarantine(self, number: int) -> None:
        """Deciding for it has failed."""
        self.tell(ev.Quarantined(KEY, "fault"))

    def forget(self) -> None:
        """Open a new account of launches: somebody has intervened."""
        self.launches.clear()

    # --- time -------------------------------------------------------------------------------------------------------

    def to_deadline(self, number: int) -> None:
        """Its deadline comes."""
        if self.unit.deadline is not None:
            self.now = max(self.now, self.unit.deadline)
            self.tell(ev.DeadlineReached(KEY))

    def a_long_run(self, number: int) -> None:
        """A minute or so passes, and nothing ends but what a deadline ends."""
        end = self.now + 55 + number
        while self.unit.deadline is not None and self.unit.deadline <= end:
            self.answer(number)
            self.to_deadline(number)
        self.now = end

    def some_time(self, number: int) -> None:
        """Time passes, not as far as the deadline."""
        until = self.unit.deadline if self.unit.deadline is not None else self.now + 60
        self.now += max(0.0, until - self.now) * (number + 1) / 13

    def laws(self) -> None:
        """Timers and processes are as the state says."""
        unit = self.unit
        laws.timers(unit)
        if unit.aside is None:
            there = unit.state in (State.STARTING, State.RUNNING, State.STOPPING, State.KILLING)
            assert there == (self.main or self.left)
            assert (unit.state is State.LAUNCHING) == self.flight
            assert self.main == (unit.pid is not None)
        else:
            assert unit.state is State.FATAL
            assert self.flight or self.main or self.left
        assert (unit.state is State.WAITING) == bool(unit.waiting_for)
