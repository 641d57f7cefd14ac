"""What other programs make of what the daemon hands out: node_exporter of its textfile, Prometheus of its targets."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from supervisor.control import client
from tests.system.rig import Daemon, eventually

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]
Run = Callable[..., None]
Port = Callable[[], int]

#: A service with metrics of its own: the file `own` of its directory, over HTTP.
WEB = """
[service.web]
command = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"]
directory = "{directory}"
metrics = {{ port = {port}, path = "/own" }}
criticality = "high"
[service.plain]
command = ["sleep", "600"]
"""


@pytest.fixture
def run() -> Iterator[Run]:
    """Give a function that starts a program, which is ended after the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: str) -> None:
        devnull = subprocess.DEVNULL
        started.append(subprocess.Popen(command, stdin=devnull, stdout=devnull, stderr=devnull))

    yield start
    for process in started:
        process.terminate()
        process.wait(20)


def page(port: int) -> dict[str, float]:
    """The samples of an exposition on this host; empty while nobody answers."""
    try:
        answer = client.request(("127.0.0.1", port), "GET", "/metrics")
    except client.ClientError:
        return {}
    assert 200 == answer.status, answer.body.decode()
    lines = (line for line in answer.body.decode().splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.mark.needs("prometheus-node-exporter")
def test_node_exporter_takes_the_textfile(daemon: Make, run: Run, free_port: Port, tmp_path: Path) -> None:
    """It exports every family of ours among its own, without a complaint; a stop and another run, and it has the news.

    All its usual collectors are on, so that what both have of themselves would be found twice.
    """
    one = daemon('[service.web]\ncommand = ["sleep", "600"]\n[service.ghost]\ncommand = ["/nonexistent"]\n').start()
    directory, port = tmp_path / "textfile", free_port()
    directory.mkdir()

    def write() -> None:
        ran = one.run("metrics", "--textfile", str(directory))
        assert (0, "", "") == (ran.returncode, ran.stdout, ran.stderr)

    assert 0 == one.run("status").returncode  # which waits for a sample: without one there are fewer families
    write()
    run(
        "prometheus-node-exporter",
        f"--collector.textfile.directory={directory}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    found = eventually(lambda: page(port), what="an answer of node_exporter")
    assert 0 == found["node_textfile_scrape_error"]
    assert 1 == found['respawnd_service_up{replica="0",service="web"}']
    assert 0 == found['respawnd_service_up{replica="0",service="ghost"}']
    families = {name.partition("{")[0] for name in found}
    ours = {name.partition("{")[0] for name in one.metrics() if name.startswith("respawnd_")}
    assert set() == ours - families
    assert 0 == one.run("stop", "web").returncode
    write()
    assert 0 == page(port)['respawnd_service_up{replica="0",service="web"}']


def ask(port: int, path: str) -> Any:
    """The data of an answer of Prometheus's API; nothing while it does not answer."""
    try:
        return client.request(("127.0.0.1", port), "GET", f"/api/v1/{path}").json().get("data")
    except (client.ClientError, ValueError):
        return None


def scraped(port: int, job: str) -> dict[str, dict[str, str]]:
    """The labels of the targets of a job that are up, by their URL."""
    data = ask(port, "targets?state=active") or {"activeTargets": []}
    mine = (target for target in data["activeTargets"] if target["scrapePool"] == job and target["health"] == "up")
    return {target["scrapeUrl"]: target["labels"] for target in mine}


@pytest.mark.needs("prometheus")
def test_prometheus_finds_what_services_expose(daemon: Make, run: Run, free_port: Port, tmp_path: Path) -> None:
    """Over http_sd and by a file; labels can be made of what is known of a service, and what is gone is not asked."""
    web, port = free_port(), free_port()
    (tmp_path / "own").write_text("web_hits_total 7\n")
    one = daemon(WEB.format(port=web, directory=tmp_path)).start()
    address = client.request(one.socket, "GET", "/api/v1/services").json()["daemon"]["http"]
    targets = tmp_path / "targets.json"
    assert 0 == one.run("metrics", "--file-sd", str(targets)).returncode
    label = {"source_labels": ["__meta_respawnd_criticality"], "target_label": "severity"}
    sources: dict[str, dict[str, Any]] = {
        "http": {"http_sd_configs": [{"url": f"http://{address}/sd", "refresh_interval": "1s"}]},
        "file": {"file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]},
    }
    jobs = [{"job_name": name, "relabel_configs": [label], **how} for name, how in sources.items()]
    config = {"global": {"scrape_interval": "200ms", "scrape_timeout": "200ms"}, "scrape_configs": jobs}
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    run(
        "prometheus", f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb",
        f"--web.listen-address=127.0.0.1:{port}",
    )  # fmt: skip

    def up(job: str, *addresses: str) -> dict[str, dict[str, str]]:
        urls = {f"http://{one}" for one in addresses}
        return eventually(
            lambda: ((found := scraped(port, job)).keys() == urls and found) or None, 40, f"{job}: {urls}"
        )

    own = f"127.0.0.1:{web}/own"
    labels = up("http", own)[f"http://{own}"]
    assert {"instance": f"127.0.0.1:{web}", "job": "http", "respawnd_service": "web", "severity": "high"} == labels
    assert {own, f"{address}/metrics"} == {url.removeprefix("http://") for url in up("file", own, f"{address}/metrics")}
    found = eventually(lambda: (ask(port, "query?query=web_hits_total") or {}).get("result"), what="the sample")
    assert {"web": "7"} == {one["metric"]["respawnd_service"]: one["value"][1] for one in found}
    one.config.write_text('[service.plain]\ncommand = ["sleep", "600"]\n')
    answer = client.request(one.socket, "POST", "/api/v1/apply")
    assert 200 == answer.status
    eventually(lambda: not scraped(port, "http"), 40, what="the end of the target")
