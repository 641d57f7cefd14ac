"""Every test of the command line: a home of its own, and no configuration or daemon of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Nothing outside `tmp_path` is looked at, nor what the environment says of terminals."""
    place = tmp_path / "home"
    place.mkdir()
    for name in ("RESPAWND_HTTP_LISTEN", "XDG_STATE_HOME", "NO_COLOR", "COLUMNS", "TRACEPARENT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RESPAWND_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.chdir(place)
    return place
