"""Commands followed to their results, over the real fleet and a host that does what the story says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from supervisor.control import act
from supervisor.control.act import Action, ClosingError
from supervisor.core import events as ev
from supervisor.core.model import Condition, GiveUp, Kind, Restart, StopPolicy
from supervisor.core.state import Want
from tests.control.fakes import FakeDaemon, daemon, key_of, spec

Step = Callable[[], object]


def results(fake: FakeDaemon, verb: str, *names: str, then: tuple[Step, ...] = (), patience: float = 60.0) -> list[Any]:
    """Act, let one step of the story happen after each look, and gather (unit, ok, text); the story's end hangs up."""
    action = Action(fake, verb, tuple(map(key_of, names)), ev.Origin("a test"))
    action.take()
    steps: Iterator[Step] = iter(then)

    def hung_up(_: float) -> bool:
        step = next(steps, None)
        if step is not None:
            step()
        return step is None

    return [(line["unit"], line["ok"], line["text"]) for line in action.results(patience, hung_up)]


def test_start_is_done_when_it_runs() -> None:
    """A stopped service is started, and its pid told; one that runs already is left alone."""
    fake = daemon(spec("web"), spec("db"))
    fake.step(ev.Stop((key_of("web"),)))
    assert [
        ("web", True, f"running, pid {fake.pid + 1}"),
        ("db", True, f"running already, pid {fake.unit('db').pid}"),
    ] == results(fake, "start", "web", "db")
    assert 1 == fake.unit("db").life


def test_start_waits_until_it_has_settled() -> None:
    """A life that has just begun is no success yet; one that dies at once and goes into backoff is a failure."""
    fake = daemon(spec("web"), boot=False)
    fake.fresh = True
    die = lambda: fake.dies("web", 78)  # noqa: E731 - a step of the story
    assert [("web", False, "exited with code 78; next start in 0.2 s (failure 2/10)")] == [
        (unit, ok, text.replace("0.3 s", "0.2 s")) for unit, ok, text in results(fake, "start", "web", then=(die, die))
    ]


def test_a_death_on_the_way_is_no_failure_when_the_next_life_stays() -> None:
    """The first respawn is immediate; if that one runs, the service runs."""
    fake = daemon(spec("web"), boot=False)
    fake.fresh = True

    def second() -> None:
        fake.fresh = False
        fake.dies("web")

    assert [("web", True, f"running, pid {fake.pid + 2}")] == results(fake, "start", "web", then=(second,))


def test_a_launch_that_fails_is_told_with_its_reason() -> None:
    """Stage and errno in words, and what comes next."""
    fake = daemon(spec("web"), boot=False, held=("web",))
    told = results(fake, "start", "web", then=(lambda: fake.launch_fails("web", "chdir /srv: no such directory"),))
    assert [("web", False, "chdir /srv: no such directory; next start in 0.0 s (failure 1/10)")] == told


def test_a_service_that_gives_up() -> None:
    """Fatal is a result too, with the moment of its next try."""
    policy = GiveUp(failures=0, cooldown=600)
    fake = daemon(spec("web", give_up=policy), boot=False, held=("web",))
    ((_, ok, text),) = results(fake, "start", "web", then=(lambda: fake.launch_fails("web", "exec x: y"),))
    assert ok is False
    assert text.startswith("exec x: y; given up (failure 1/0), one try in 6")


def test_starting_what_is_being_launched() -> None:
    """A start that finds a launch under way is satisfied by it, and so is a restart."""
    for verb in ("start", "restart"):
        fake = daemon(spec("web"), held=("web",))
        told = results(fake, verb, "web", then=(lambda f=fake: f.launched("web"),))  # type: ignore[misc]
        assert [("web", True, f"running, pid {fake.pid}")] == told
        assert 1 == fake.unit("web").life


def test_restart_ends_one_life_and_begins_another() -> None:
    """The result is that of the new life, whatever the old one takes to end."""
    fake = daemon(spec("web"))
    old = fake.unit("web").pid
    fake.held.add("web")
    then = (lambda: None, lambda: fake.dies("web", None, 15), lambda: fake.launched("web"))
    ((_, ok, text),) = results(fake, "restart", "web", then=then)
    assert (True, f"running, pid {fake.pid}") == (ok, text)
    assert old != fake.pid


def test_a_oneshot_is_done_when_it_has_ended() -> None:
    """Running is no result for it; its exit is, good or bad, also when it had ended well before."""
    fake = daemon(spec("job", kind=Kind.ONESHOT, restart=Restart.NEVER), boot=False)
    assert [("job", True, "exited with code 0")] == results(
        fake, "start", "job", then=(lambda: None, lambda: fake.dies("job", 0))
    )
    assert [("job", False, "exited with code 3")] == results(fake, "start", "job", then=(lambda: fake.dies("job", 3),))


def test_a_service_that_ends_by_itself() -> None:
    """With restart = "never", a good end is a success and a bad one is not."""
    for code, ok in ((0, True), (1, False)):
        fake = daemon(spec("web", restart=Restart.NEVER), boot=False)
        fake.fresh = True
        die = lambda f=fake, c=code: f.dies("web", c)  # noqa: E731 - a step of the story
        assert [("web", ok, f"exited with code {code}")] == results(fake, "start", "web", then=(die,))


def test_stop_is_done_when_nothing_is_left() -> None:
    """A life that has to be killed is told to have been; what was stopped already is said to be."""
    fake = daemon(spec("web", stop=StopPolicy(timeout=2)), spec("db"))
    fake.step(ev.Stop((key_of("db"),)))
    fake.held.add("web")
    then = (lambda: fake.tick(ahead=3), lambda: fake.dies("web", None, 9))
    assert [
        ("db", True, "stopped already"),
        ("web", True, "stopped, by SIGKILL: it did not end within 2 s"),
    ] == results(fake, "stop", "web", "db", then=then)


def test_stop_waits_for_dependents() -> None:
    """What others need is stopped after them; until then its want says nothing of a failure."""
    fake = daemon(spec("db"), spec("web", depends_on={"db": Condition.STARTED}))
    fake.held.add("web")
    told = results(fake, "stop", "db", "web", then=(lambda: None, lambda: fake.dies("web", None, 15)))
    assert {("db", True, "stopped"), ("web", True, "stopped")} == set(told)


def test_what_somebody_else_does_meanwhile() -> None:
    """A start during a stop, and a stop during a start, are told to whoever waits for the contrary."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    again = lambda: fake.step(ev.Start((key_of("web"),)))  # noqa: E731 - a step of the story
    assert [("web", False, "somebody started it again")] == results(fake, "stop", "web", then=(again,))
    fake = daemon(spec("web"), boot=False, held=("web",))
    stop = lambda: fake.step(ev.Stop((key_of("web"),)))  # noqa: E731 - see above
    then = (stop, lambda: fake.launched("web"), lambda: fake.dies("web", None, 15))
    assert [("web", False, "somebody stopped it")] == results(fake, "start", "web", then=then)


def test_what_leaves_the_configuration() -> None:
    """A unit that is gone is stopped, and cannot be started."""
    for verb, ok in (("stop", True), ("restart", False)):
        fake = daemon(spec("web"), spec("db"))
        fake.held.add("web")

        def leave(fake: FakeDaemon = fake) -> None:
            fake.step(ev.Reconfigured({"db": spec("db")}))
            fake.dies("web", None, 15)

        assert [("web:0", ok, "it has left the configuration")] == results(fake, verb, "web", then=(leave,))


def test_patience_ends() -> None:
    """What has no result in time is told last, with what it waits for and how that is."""
    fake = daemon(spec("db"), spec("web", depends_on={"db": Condition.STARTED}), spec("deaf"), held=("db",))
    fake.held.add("deaf")
    assert [("web", False, "not done after 0 s: waiting for db started (db is starting)")] == results(
        fake, "start", "web", patience=0
    )
    pid = fake.unit("deaf").pid
    assert [("deaf", False, f"not done after 0 s: still stopping, pid {pid}")] == results(
        fake, "stop", "deaf", patience=0
    )
    fake.tick(ahead=60)
    assert [("deaf", False, f"not done after 0 s: it outlives SIGKILL, pid {pid}")] == results(
        fake, "stop", "deaf", patience=0
    )
    fake.dies("deaf", None, 9, left=True)


def test_a_long_wait_is_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while, once, it is said what the first few wait for; that is no result."""
    monkeypatch.setattr(act, "SILENCE", 0.0)
    fake = daemon(spec("web", replicas=7), boot=False, held=("web",))
    names = [f"web:{number}" for number in range(7)]
    told = results(fake, "start", *names, then=(lambda: None, lambda: None))
    assert [(name, None, "still starting") for name in names[:5]] == told[:5]
    assert {False} == {ok for _, ok, _ in told[5:]}


def test_whoever_asks_hangs_up() -> None:
    """What has no result yet is told as such; it goes on all the same."""
    fake = daemon(spec("web"), held=("web",))
    assert [("web", False, "respawnd ends before it is done")] == results(fake, "restart", "web")
    assert Want.UP is fake.unit("web").want


def test_nothing_is_started_during_a_shutdown() -> None:
    """Start and restart are refused at once; stop is what happens anyway."""
    fake = daemon(spec("web"))
    fake.held.add("web")
    fake.step(ev.Shutdown())
    for verb in ("start", "restart"):
        with pytest.raises(ClosingError, match=f"cannot {verb}: respawnd is shutting down"):
            results(fake, verb, "web")
    assert [("web", True, "stopped")] == results(fake, "stop", "web", then=(lambda: fake.dies("web", None, 15),))


def test_a_shutdown_meanwhile() -> None:
    """Who waits for a start hears that there will be none."""
    fake = daemon(spec("db"), spec("web", depends_on={"db": Condition.STARTED}), held=("db",))
    told = results(fake, "start", "web", then=(lambda: fake.step(ev.Shutdown()),))
    assert [("web", False, "respawnd is shutting down")] == told


def test_a_loop_that_does_not_turn() -> None:
    """The command has not been taken, and that is said."""
    fake = daemon(spec("web"))
    fake.stuck = True
    with pytest.raises(TimeoutError):
        results(fake, "stop", "web")
    assert [] == [event for event in fake.asked if isinstance(event, ev.Stop)]


def test_a_quarantined_unit_is_no_longer_waited_for() -> None:
    """A fault in deciding for it ends the wait."""
    fake = daemon(spec("db"), spec("web", depends_on={"db": Condition.STARTED}), held=("db",))
    told = results(fake, "start", "web", then=(lambda: fake.step(ev.Quarantined(key_of("web"), "a fault")),))
    assert [("web", False, "it was set aside; the daemon's log says why")] == told
