"""Files of other tools, run unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.system.rig import Daemon, eventually

pytestmark = [pytest.mark.slow, pytest.mark.system]
Make = Callable[..., Daemon]

SUPERVISORD = """\
; the kind of file that Django shops have
[unix_http_server]
file=/tmp/never-made/supervisor.sock   ; (the path to the socket file)

[supervisord]
logfile=%(here)s/supervisord.log
loglevel=info
pidfile=/tmp/never-made/supervisord.pid
nodaemon=false
environment=APP_ENV="production",REGION='eu'

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///tmp/never-made/supervisor.sock

[program:web]
command=sh -c "echo web-%(process_num)d $APP_ENV $PORT; exec sleep 600"
process_name=%(program_name)s_%(process_num)02d
numprocs=2
directory=%(here)s
environment=PORT="80%(process_num)02d"
autorestart=true
startsecs=1
stopwaitsecs=5
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile=%(here)s/%(program_name)s_%(process_num)d.log
stdout_logfile_maxbytes=1MB
stdout_logfile_backups=2
priority=10

[program:worker]
command=/bin/sh -c "echo worker >&2; exec sleep 600" ; comment
autorestart=unexpected
exitcodes=0,2
stopsignal=INT
stderr_logfile=%(here)s/worker.err
stdout_logfile=NONE

[program:manual]
command=sleep 600
autostart=false

[group:app]
programs=web,worker
"""


def test_a_services_config_json_runs_unchanged(daemon: Make) -> None:
    """The array of the tool that this replaces: two shell commands."""
    services = [
        {"name": "first", "command": "echo one $((40 + 2)); while true; do sleep 1; done"},
        {"name": "second", "command": 'cd / && echo "$PWD" && sleep 600'},
    ]
    one = daemon(json.dumps(services), "services_config.json").start()
    one.until("first", state="running")
    one.until("second", state="running")
    eventually(lambda: one.run("logs", "first").stdout == "one 42\n", what="output of first")
    assert "/\n" == one.run("logs", "second").stdout
    assert 0 == one.end()


def test_a_supervisord_conf_runs_unchanged(daemon: Make) -> None:
    """Programs, numprocs, a group, environments, log files, autostart: as supervisord has them."""
    one = daemon(SUPERVISORD, "supervisord.conf").start()
    rows = {row["service"]: row for row in one.services()}
    assert {"web_00", "web_01", "worker", "manual"} == set(rows)
    for name in ("web_00", "web_01", "worker"):
        one.until(name, state="running")
    assert "stopped" == rows["manual"]["state"]
    assert "app" in rows["web_00"]["groups"]
    log = one.directory / "web_1.log"
    eventually(lambda: log.exists() and log.read_text() == "web-1 production 8001\n", what="web_1.log")
    error = one.directory / "worker.err"
    eventually(lambda: error.exists() and error.read_text() == "worker\n", what="worker.err")
    stopped = one.run("stop", "app:*")
    assert 0 == stopped.returncode
    assert {"stopped"} == {row["state"] for row in one.services()}
    assert 2 == one.service("worker")["last_exit"]["signal"]
    assert 0 == one.end()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("respawnd.yaml", "service:\n  web:\n    command: [sleep, '600']\n"),
        ("respawnd.json", '{"service": {"web": {"command": "sleep 600"}}}'),
        ("Procfile", "web: sleep 600\n"),
    ],
)
def test_other_formats_say_the_same(daemon: Make, name: str, text: str) -> None:
    """YAML, JSON and Procfile lead to the same service."""
    one = daemon(text, name).start()
    assert "running" == one.until("web", state="running")["state"]
    assert 0 == one.end()


def test_the_effective_configuration_can_be_run(daemon: Make, tmp_path: Path) -> None:
    """`check --show` prints a file that means the same."""
    one = daemon(SUPERVISORD, "supervisord.conf")
    shown = one.run("check", "--show")
    assert 0 == shown.returncode, shown.stderr
    other = daemon(shown.stdout)
    assert 0 == other.run("check").returncode
