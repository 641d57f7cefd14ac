"""`respawnd simulate`: a policy's schedule from its file, without a daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.rig import Ran, config, respawnd

TEXT = """
[service.web]
command = "x"
replicas = 2
backoff = { initial = "1s", factor = 2.0, jitter = 0.0 }
give_up = { failures = 3, within = "10m", then = "stay" }
[service.db]
command = "x"
restart = "never"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A configuration with two policies."""
    return config(tmp_path, TEXT)


def simulate(path: Path, *arguments: str) -> Ran:
    """Run the command."""
    return respawnd("simulate", *arguments, "-c", path)


def test_the_schedule(path: Path) -> None:
    """A line an attempt, and what follows the last."""
    ran = simulate(path, "web")
    assert (0, "") == (ran.code, ran.err)
    assert ["attempt", "1", "2", "3", "4"] == [line.split()[0] for line in ran.out.splitlines()[:5]]
    assert ran.out.endswith("\nweb is then fatal until an operator starts it.\n")


def test_as_json(path: Path) -> None:
    """Seconds, null for what does not follow."""
    data = simulate(path, "web:1", "--json").json()
    assert ("web", False, None) == (data["service"], data["shutdown"], data["unreachable"])
    assert [0.0, 0.0, 1.0, 3.0] == [attempt["started_seconds"] for attempt in data["attempts"]]
    assert {"least": 1.0, "mean": 1.0, "most": 1.0} == data["attempts"][1]["delay_seconds"]
    assert ("fatal", 4, None, None) == tuple(
        data["attempts"][3][key] for key in ("state", "failures", "delay_seconds", "next_start_seconds")
    )


def test_how_lives_go(path: Path) -> None:
    """Their length, the last for all that follow, and their end; as many attempts as are wanted."""
    data = simulate(path, "web", "--lifetime", "1m30s", "--lifetime", "500ms", "--limit", "3", "--json").json()
    lengths = [attempt["died_seconds"] - attempt["started_seconds"] for attempt in data["attempts"]]
    assert [90.0, 0.5, 0.5] == lengths
    for how, state in (("0", "exited"), ("SIGKILL", "exited"), ("7", "exited")):
        assert [state] == [one["state"] for one in simulate(path, "db", "--exit", how, "--json").json()["attempts"]]


def test_a_limit_that_is_never_reached(path: Path) -> None:
    """Told, in words and as numbers."""
    assert "It is never given up" in simulate(path, "web", "--lifetime", "5m").out
    never = simulate(path, "web", "--lifetime", "5m", "--json").json()["unreachable"]
    assert never["needed"] > never["most"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("wbe",), 1, "no service wbe (did you mean web?)"),
        (("*",), 1, "cannot simulate 2 services at once: web, db"),
        (("web", "--exit", "256"), 2, "256 is neither a code from 0 to 255 nor the name of a signal"),
        (("web", "--exit", "NOPE"), 2, "NOPE is neither a code"),
        (("web", "--lifetime", "soon"), 2, "must be a duration such as 250ms"),
        (("web", "--limit", "0"), 2, "--limit"),
    ],
)
def test_what_cannot_be_simulated(path: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    """One line that says why."""
    ran = simulate(path, *arguments)
    assert (code, "", 1) == (ran.code, ran.out, len(ran.err.splitlines()))
    assert said in ran.err


def test_a_bad_configuration(tmp_path: Path) -> None:
    """Refused as `run` would."""
    assert 2 == simulate(config(tmp_path, "[service.web]\n"), "web").code
