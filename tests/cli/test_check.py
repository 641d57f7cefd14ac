"""`respawnd check` and `respawnd run` before there is a daemon: what is refused, and how."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from supervisor import app
from tests.cli.rig import config, respawnd

GOOD = '[service.web]\ncommand = ["sleep", "600"]\n'
BAD = '[service.web]\ncomand = "x"\n[service.db]\ncommand = 1\n'


def test_a_good_one(tmp_path: Path) -> None:
    """One line, exit status 0."""
    path = config(tmp_path, GOOD)
    ran = respawnd("check", "-c", path)
    assert (0, f"{path}: 1 service, no errors\n", "") == (ran.code, ran.out, ran.err)
    data = respawnd("check", "-c", path, "--json").json()
    assert {"config": str(path), "services": ["web"], "problems": [], "warnings": []} == data


def test_a_bad_one(tmp_path: Path) -> None:
    """Every problem a line, all at once, exit status 2; for programs as fields."""
    path = config(tmp_path, BAD)
    ran = respawnd("check", "-c", path)
    assert (2, "") == (ran.code, ran.out)
    assert all(line.startswith(f"respawnd: {path}: service.") for line in ran.err.splitlines())
    assert "(did you mean command?)" in ran.err
    data = respawnd("check", "-c", path, "--json")
    assert 2 == data.code
    assert ran.err.splitlines() == [
        f"respawnd: {one['file']}: {one['key']}: {one['text']}" for one in data.json()["problems"]
    ]


def test_a_broken_include(tmp_path: Path) -> None:
    """The daemon would run with the rest: told, and exit status 2."""
    (tmp_path / "more.toml").write_text("[service.db]\ncomand = 1\n")
    path = tmp_path / "respawnd.toml"
    path.write_text(f'include = ["more.toml"]\n{GOOD}')
    ran = respawnd("check", "-c", path)
    assert (2, f"{path}: 1 service, errors in includes\n") == (ran.code, ran.out)
    assert f"{tmp_path}/more.toml" in ran.err


def test_what_this_host_lacks(tmp_path: Path) -> None:
    """A warning: it costs one service, not the daemon."""
    path = config(tmp_path, GOOD.replace("sleep", "/no/such/program"))
    ran = respawnd("check", "-c", path)
    assert 0 == ran.code
    assert ran.err.startswith(f"respawnd: warning: {path}: service.web")
    assert 1 == len(respawnd("check", "-c", path, "--json").json()["warnings"])


def test_the_effective_configuration(tmp_path: Path) -> None:
    """TOML that means the same, with what was set from outside."""
    path = config(tmp_path, GOOD)
    shown = respawnd("check", "-c", path, "--show", "--set", "daemon.log_level=debug")
    again = tmp_path / "again.toml"
    again.write_text(shown.out)
    assert 'log_level = "debug"' in shown.out
    assert shown.out == respawnd("check", "-c", again, "--show").out
    assert 2 == respawnd("check", "-c", path, "--show", "--json").code


@pytest.mark.parametrize("command", ["check", "run", "simulate web"])
def test_nothing_to_be_found(command: str) -> None:
    """Where was looked, exit status 2."""
    ran = respawnd(*command.split())
    assert (2, "") == (ran.code, ran.out)
    assert "respawnd.toml" in ran.err


def test_run_refuses_what_check_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same lines, before anything of the daemon is made."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    path = config(tmp_path, BAD)
    assert respawnd("check", "-c", path).err == respawnd("run", "-c", path).err
    assert 2 == respawnd("run", "-c", path).code
    assert not (tmp_path / "state").exists()


def test_run_ends_as_the_daemon_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit status, or 1 and the reason where it cannot run; SIGPIPE is none of the daemon's business."""
    done: list[object] = []
    monkeypatch.setattr(signal, "signal", lambda *how: done.append(how))

    class Daemon:
        """Stands for the whole of it."""

        can_run = True

        def __init__(self, *how: object) -> None:
            done.append(how)

        def run(self) -> int:
            """End at once."""
            if not self.can_run:
                raise app.CannotRun("cannot run: for a reason")
            return 10

    monkeypatch.setattr(app, "App", Daemon)
    path = config(tmp_path, GOOD)
    assert 10 == respawnd("run", "-c", path).code
    assert (signal.SIGPIPE, signal.SIG_IGN) == done[0]
    monkeypatch.setattr(Daemon, "can_run", False)
    ran = respawnd("run", "-c", path)
    assert (1, "respawnd: cannot run: for a reason\n") == (ran.code, ran.err)
