"""`[daemon]`, `[http]`, `[metrics]` and `[tracing]`: their defaults for root and for others, and their values."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from supervisor.config import DaemonSettings, HttpSettings, MetricsSettings, TracingSettings
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
    assert (HttpSettings(), MetricsSettings(), TracingSettings()) == (config.http, config.metrics, config.tracing)
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


def test_metrics(tmp_path: Path) -> None:
    """The pace of the sampler and the budget of a page; what costs more is asked for."""
    text = '[metrics]\nsample_interval = "250ms"\nmax_series = "off"\npressure = true\npss = true\n'
    assert MetricsSettings(0.25, 0, pressure=True, pss=True) == loaded(tmp_path, text).metrics
    assert 1.0 == loaded(tmp_path, text, overrides=["metrics.sample_interval=1s"]).metrics.sample_interval


def test_tracing(tmp_path: Path) -> None:
    """Off unless told; a relative file starts at the directory of the configuration."""
    text = '[tracing]\nexporter = "file"\nfile = "spans.jsonl"\nchild_context = "all"\n'
    config = loaded(tmp_path, text)
    assert TracingSettings("file", file=f"{tmp_path}/spans.jsonl", child_context="all") == config.tracing


@pytest.mark.parametrize(
    "endpoint", ["https://otel.example/prefix", "http://[::1]:4318", "HTTP://collector_1:80/", "http://10.0.0.1"]
)
def test_endpoints_of_a_collector(tmp_path: Path, endpoint: str) -> None:
    """http or https, a host, perhaps a port and a path."""
    assert endpoint == loaded(tmp_path, f'[tracing]\nendpoint = "{endpoint}"\n').tracing.endpoint


@pytest.mark.parametrize("missing", [None, ModuleNotFoundError("No module named 'opentelemetry'")])
def test_otlp_needs_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: ModuleNotFoundError | None
) -> None:
    """Without the exporter's package a configuration that asks for it is refused, and says what to install."""
    text = '[tracing]\nexporter = "otlp"\n'
    assert "otlp" == loaded(tmp_path, text).tracing.exporter

    def find(name: str) -> None:
        if missing is not None:
            raise missing

    monkeypatch.setattr(importlib.util, "find_spec", find)
    package = "opentelemetry-exporter-otlp-proto-http"
    line = f"respawnd.toml: tracing.exporter: otlp needs the package {package} (pip install 'respawnd[otlp]')"
    assert [line] == refused(tmp_path, text)
