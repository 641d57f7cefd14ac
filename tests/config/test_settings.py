"""`[daemon]` and `[http]`: their defaults for root and for others, and their values."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.config import DaemonSettings, HttpSettings
from supervisor.config.settings import daemon_settings, default_state_dir, home
from tests.config.files import loaded, refused


@pytest.mark.parametrize(
    ("expected", "euid", "environ"),
    [
        ("/var/lib/respawnd", 0, {"XDG_STATE_HOME": "/x", "HOME": "/root"}),
        ("/x/respawnd", 1000, {"XDG_STATE_HOME": "/x", "HOME": "/home/ann"}),
        ("/home/ann/.local/state/respawnd", 1000, {"HOME": "/home/ann"}),
        ("/home/ann/.local/state/respawnd", 1000, {"XDG_STATE_HOME": "relative", "HOME": "/home/ann"}),
    ],
)
def test_where_state_is_kept(expected: str, euid: int, environ: dict[str, str]) -> None:
    """Root keeps it below /var/lib, others where XDG says; a relative XDG directory does not count."""
    assert expected == default_state_dir(environ, euid)


def test_home_without_a_variable() -> None:
    """Cron and containers may have no HOME: the user database knows, and a user it does not know lives at the root."""
    assert home({"HOME": "/"}, 0) == "/"
    assert home({}, 0).startswith("/")
    assert home({"HOME": "relative"}, 4_000_000_000) == "/"


def test_defaults_of_a_user(tmp_path: Path) -> None:
    """Everything has a default; the runtime directory lies below the state directory."""
    config = loaded(tmp_path, "")
    state = "/home/ann/.local/state/respawnd"
    assert DaemonSettings(state_dir=state, runtime_dir=f"{state}/run") == config.daemon
    assert HttpSettings() == config.http
    assert f"{state}/run/respawnd.sock" == config.daemon.socket


def test_runtime_directory_of_root() -> None:
    """Root's control socket is below /run, wherever its state is."""
    assert "/run/respawnd" == daemon_settings({}, {}, 0).runtime_dir
    assert "/run/respawnd" == daemon_settings({"state_dir": "/srv/state"}, {}, 0).runtime_dir


@pytest.mark.parametrize(
    ("expected", "value"),
    [((100.0, 500.0), '"100/s"'), ((2.0, 10.0), "2"), ((0.5, 2.5), '"30/m"'), ((None, 0.0), '"off"')],
)
def test_the_respawn_rate(tmp_path: Path, expected: tuple[float | None, float], value: str) -> None:
    """The bucket holds five seconds' worth; off is no limit."""
    daemon = loaded(tmp_path, f"[daemon]\nrespawn_rate = {value}\n").daemon
    assert expected == (daemon.respawn_rate, daemon.respawn_burst)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ((None, 0, False), 'listen = "off"'),
        (("127.0.0.1", 0, True), 'listen = "127.0.0.1:0"'),
        (("::1", 9747, True), 'listen = "[::1]:9747"'),
        (("localhost", 80, True), 'listen = "localhost:80"'),
        (("0.0.0.0", 80, False), 'listen = "0.0.0.0:80"\ninsecure = true'),
        (("::", 80, False), 'listen = "[::]:80"\ninsecure = true'),
    ],
)
def test_listen(tmp_path: Path, expected: tuple[str | None, int, bool], text: str) -> None:
    """Host and port, off, and whether only this host can reach it."""
    http = loaded(tmp_path, f"[http]\n{text}\n").http
    assert expected == (http.host, http.port, http.loopback)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "[::]", "192.0.2.1", "example.org", "127.evil.example", "localhost.example"]
)
def test_beyond_loopback_is_asked_for(tmp_path: Path, host: str) -> None:
    """An address that others can reach, or that only looks like this host, needs insecure = true."""
    (line,) = refused(tmp_path, f'[http]\nlisten = "{host}:80"\n')
    assert "needs TLS and a token" in line


@pytest.mark.parametrize(
    ("expected", "value"),
    [
        (("journal",), '"journal"'),
        (("syslog",), '["syslog"]'),
        (("syslog:/dev/log", "file:/var/log/x"), '["syslog:/dev/log", "file:/var/log/x"]'),
    ],
)
def test_log_targets(tmp_path: Path, expected: tuple[str, ...], value: str) -> None:
    """One target, or a list of them."""
    assert expected == loaded(tmp_path, f"[daemon]\nlog_target = {value}\n").daemon.log_target
