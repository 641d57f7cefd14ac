"""The words beside a service: what comes next, or why nothing does; nothing where all is well."""

from __future__ import annotations

import time

import pytest

from supervisor.cli.notes import amiss, note
from supervisor.control.status import row
from supervisor.core import events as ev
from supervisor.core.model import (
    Condition,
    ExitAction,
    ExitRule,
    ExitSet,
    GiveUp,
    GiveUpThen,
    Kind,
    Restart,
    StopPolicy,
)
from supervisor.core.state import State, Unit
from tests.control.fakes import FakeDaemon, daemon, key_of, spec


def said(fake: FakeDaemon, name: str = "web", ahead: float = 0.0) -> tuple[str, bool]:
    """The note of a unit, and whether it counts as a problem, some seconds from now."""
    shown = row(fake.unit(name), time.monotonic() + ahead)
    return note(shown), amiss(shown)


def test_what_is_as_it_should_be_gets_no_note() -> None:
    """Running, stopped by an operator, done."""
    fake = daemon(spec("web"), spec("job", kind=Kind.ONESHOT, restart=Restart.NEVER))
    fake.dies("job", 0)
    assert ("", False) == said(fake)
    assert ("", False) == said(fake, "job")
    fake.step(ev.Stop((key_of("web"),)))
    assert ("", False) == said(fake)


def test_never_started() -> None:
    """Stopped from the beginning: autostart is off, or nobody has asked yet."""
    assert ("never started", False) == said(daemon(spec("web"), boot=False))


def test_crashes() -> None:
    """A service that runs again after a crash is marked while its failures count; in backoff its next start is told."""
    fake = daemon(spec("web"))
    fake.dies("web")
    assert ("failure 1/10 lately", True) == said(fake)
    assert ("", False) == said(fake, ahead=601)
    fake.dies("web")
    text, problem = said(fake)
    assert (True, True) == (text.endswith("s; failure 2/10"), problem)
    assert text.startswith("next start in 0.")


def test_a_launch_that_fails() -> None:
    """Its reason."""
    fake = daemon(spec("web", give_up=GiveUp(failures=None)), boot=False, held=("web",))
    fake.step(ev.Start((key_of("web"),)))
    assert ("", True) == said(fake)
    assert ("exec has not answered for 12s", True) == said(fake, ahead=12)
    fake.launch_fails("web")
    assert ("next start in 0.0s; exec /no/such: no such file", True) == said(fake)


def test_given_up() -> None:
    """With a cooldown the next try, without one what starts it."""
    fake = daemon(spec("web", give_up=GiveUp(failures=1, cooldown=600)))
    fake.dies("web")
    fake.dies("web")
    assert ("given up 0.0s ago after 2 failures; one try in 10m", True) == said(fake)
    fake = daemon(spec("web", give_up=GiveUp(failures=0, then=GiveUpThen.STAY)))
    fake.dies("web")
    assert ("given up 0.0s ago after 1 failure; `respawnd start web` tries again", True) == said(fake)
    rule = ExitRule(ExitSet(frozenset({78})), ExitAction.FAIL)
    fake = daemon(spec("web", exit_rules=(rule,)))
    fake.dies("web", 78)
    assert ("given up 0.0s ago; `respawnd start web` tries again", True) == said(fake)


def test_set_aside() -> None:
    """A fault of ours is not called one of the service."""
    fake = daemon(spec("web"))
    fake.step(ev.Quarantined(key_of("web"), "a fault"))
    assert ("set aside by a fault in respawnd, its process left alone: see the daemon's log", True) == said(fake)


def test_stopping() -> None:
    """How long it still has; what is left when the main process is gone; what outlives SIGKILL."""
    fake = daemon(spec("web", stop=StopPolicy(timeout=20)))
    fake.held.add("web")
    fake.step(ev.Stop((key_of("web"),)))
    assert ("SIGKILL in 20s", True) == said(fake)
    fake.dies("web", None, 15, left=True)
    text, _ = said(fake)
    assert text.startswith("its main process is gone, what it left behind is not; SIGKILL in ")
    fake.tick(ahead=60)
    assert said(fake)[0].startswith("outlives SIGKILL for ")


@pytest.mark.parametrize(
    ("waiting_for", "text"),
    [
        (("db started", "cache ready"), "waits for db started, cache ready (0.0s)"),
        (("rate",), "waits for its turn: daemon.respawn_rate holds respawns back (0.0s)"),
        (("parallelism",), "waits for its turn: daemon.start_parallelism holds starts back (0.0s)"),
        (("stop",), "waits until what is being stopped is down (0.0s)"),
    ],
)
def test_waiting(waiting_for: tuple[str, ...], text: str) -> None:
    """For what, in words of the configuration."""
    unit = Unit(key_of("web"), spec("web"), state=State.WAITING, waiting_for=waiting_for)
    shown = row(unit, 0.0)
    assert (text, True) == (note(shown), amiss(shown))


def test_waiting_for_a_dependency() -> None:
    """As the fleet says it."""
    fake = daemon(spec("db"), spec("web", depends_on={"db": Condition.STARTED}), held=("db",))
    assert ("waits for db started (5m)", True) == said(fake, ahead=300)


def test_a_bad_end_is_a_problem() -> None:
    """A service that ended by itself and not well; its last exit says how."""
    fake = daemon(spec("web", restart=Restart.NEVER))
    fake.dies("web", 1)
    assert ("", True) == said(fake)
