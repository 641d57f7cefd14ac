"""One line for each way a TOML configuration can be wrong: the file, the key, the reason, the nearest key."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.config import ConfigError, load
from supervisor.config.problem import Problem, nearest
from tests.config.files import loaded, refused

WEB = '[service.web]\ncommand = "x"\n'

KEYS = [
    ("comand: unknown key (did you mean command?)", 'comand = "x"'),
    ("frobnicate: unknown key", "frobnicate = 1"),
    ("stop.timout: unknown key (did you mean timeout?)", "stop = { timout = 1 }"),
    ("limits.files: unknown key (did you mean file_size?)", "limits = { files = 1 }"),
    ("directory: must be text, not a number", "directory = 1"),
    ("directory: must not be empty", 'directory = ""'),
    ("directory: must not hold a NUL byte", r'directory = "/a\u0000b"'),
    ("environment: must be a table, not a list", 'environment = ["A=1"]'),
    ("environment.PORT: must be text, not a number", "environment = { PORT = 8000 }"),
    ('environment."A=B": "A=B" cannot name a variable', 'environment = { "A=B" = "1" }'),
    ('environment."": "" cannot name a variable', 'environment = { "" = "1" }'),
    ("env_file: must be a list, not a table", "env_file = {}"),
    ("user: must be text, not a boolean", "user = true"),
    ("group: must not be empty", 'group = ""'),
    ('umask: must be a string of octal digits such as "022", not "0888"', 'umask = "0888"'),
    ("umask: must be a string of octal digits, not a number", "umask = 22"),
    ("nice: must be a whole number from -20 to 19, not 20", "nice = 20"),
    ("nice: must be a whole number from -20 to 19, not 1.5", "nice = 1.5"),
    ("replicas: must be a whole number from 0 to 10000, not a number that large", "replicas = 1000000000000000000"),
    ("replicas: must be a whole number from 0 to 10000, not a boolean", "replicas = true"),
    ('type: must be one of service, oneshot, not "servce"', 'type = "servce"'),
    ('type: "scheduled" is not in this version', 'type = "scheduled"'),
    ('type: "external" is not in this version', 'type = "external"'),
    ('restart: must be one of always, on-failure, on-success, on-abnormal, never, not "yes"', 'restart = "yes"'),
    (
        'restart: "always" would run a oneshot for ever: it takes on-failure, on-abnormal or never',
        'type = "oneshot"\nrestart = "always"',
    ),
    ('start_grace: must be a duration such as 250ms, 10s or 1h30m, not "soon"', 'start_grace = "soon"'),
    ("start_grace: must be from 0s to 3650d, not -1", "start_grace = -1"),
    ("start_grace: must be from 0s to 3650d, not a number that low", f"start_grace = -{'9' * 400}"),
    ("start_grace: must be from 0s to 3650d, not a number that large", f"start_grace = {'9' * 400}"),
    ("start_grace: must be a duration such as 250ms, 10s or 1h30m, not inf", "start_grace = inf"),
    ("start_grace: must be a duration such as 250ms, 10s or 1h30m, not a date", "start_grace = 2024-01-01"),
    ("success_exit.1: must be a whole number from 0 to 255, not 256", "success_exit = [0, 256]"),
    (
        'success_exit.0: must be a signal such as TERM, SIGHUP or 10, not "TREM" (did you mean TERM?)',
        'success_exit = ["TREM"]',
    ),
    ("exit_rules.0.action: is missing", "exit_rules = [{ codes = [1] }]"),
    ("exit_rules.0.codes: is missing", 'exit_rules = [{ action = "stop" }]'),
    (
        'exit_rules.1.action: must be one of restart, stop, fail, shutdown, not "retry"',
        'exit_rules = [{ codes = [1], action = "stop" }, { codes = [2], action = "retry" }]',
    ),
    ("exit_rules.0: must be a table, not a number", "exit_rules = [78]"),
    ("backoff.factor: must be a number from 1 to 100, not 0.5", "backoff = { factor = 0.5 }"),
    ("backoff.jitter: must be a number from 0 to 1, not 1.1", "backoff = { jitter = 1.1 }"),
    ("backoff: must be a table, not text", 'backoff = "off"'),
    ("give_up: must be a table, not text", 'give_up = "none"'),
    ("give_up.within: must be from 1ms to 3650d, not 0", "give_up = { within = 0 }"),
    ("give_up.failures: must be a whole number from 0 to 1000000, not -1", "give_up = { failures = -1 }"),
    ("max_retries: is give_up.failures in short: give one of the two", "max_retries = 1\ngive_up = { failures = 1 }"),
    (
        'depends_on."a b": "a b" is not a name: it must be 1 to 64 of A-Z a-z 0-9 _ . -',
        'depends_on = { "a b" = "ready" }',
    ),
    ('depends_on.0: "" is not a name: it must be 1 to 64 of A-Z a-z 0-9 _ . -', 'depends_on = [""]'),
    (
        'depends_on.db: must be one of started, ready, completed, completed-ok, not "up"',
        'depends_on = { db = "up" }\n[service.db]\ncommand = "x"',
    ),
    ("depends_on: must be a list of services or a table of conditions, not text", 'depends_on = "db"'),
    ("depends_on.db: no such service", 'depends_on = ["db"]'),
    ("depends_on.wbe: no such service (did you mean web?)", 'depends_on = ["wbe"]'),
    ("depends_on: dependency cycle: web -> web", 'depends_on = ["web"]'),
    ("ready: not in this version", "ready = { tcp = '127.0.0.1:1' }"),
    ("alive: not in this version", "alive = {}"),
    ("watchdog: not in this version", 'watchdog = "10s"'),
    ("stop.signal: must be a signal such as TERM, SIGHUP or 10, not a list", "stop = { signal = [] }"),
    ('stop.signal: must be a signal such as TERM, SIGHUP or 10, not "65"', "stop = { signal = 65 }"),
    ("stop.command: not in this version", 'stop = { command = ["x"] }'),
    ('stop.scope: must be one of main, group, not "all"', 'stop = { scope = "all" }'),
    ("reload.signal: not in this version", 'reload = { signal = "USR1" }'),
    ("limits.memory_max: not in this version", 'limits = { memory_max = "1GiB" }'),
    ("limits.open_files: must have both soft and hard", "limits = { open_files = { soft = 1 } }"),
    ("limits.open_files: soft must not be above hard", "limits = { open_files = { soft = 2, hard = 1 } }"),
    ("limits.core_size: soft must not be above hard", 'limits = { core_size = { soft = "unlimited", hard = 1 } }'),
    ("limits.cpu_time: must be whole seconds", 'limits = { cpu_time = "1500ms" }'),
    ('limits.stack: must be a size such as 64KiB, 512MiB or 1GB, not "big"', 'limits = { stack = "big" }'),
    ("max_memory: not in this version", 'max_memory = "1GiB"'),
    ("max_age: not in this version", 'max_age = "1d"'),
    ("rolling.order: not in this version", 'rolling = { order = "start-first" }'),
    ("hooks.pre_start: not in this version", 'hooks = { pre_start = ["x"] }'),
    ("oom_score_adj: must be a whole number from -1000 to 1000, not -1001", "oom_score_adj = -1001"),
    ("metrics.port: must be a whole number from 0 to 65535, not 65536", "metrics = { port = 65536 }"),
    (
        'metrics.path: must be a path such as /metrics, without spaces, ? and #, not "metrics"',
        'metrics = { path = "metrics" }',
    ),
    (
        'metrics.path: must be a path such as /metrics, without spaces, ? and #, not "/metrics?all=1"',
        'metrics = { path = "/metrics?all=1" }',
    ),
    (
        'metrics.path: must be a path such as /metrics, without spaces, ? and #, not "/a\\nb"',
        r'metrics = { path = "/a\nb" }',
    ),
    ('metrics.path: must be a path such as /metrics, without spaces, ? and #, not ""', 'metrics = { path = "" }'),
    ("schedule: not in this version", 'schedule = "* * * * *"'),
    ("sockets: not in this version", 'sockets = ["tcp://127.0.0.1:80"]'),
    ("tune: not in this version", "tune = { backoff = 1 }"),
    (
        'logs.stdout: must be capture, null, inherit or a path with a slash, not "stdout"',
        'logs = { stdout = "stdout" }',
    ),
    (
        'logs.stderr: must be capture, null, inherit, stdout or a path with a slash, not "cap" (did you mean capture?)',
        'logs = { stderr = "cap" }',
    ),
    ("logs.compress: must be true or false, not a number", "logs = { compress = 1 }"),
    ('logs.compress: must be true or false, not "yes"', 'logs = { compress = "yes" }'),
    ('logs.rate: must be a rate such as 1MiB/s, or "off", not "1MiB"', 'logs = { rate = "1MiB" }'),
    ("logs.max_size: must be from 0 to 8 EiB, in whole bytes, not -1", "logs = { max_size = -1 }"),
    ('criticality: must be one of critical, high, medium, low, not "urgent"', 'criticality = "urgent"'),
]

COMMANDS = [
    ("is missing", ""),
    ("must be text or a list of text, not a number", "command = 1"),
    ("must not be empty", 'command = ""'),
    ("must not be empty", 'command = "  "'),
    ("must not be empty", "command = []"),
    ("must not be empty", 'command = ["", "x"]'),
    ("must not be empty", "command = '\"\"'"),
    ("cannot split: no closing quotation", 'command = "echo \'a"'),
    ("must be one text where shell = true, not a list", 'command = ["x"]\nshell = true'),
    ("must not hold a NUL byte", r'command = "a\u0000b"'),
]

FILES = [
    ("deamon: unknown key (did you mean daemon?)", "[deamon]"),
    ("web: unknown key; a service is [service.web]", '[web]\ncommand = "x"'),
    ("include: must be a list, not a number", "include = 1"),
    ("daemon: must be a table, not text", 'daemon = "x"'),
    ('daemon.log_level: must be one of debug, info, warning, error, not "loud"', '[daemon]\nlog_level = "loud"'),
    ('daemon.log_target: must be stderr, file:PATH, syslog[:ADDRESS] or journal, not "x"',
     '[daemon]\nlog_target = "x"'),
    ('daemon.log_target.1: must be stderr, file:PATH, syslog[:ADDRESS] or journal, not "syslog:"',
     '[daemon]\nlog_target = ["stderr", "syslog:"]'),
    ("daemon.respawn_rate: must be a number from 1e-06 to 1e+09, not 0", "[daemon]\nrespawn_rate = 0"),
    ("daemon.start_parallelism: must be a whole number from 0 to 1024, not -1", "[daemon]\nstart_parallelism = -1"),
    ("daemon.self_restart.every: not in this version", '[daemon.self_restart]\nevery = "24h"'),
    ("daemon.self_restart.limit: not in this version", '[daemon.self_restart]\nlimit = "4/24h"'),
    ("daemon.runtime_dir: is too long: the socket", f'[daemon]\nruntime_dir = "/{"x" * 100}"'),
    ("http.listen: must be HOST:PORT, not a number", "[http]\nlisten = 9747"),
    ('http.listen: must be HOST:PORT such as 127.0.0.1:9747 or [::1]:9747, or "off", not ":9747"',
     '[http]\nlisten = ":9747"'),
    ('http.listen: must be HOST:PORT such as 127.0.0.1:9747 or [::1]:9747, or "off", not "::1:9747"',
     '[http]\nlisten = "::1:9747"'),
    ('http.listen: must be HOST:PORT such as 127.0.0.1:9747 or [::1]:9747, or "off", not "a:65536"',
     '[http]\nlisten = "a:65536"'),
    ("http.listen: an address beyond loopback needs TLS and a token, which is not in this version, or insecure = true",
     '[http]\nlisten = "0.0.0.0:9747"'),
    ("http.tls_cert: not in this version", '[http]\ntls_cert = "/etc/cert.pem"'),
    ('metrics.sample_interval: must be from 100ms to 1h, not "50ms"', '[metrics]\nsample_interval = "50ms"'),
    ("metrics.sample_interval: must be from 100ms to 1h, not 3601", "[metrics]\nsample_interval = 3601"),
    ("metrics.max_series: must be a whole number from 0 to 1000000000, not -1", "[metrics]\nmax_series = -1"),
    ("metrics.pss: must be true or false, not a number", "[metrics]\npss = 1"),
    ('tracing.exporter: must be one of off, file, otlp, not "jaeger"', '[tracing]\nexporter = "jaeger"'),
    ('tracing.file: is missing: exporter = "file" writes there', '[tracing]\nexporter = "file"'),
    ("tracing.file: must be text, not a number", '[tracing]\nexporter = "file"\nfile = 1'),
    ('tracing.endpoint: must be a URL such as http://127.0.0.1:4318, not "127.0.0.1:4318"',
     '[tracing]\nendpoint = "127.0.0.1:4318"'),
    ('tracing.endpoint: must be a URL such as http://127.0.0.1:4318, not "grpc://collector:4317"',
     '[tracing]\nendpoint = "grpc://collector:4317"'),
    ('tracing.endpoint: must be a URL such as http://127.0.0.1:4318, not "http://collector:65536"',
     '[tracing]\nendpoint = "http://collector:65536"'),
    ('tracing.endpoint: must be a URL such as http://127.0.0.1:4318, not "http://"',
     '[tracing]\nendpoint = "http://"'),
    ("tracing.endpoint: must not hold a user or password: give them in OTEL_EXPORTER_OTLP_HEADERS",
     '[tracing]\nendpoint = "https://ann:secret@collector"'),
    ('tracing.endpoint: must be a URL such as http://127.0.0.1:4318, not "https//…@collector"',
     '[tracing]\nendpoint = "https//ann:secret@collector"'),
    ('tracing.child_context: must be one of jobs, all, off, not "none"', '[tracing]\nchild_context = "none"'),
    ("feedback.mode: not in this version", '[feedback]\nmode = "auto"'),
    ('feedback.mode: must be one of off, observe, recommend, approve, auto, not "on"', '[feedback]\nmode = "on"'),
    ("service: must be a table of tables, as in [service.NAME], not text", 'service = "x"'),
    ("service.web: must be a table, not text", '[service]\nweb = "x"'),
    ('service."a b": "a b" is not a name: it must be 1 to 64 of A-Z a-z 0-9 _ . -', '[service."a b"]\ncommand = "x"'),
    ('service."..": ".." is not a name: it must be 1 to 64 of A-Z a-z 0-9 _ . -', '[service.".."]\ncommand = "x"'),
    ('group.g.services: no service "wbe" (did you mean web?)', f'{WEB}[group.g]\nservices = ["wbe"]'),
    ('group.g.strategy: "one-for-all" is not in this version', '[group.g]\nstrategy = "one-for-all"'),
    ("group.g.give_up: not in this version", "[group.g]\ngive_up = { failures = 5 }"),
    ("group.g.services: must be a list, not a table", '[group.g]\nservices = { web = "ready" }'),
    ("defaults.nice: must be a whole number from -20 to 19, not 99", "[defaults]\nnice = 99"),
]  # fmt: skip

SYNTAX = [
    ("respawnd.toml:2: cannot parse: ", "[service.web]\ncommand = \n"),
    ("respawnd.toml:3: service.web: is declared twice", f'{WEB}[service.web]\ncommand = "y"\n'),
    ("respawnd.toml:3: cannot parse: a key is given twice", f'{WEB}command = "y"\n'),
    ("respawnd.toml: cannot parse: ", '[service.web]\ncommand = """'),
    ("respawnd.toml: cannot parse: ", "x = " + "9" * 5000),
]


@pytest.mark.parametrize(("expected", "keys"), KEYS, ids=[f"{keys[:30]}" for _, keys in KEYS])
def test_keys_of_a_service(tmp_path: Path, expected: str, keys: str) -> None:
    """Each key of a service refuses what it cannot be, with its path, and nothing else is said."""
    assert [f"respawnd.toml: service.web.{expected}"] == refused(tmp_path, f"{WEB}{keys}\n")


@pytest.mark.parametrize(("expected", "keys"), COMMANDS)
def test_commands(tmp_path: Path, expected: str, keys: str) -> None:
    """A service has a command that can be run."""
    assert [f"respawnd.toml: service.web.command: {expected}"] == refused(tmp_path, f"[service.web]\n{keys}\n")


@pytest.mark.parametrize(("expected", "text"), FILES, ids=[text[:30] for _, text in FILES])
def test_the_rest_of_a_file(tmp_path: Path, expected: str, text: str) -> None:
    """Sections refuse in the same grammar."""
    (line,) = refused(tmp_path, text)
    assert line.startswith(f"respawnd.toml: {expected}")


@pytest.mark.parametrize(("expected", "text"), SYNTAX)
def test_syntax_names_the_line(tmp_path: Path, expected: str, text: str) -> None:
    """What cannot be parsed is told with its line where the parser knows it."""
    (line,) = refused(tmp_path, text)
    assert line.startswith(expected)


def test_deep_nesting_is_a_refusal(tmp_path: Path) -> None:
    """A file that nests past the parser's stack is refused, not raised."""
    assert ["respawnd.toml: cannot parse: nested too deeply"] == refused(tmp_path, f"x = {'[' * 20000}")


def test_all_at_once(tmp_path: Path) -> None:
    """Every problem of a file is told in one go: of keys, of dependencies, of groups, of the daemon."""
    text = """
        [daemon]
        log_levl = "info"
        [service.web]
        comand = "x"
        nice = "high"
        depends_on = ["db"]
        [service.a]
        command = "x"
        depends_on = ["b"]
        [service.b]
        command = "x"
        depends_on = { a = "started" }
        [group.g]
        services = ["c"]
    """
    expected = {
        "daemon.log_levl: unknown key (did you mean log_level?)",
        "service.web.comand: unknown key (did you mean command?)",
        'service.web.nice: must be a whole number from -20 to 19, not "high"',
        "service.web.command: is missing",
        "service.web.depends_on.db: no such service (did you mean b?)",
        "service.a.depends_on: dependency cycle: a -> b -> a",
        'group.g.services: no service "c"',
    }
    assert expected == {line.removeprefix("respawnd.toml: ") for line in refused(tmp_path, text)}


def test_each_cycle_is_told(tmp_path: Path) -> None:
    """Cycles that have nothing to do with each other are told one by one, and what only leads to one is not told."""
    needs = {"a": "b", "b": "c", "c": "a", "x": "y", "y": "x", "z": "x"}
    text = "".join(f'[service.{name}]\ncommand = "x"\ndepends_on = ["{need}"]\n' for name, need in needs.items())
    assert [
        "respawnd.toml: service.a.depends_on: dependency cycle: a -> b -> c -> a",
        "respawnd.toml: service.x.depends_on: dependency cycle: x -> y -> x",
    ] == refused(tmp_path, text)


def test_a_long_chain_is_no_cycle(tmp_path: Path) -> None:
    """A thousand services in a row are more than Python's stack, and nothing is wrong with them."""
    text = "".join(f'[service.s{n}]\ncommand = "x"\ndepends_on = ["s{n + 1}"]\n' for n in range(1200))
    assert 1201 == len(loaded(tmp_path, text + '[service.s1200]\ncommand = "x"\n').services)


@pytest.mark.parametrize(
    ("expected", "name"),
    [
        ("cannot tell the format from the name: known are .toml", "respawnd.txt"),
        ("cannot tell the format from the name: known are .toml", "respawnd"),
        ("cannot read: no such file or directory", "missing.toml"),
        ("cannot read: not a regular file", "directory.toml"),
        ("cannot read: not UTF-8 at byte 2", "latin.toml"),
        ("cannot read: its name holds a NUL byte", "nul\0.toml"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, expected: str, name: str) -> None:
    """A file that is missing, is no file, or is no text is one line, told with the file."""
    (tmp_path / "directory.toml").mkdir()
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    (tmp_path / "respawnd.txt").touch()
    (tmp_path / "respawnd").touch()
    with pytest.raises(ConfigError) as error:
        load(str(tmp_path / name), environ={}, euid=1000)
    (problem,) = error.value.problems
    assert problem.text.startswith(expected)
    assert str(problem).count("\n") == 0


def test_a_problem_is_one_line() -> None:
    """Whatever a file holds, a problem is printed on one line, with a line number after the file where one is known."""
    assert "a.toml:3: service.x: bad\\nnews\\x00" == str(Problem("a.toml", "service.x", "bad\nnews\0", 3))
    assert "a.toml: bad" == str(Problem("a.toml", "", "bad"))


def test_the_nearest_word() -> None:
    """A word that is close is proposed; none is better than one that is far."""
    assert " (did you mean command?)" == nearest("comand", ["command", "directory"])
    assert "" == nearest("x", ["command", "directory"])
