"""What is set from outside: file < environment < --set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from supervisor.config.overrides import loose
from tests.config.files import ENVIRON, loaded, refused, write

TEXT = """
[daemon]
log_level = "error"
state_dir = "/file"
[service.web]
command = "x"
stop = { timeout = "1s", signal = "INT" }
"""


def test_the_order(tmp_path: Path) -> None:
    """The environment lies above the file, --set above the environment, a later --set above an earlier one."""
    environ = {
        **ENVIRON,
        "RESPAWND_STATE_DIR": "/environ",
        "RESPAWND_RUNTIME_DIR": "/run/x",
        "RESPAWND_HTTP_LISTEN": "off",
    }
    config = loaded(tmp_path, TEXT, environ=environ)
    assert ("/environ", "/run/x", None) == (config.daemon.state_dir, config.daemon.runtime_dir, config.http.host)
    overrides = ["daemon.state_dir=/first", "daemon.state_dir=/second", "http.listen=127.0.0.1:1"]
    config = loaded(tmp_path, TEXT, environ=environ, overrides=overrides)
    assert ("/second", 1, "error") == (config.daemon.state_dir, config.http.port, config.daemon.log_level)


def test_an_empty_variable_is_not_set(tmp_path: Path) -> None:
    """RESPAWND_STATE_DIR= in a crontab leaves the file's value."""
    assert "/file" == loaded(tmp_path, TEXT, environ={**ENVIRON, "RESPAWND_STATE_DIR": ""}).daemon.state_dir


@pytest.mark.parametrize(
    ("expected", "override"),
    [
        (("log_level", "debug"), "daemon.log_level=debug"),
        (("log_level", "debug"), 'daemon.log_level = "debug"'),
        (("log_target", ("journal", "stderr")), 'daemon.log_target=["journal", "stderr"]'),
        (("log_target", ("syslog:host=1",)), "daemon.log_target=syslog:host=1"),
        (("shutdown_timeout", 90.0), "daemon.shutdown_timeout=1m30s"),
        (("shutdown_timeout", 90.0), "daemon.shutdown_timeout=90"),
        (("respawn_rate", None), "daemon.respawn_rate=off"),
    ],
)
def test_values_of_the_daemon(tmp_path: Path, expected: tuple[str, object], override: str) -> None:
    """A value is TOML where it is TOML, text otherwise."""
    name, value = expected
    assert value == getattr(loaded(tmp_path, TEXT, overrides=[override]).daemon, name)


@pytest.mark.parametrize(
    ("expected", "override"),
    [
        (("replicas", 3), "service.web.replicas=3"),
        (("autostart", False), "service.web.autostart=false"),
        (("user", "1000"), "service.web.user=1000"),
        (("umask", 0o077), "service.web.umask=077"),
        (("environment", {"PORT": "8000"}), "service.web.environment.PORT=8000"),
        (("environment", {"A.B": "true"}), 'service."web".environment."A.B"=true'),
        (("command", ("echo", "${PORT}")), "service.web.command=echo ${PORT}"),
        (("command", ("echo", "a b")), 'service.web.command=["echo", "a b"]'),
        (("nice", 7), "defaults.nice=7"),
    ],
)
def test_values_of_a_service(tmp_path: Path, expected: tuple[str, object], override: str) -> None:
    """Any key of any service can be set; a number or flag where text is asked for is that text; nothing expands."""
    name, value = expected
    assert value == getattr(loaded(tmp_path, TEXT, overrides=[override]).services["web"], name)


def test_one_key_of_a_table(tmp_path: Path) -> None:
    """What is set inside a table leaves the rest of it."""
    spec = loaded(tmp_path, TEXT, overrides=["service.web.stop.timeout=9s"]).services["web"]
    assert (9.0, 2) == (spec.stop.timeout, spec.stop.signal)


def test_formats_without_room(tmp_path: Path) -> None:
    """The array and Procfile take the daemon's keys, and those of services, from outside."""
    config = loaded(
        tmp_path,
        '[{"name": "a.b", "command": "x"}]',
        "services.json",
        overrides=["daemon.log_level=debug", 'service."a.b".replicas=2', 'group.g.services=["a.b"]'],
    )
    assert ("debug", 2, {"g": ("a.b",)}) == (config.daemon.log_level, config.services["a.b"].replicas, config.groups)


def test_a_service_of_an_include(tmp_path: Path) -> None:
    """It does not matter which file has the service; includes themselves can be set too."""
    write(tmp_path / "more.toml", '[service.db]\ncommand = "x"\n')
    config = loaded(tmp_path, TEXT, overrides=[f'include=["{tmp_path}/more.toml"]', "service.db.nice=3"])
    assert 3 == config.services["db"].nice


def test_paths_start_at_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes from a shell means what it means in that shell."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    environ = {**ENVIRON, "RESPAWND_STATE_DIR": "state"}
    config = loaded(tmp_path, TEXT, environ=environ, overrides=["service.web.directory=."])
    assert (f"{tmp_path}/here/state", f"{tmp_path}/here") == (
        config.daemon.state_dir,
        config.services["web"].directory,
    )


@pytest.mark.parametrize(
    ("expected", "how"),
    [
        ("--set: daemon.log_levl: unknown key (did you mean log_level?)", {"overrides": ["daemon.log_levl=x"]}),
        ("--set: daemno: unknown key (did you mean daemon?)", {"overrides": ["daemno.x=1"]}),
        ("--set: daemon: must be a table, not text", {"overrides": ["daemon=x"]}),
        ('--set: service.web.replicas: must be a whole number from 0 to 10000, not "many"',
         {"overrides": ["service.web.replicas=many"]}),
        ("--set: service.web.nice: must be a whole number from -20 to 19, not 99",
         {"overrides": ["service.web.nice=99"]}),
        ("--set: service.wbe: no such service (did you mean web?)", {"overrides": ["service.wbe.nice=1"]}),
        ("--set: service: no such service", {"overrides": ["service=1"]}),
        ("--set: log_level: must be KEY=VALUE, such as daemon.log_level=debug", {"overrides": ["log_level"]}),
        ("--set: =x: must be KEY=VALUE, such as daemon.log_level=debug", {"overrides": ["=x"]}),
        ("--set: a b=x: must begin with a key such as daemon.log_level", {"overrides": ["a b=x"]}),
        ("--set: a\\n[b]\\nc=x: must begin with a key such as daemon.log_level", {"overrides": ["a\n[b]\nc=x"]}),
        ('RESPAWND_HTTP_LISTEN: http.listen: must be HOST:PORT such as 127.0.0.1:9747 or [::1]:9747, or "off", not "x"',
         {"environ": {**ENVIRON, "RESPAWND_HTTP_LISTEN": "x"}}),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, expected: str, how: dict[str, Any]) -> None:
    """What is wrong with a value from outside is told by the name of where it came from."""
    assert [expected] == refused(tmp_path, TEXT, **how)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (1, "1"),
        (True, "true"),
        ([1, 2], "[1, 2]"),
        ({"a": 1}, "{ a = 1 }"),
        ("x", "x"),
        ("x", '"x"'),
        ("2024-01-01", "2024-01-01"),
        ("1\nother = 2", "1\nother = 2"),
        ("", ""),
        ("[" * 5000, "[" * 5000),
    ],
)
def test_loose_values(expected: object, text: str) -> None:
    """A value that is not exactly one TOML value, or is a date, is text."""
    assert expected == loose(text)
