"""A real Prometheus for system tests: Debian's program, with exemplar storage, ended by pid; and what it has stored."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from supervisor.control import client
from tests.system.rig import eventually

#: The wall time of the last scrape that is stored whole.
LAST = 'timestamp(up{job="respawnd"})'


def free_port() -> int:
    """A TCP port of 127.0.0.1 on which nothing listens; tests take the fixture of that name, which never repeats."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Prometheus:
    """One Prometheus that scrapes one target every `interval`, with its storage in `directory`."""

    def __init__(self, directory: Path, port: int, target: str, interval: str, prefix: tuple[str, ...] = ()) -> None:
        self._address = ("127.0.0.1", port)
        config = {
            "global": {"scrape_interval": interval, "scrape_timeout": interval},
            "scrape_configs": [{"job_name": "respawnd", "static_configs": [{"targets": [target]}]}],
        }
        file = directory / "prometheus.yml"
        file.write_text(json.dumps(config))
        self.process = subprocess.Popen(
            [*prefix, "prometheus", f"--config.file={file}", f"--storage.tsdb.path={directory}/tsdb",
             f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=exemplar-storage"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def end(self) -> None:
        """End it, and wait for that."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def get(self, path: str, **query: str) -> Any:
        """The data of an answer of its API; None while it has none."""
        try:
            answer = client.request(self._address, "GET", f"/api/v1/{path}?{urlencode(query)}", timeout=30).json()
        except (client.ClientError, ValueError):
            return None
        return answer.get("data")

    def vector(self, query: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """An instant query, as of the wall time `at` or now: labels and value of each series."""
        data = self.get("query", query=query, **({} if at is None else {"time": repr(at)})) or {}
        return [(row["metric"], float(row["value"][1])) for row in data.get("result") or []]

    def value(self, query: str, at: float | None = None) -> float | None:
        """An instant query for one value; None if there is none."""
        found = self.vector(query, at)
        return found[0][1] if found else None

    def history(self, query: str, at: float) -> list[tuple[float, float]]:
        """An instant query for a range of the first series: wall time and value of each sample."""
        found = (self.get("query", query=query, time=repr(at)) or {}).get("result") or [{"values": []}]
        return [(float(when), float(value)) for when, value in found[0]["values"]]

    def scraped(self, since: float, timeout: float = 30) -> float:
        """Wait for a scrape that began after the wall time `since`; when that was."""

        def look() -> float | None:
            last = self.value(LAST)
            return last if last is not None and last > since else None

        return eventually(look, timeout, what="a scrape by Prometheus")

    def exemplars(self, query: str, start: float) -> list[tuple[dict[str, str], dict[str, Any]]]:
        """Labels of the series, and the exemplar, for each that is stored since the wall time `start`."""
        data = self.get("query_exemplars", query=query, start=repr(start), end=repr(time.time() + 1)) or []
        return [(row["seriesLabels"], one) for row in data for one in row["exemplars"]]
