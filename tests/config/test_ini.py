"""supervisord's dialect: a real application's file, and the sections beside the programs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from supervisor.config import Config
from supervisor.core.model import (
    Backoff,
    ExitSet,
    GiveUp,
    GiveUpThen,
    Limit,
    LogPolicy,
    Restart,
    Scope,
    StopPolicy,
    UnitSpec,
)
from tests.config.files import ENVIRON, loaded, program, write

APPLICATION = """
; supervisor config of a shop
[unix_http_server]
file=/run/shop/supervisor.sock   ; (the path to the socket file)
chmod=0700

[inet_http_server]
port=*:9001
username=admin
password=secret

[supervisord]
logfile=%(here)s/log/supervisord.log
logfile_maxbytes=50MB
loglevel=warn
pidfile=/run/supervisord.pid
nodaemon=true
minfds=65536
environment=APP_ENV="production",URL="postgres://u:p@db/app?a=1,b=2",LANG=C.UTF-8

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix:///run/shop/supervisor.sock

[program:web]
command=/srv/venv/bin/gunicorn app:app --bind 127.0.0.1:80%(process_num)02d --name "%(program_name)s worker"
process_name=%(program_name)s_%(process_num)02d
numprocs=2
numprocs_start=1
directory=/srv/app
umask=027
priority=200
autorestart=true
startsecs=5
startretries=4
exitcodes=0,2
stopsignal=QUIT
stopwaitsecs=20
stopasgroup=true
user=www-data
redirect_stderr=true
stdout_logfile=log/%(program_name)s_%(process_num)d.log
stdout_logfile_maxbytes=5MB
stdout_logfile_backups=3
environment=PORT="80%(process_num)02d",SECRET='a,b%%c',HOMEDIR=%(ENV_HOME)s/x

[program:celery]
command=celery -A proj worker -Q "high,low"   ; inline comment
  --loglevel=INFO
stdout_logfile=NONE
stderr_logfile=/dev/stderr
priority=100

[program:beat]
command: celery -A proj beat # other comment
autostart: no
autorestart: false
startsecs=0

[group:tasks]
programs=celery, beat, extra
priority=50

[include]
files = conf.d/*.conf %(here)s/more/*.ini
"""
EXTRA = "[program:extra]\ncommand=%(here)s/extra.sh %(ENV_APP_ENV)s\n"


@pytest.fixture
def shop(tmp_path: Path) -> Config:
    """The configuration of the application."""
    write(tmp_path / "conf.d/extra.conf", EXTRA)
    return loaded(tmp_path, APPLICATION, "supervisord.conf")


def told(name: str, group: str) -> dict[str, str]:
    """What supervisord tells a child of itself."""
    return {"SUPERVISOR_ENABLED": "1", "SUPERVISOR_PROCESS_NAME": name, "SUPERVISOR_GROUP_NAME": group}


SHARED = {"APP_ENV": "production", "URL": "postgres://u:p@db/app?a=1,b=2", "LANG": "C.UTF-8"}


def test_services_and_groups(shop: Config) -> None:
    """Each process is a service, in the group of its program or in the one that names the program."""
    assert ["web_01", "web_02", "celery", "beat", "extra"] == list(shop.services)
    assert {"web": ("web_01", "web_02"), "tasks": ("celery", "beat", "extra")} == shop.groups
    assert ("web",) == shop.services["web_01"].groups
    assert () == shop.broken


def test_a_program_with_everything(shop: Config, tmp_path: Path) -> None:
    """Every key of a program arrives, as supervisord would have understood it."""
    spec = shop.services["web_02"]
    command = ("/srv/venv/bin/gunicorn", "app:app", "--bind", "127.0.0.1:8002", "--name", "web worker")
    expected = UnitSpec(
        name="web_02",
        command=command,
        directory="/srv/app",
        environment={**SHARED, **told("web_02", "web"), "PORT": "8002", "SECRET": "a,b%c", "HOMEDIR": "/home/ann/x"},
        user="www-data",
        umask=0o027,
        limits=(Limit("NOFILE", 65536, 65536),),
        priority=200,
        restart=Restart.ALWAYS,
        start_grace=5.0,
        success_exit=ExitSet(frozenset({0, 2})),
        backoff=Backoff(1.0, 1.5, 5.0, 0.0, 25.15),
        give_up=GiveUp(4, 25.15, GiveUpThen.STAY),
        stop=StopPolicy(3, 20.0, Scope.GROUP),
        logs=LogPolicy(f"{tmp_path}/log/web_2.log", "stdout", 5 * 2**20, 3, compress=False),
        groups=("web",),
    )
    assert expected == spec


def test_defaults_are_those_of_supervisord(shop: Config) -> None:
    """What a program does not say is as supervisord has it."""
    spec = shop.services["celery"]
    assert ("celery", "-A", "proj", "worker", "-Q", "high,low", "--loglevel=INFO") == spec.command
    assert (Restart.ON_FAILURE, 1.0, StopPolicy()) == (spec.restart, spec.start_grace, spec.stop)
    assert (3, GiveUpThen.STAY) == (spec.give_up.failures, spec.give_up.then)
    assert LogPolicy("null", "inherit", compress=False) == spec.logs
    assert {**SHARED, **told("celery", "tasks")} == spec.environment


def test_a_program_without_startsecs(shop: Config) -> None:
    """startsecs = 0 never gives up, as with supervisord."""
    spec = shop.services["beat"]
    assert (False, Restart.NEVER, None, 0.0) == (spec.autostart, spec.restart, spec.give_up.failures, spec.start_grace)


def test_an_included_program(shop: Config, tmp_path: Path) -> None:
    """%(here)s of an include is its own directory; the environment of [supervisord] reaches it."""
    spec = shop.services["extra"]
    assert (f"{tmp_path}/conf.d/extra.sh", "production") == spec.command
    assert {**SHARED, **told("extra", "extra")} == spec.environment


def test_the_daemon(shop: Config, tmp_path: Path) -> None:
    """[supervisord] and the servers become ours; what others could reach stays on this host."""
    assert ("/run/shop", "warning", (f"file:{tmp_path}/log/supervisord.log",)) == (
        shop.daemon.runtime_dir,
        shop.daemon.log_level,
        shop.daemon.log_target,
    )
    assert ("127.0.0.1", 9001) == (shop.http.host, shop.http.port)


def test_what_is_told(shop: Config, tmp_path: Path) -> None:
    """Every change of meaning is one warning, with its line."""
    lines = [str(warning).removeprefix(f"{tmp_path}/") for warning in shop.warnings]
    assert [
        (
            "supervisord.conf:16: supervisord.pidfile: is ignored: no pid file is written: "
            "respawnd.lock in the state directory holds the pid"
        ),
        (
            "supervisord.conf:18: supervisord.minfds: every program gets limits.open_files = 65536; "
            "the daemon takes what it may have"
        ),
        "supervisord.conf:4: unix_http_server.file: the control socket is /run/shop/respawnd.sock",
        (
            "supervisord.conf:9: inet_http_server.username: passwords are not in this version: "
            "the socket takes its owner, HTTP a bearer token"
        ),
        (
            "supervisord.conf:8: inet_http_server.port: listens on 127.0.0.1:9001 alone: "
            "more needs insecure = true in [respawnd]"
        ),
        "supervisord.conf:64: group:tasks.priority: groups have no priority here: that of each program holds",
        f'supervisord.conf: include: no file matches "{(str(tmp_path) + "/more/*.ini")[:39]}…"',
    ] == lines


def test_expansions(tmp_path: Path) -> None:
    """All names that supervisord has, with a width where one is given, and the program's own environment."""
    keys = (
        "command=%(program_name)s %(group_name)s %(process_num)03d %(process_num)s %(numprocs)d %(here)s "
        "%(host_node_name)s %(ENV_A)s %(ENV_PORT)s %% %(ENV_OWN)s\n"
        'environment=OWN="%(process_num)d"\nprocess_name=w%(process_num)d\nnumprocs=1\nnumprocs_start=7\n'
    )
    config = loaded(
        tmp_path, f"[supervisord]\nenvironment=A=1\n[program:web]\n{keys}[group:g]\nprograms=web\n", "x.ini"
    )
    expected = ("web", "g", "007", "7", "1", str(tmp_path), os.uname().nodename, "1", "8080", "%", "7")
    assert expected == config.services["w7"].command
    assert {"g": ("w7",)} == config.groups


def test_a_percent_sign_in_the_environment_of_the_daemon(tmp_path: Path) -> None:
    """supervisord expands that one key twice; one that would fail the second time is left as it is."""
    for text in ("a%%%%b", "a%%b"):
        config = loaded(tmp_path, f'[supervisord]\nenvironment=A="{text}"\n[program:x]\ncommand=x\n', "x.conf")
        assert "a%b" == config.services["x"].environment["A"]


def test_no_processes(tmp_path: Path) -> None:
    """numprocs = 0 is a program that does not run."""
    config = program(tmp_path, "numprocs=0")
    assert ({}, {"web": ()}) == (config.services, config.groups)


def test_a_group_named_after_a_program(tmp_path: Path) -> None:
    """A program that is in a group makes none of its own, even where the two have one name."""
    text = "[group:web]\nprograms=web,x\n[program:x]\ncommand=x\n[program:web]\ncommand=x\nnumprocs=2\n"
    config = loaded(tmp_path, f"{text}process_name=%(group_name)s%(process_num)d\n", "x.conf")
    assert {"web": ("web0", "web1", "x")} == config.groups


def test_groups_over_files(tmp_path: Path) -> None:
    """A group may name a program with several processes of an included file."""
    write(tmp_path / "more.conf", "[program:web]\ncommand=x\nnumprocs=2\nprocess_name=w%(process_num)d\n")
    config = loaded(tmp_path, "[group:g]\nprograms=web\n[include]\nfiles=more.conf\n", "x.conf")
    assert ("w0", "w1") == config.groups["g"]
    assert ("g", "web") == config.services["w0"].groups


def test_our_own_section(tmp_path: Path) -> None:
    """[respawnd] holds keys of the daemon and of HTTP, with or without their table, above what the servers say."""
    text = """
        [inet_http_server]
        port=0.0.0.0:9001
        [respawnd]
        daemon.state_dir = state
        log_level = debug
        shutdown_timeout = 5
        http.allowed_hosts = ["a", "b"]
        insecure = true
    """.replace("        ", "")
    config = loaded(tmp_path, text, "x.conf")
    assert (f"{tmp_path}/state", "debug", 5.0) == (
        config.daemon.state_dir,
        config.daemon.log_level,
        config.daemon.shutdown_timeout,
    )
    assert ("0.0.0.0", 9001, ("a", "b")) == (config.http.host, config.http.port, config.http.allowed_hosts)
    assert () == config.warnings


@pytest.mark.parametrize(
    ("expected", "port"), [(("localhost", 1), "localhost:1"), (("::1", 2), "[::1]:2"), (("127.0.0.1", 3), "3")]
)
def test_ports(tmp_path: Path, expected: tuple[str, int], port: str) -> None:
    """An address of this host is taken, a port alone means every address and is kept on this one."""
    http = loaded(tmp_path, f"[inet_http_server]\nport={port}\n", "x.conf").http
    assert expected == (http.host, http.port)


@pytest.mark.parametrize("file", ["/tmp/supervisor.sock", "supervisor.sock", ""])
def test_a_socket_where_everybody_writes(tmp_path: Path, file: str) -> None:
    """A control socket does not follow supervisord's to /tmp, nor to nowhere."""
    config = loaded(tmp_path, f"[unix_http_server]\nfile={file}\nchmod=0770\nchown=a:b\n", "x.conf")
    assert "/home/ann/.local/state/respawnd/run" == config.daemon.runtime_dir
    assert {"unix_http_server.chmod", "unix_http_server.chown"} <= {warning.key for warning in config.warnings}


def test_a_variable_lies_above_the_socket(tmp_path: Path) -> None:
    """RESPAWND_RUNTIME_DIR says where the socket is, whatever supervisord had."""
    environ = {**ENVIRON, "RESPAWND_RUNTIME_DIR": "/run/ours"}
    config = loaded(tmp_path, "[unix_http_server]\nfile=/run/theirs/x.sock\n", "x.conf", environ=environ)
    assert "/run/ours" == config.daemon.runtime_dir


def test_other_sections(tmp_path: Path) -> None:
    """Sections of supervisord's own tools are passed over, those of nobody told."""
    text = "[supervisorctl]\nprompt=x\n[ctlplugin:x]\na=b\n[dependent_startup_thing]\nx=1\n"
    config = loaded(tmp_path, text, "x.conf")
    assert ["dependent_startup_thing: unknown section is ignored"] == [
        f"{warning.key}: {warning.text}" for warning in config.warnings
    ]


@pytest.mark.needs("root")
def test_the_user_of_the_daemon(tmp_path: Path) -> None:
    """supervisord becomes its user, and its programs with it; ours stays root, and they get the user all the same."""
    text = (
        "[supervisord]\nuser=ann\ndirectory=sub\numask=027\n[program:a]\ncommand=x\n[program:b]\ncommand=x\nuser=bob\n"
    )
    config = loaded(tmp_path, text, "x.conf", euid=0)
    assert ["ann", "bob"] == [spec.user for spec in config.services.values()]
    assert {f"{tmp_path}/sub"} == {spec.directory for spec in config.services.values()}
    assert {0o027} == {spec.umask for spec in config.services.values()}
    assert ["supervisord.user"] == [warning.key for warning in config.warnings]
    assert [None, "bob"] == [spec.user for spec in loaded(tmp_path, text, "x.conf").services.values()]
