"""What a service becomes: every key of the contract, its defaults, and what is shared."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.core.model import (
    Backoff,
    Condition,
    ExitAction,
    ExitRule,
    ExitSet,
    GiveUp,
    GiveUpThen,
    Kind,
    Limit,
    LogPolicy,
    OnDependencyFailure,
    Restart,
    Scope,
    StopPolicy,
    UnitSpec,
    needs_restart,
)
from tests.config.files import loaded, refused, service

EVERY_KEY = """
command = ["gunicorn", "app:app"]
directory = "/srv/app"
environment = { PORT = "8000", "a.b" = "" }
env_file = ["web.env", "/etc/web.env"]
inherit_environment = false
user = "www-data"
group = 33
umask = "027"
nice = 5
type = "oneshot"
replicas = 3
restart = "on-abnormal"
start_grace = "2s"
success_exit = [0, 3, "HUP"]
exit_rules = [{ codes = [78, "SIGSEGV"], action = "fail" }, { codes = 9, action = "shutdown" }]
backoff = { initial = "1s", factor = 3, max = "1m30s", jitter = 0, reset_after = 30 }
give_up = { failures = 3, within = "1m", then = "shutdown", cooldown = "5m" }
depends_on = { db = "started", migrate = "completed-ok" }
on_dependency_failure = "restart"
stop = { signal = "SIGQUIT", timeout = "20s", scope = "group" }
limits.open_files = 4096
limits.core_size = "unlimited"
limits.stack = { soft = "8MiB", hard = "unlimited" }
limits.cpu_time = "1m"
oom_score_adj = -500
logs.stdout = "/var/log/web.log"
logs.stderr = "stdout"
logs.max_size = "1MiB"
logs.keep = 2
logs.compress = false
logs.rate = "1KiB/s"
criticality = "critical"
autostart = false
priority = 10
[service.db]
command = "x"
[service.migrate]
command = "x"
[group.back]
services = ["web", "db"]
"""


def test_a_name_and_a_command_are_enough(tmp_path: Path) -> None:
    """Without further keys a service is what the model's defaults say."""
    assert UnitSpec("web", ("sleep", "60"), source="x") == service(tmp_path, "")


def test_every_key(tmp_path: Path) -> None:
    """Each key of this version reaches the specification."""
    spec = service(tmp_path, EVERY_KEY)
    expected = UnitSpec(
        name="web",
        command=("gunicorn", "app:app"),
        directory="/srv/app",
        environment={"PORT": "8000", "a.b": ""},
        env_files=(f"{tmp_path}/web.env", "/etc/web.env"),
        inherit_environment=False,
        user="www-data",
        group="33",
        umask=0o027,
        nice=5,
        kind=Kind.ONESHOT,
        replicas=3,
        restart=Restart.ON_ABNORMAL,
        start_grace=2.0,
        success_exit=ExitSet(frozenset({0, 3}), frozenset({1})),
        exit_rules=(
            ExitRule(ExitSet(frozenset({78}), frozenset({11})), ExitAction.FAIL),
            ExitRule(ExitSet(frozenset({9})), ExitAction.SHUTDOWN),
        ),
        backoff=Backoff(1.0, 3.0, 90.0, 0.0, 30.0),
        give_up=GiveUp(3, 60.0, GiveUpThen.SHUTDOWN, 300.0),
        depends_on={"db": Condition.STARTED, "migrate": Condition.COMPLETED_OK},
        on_dependency_failure=OnDependencyFailure.RESTART,
        stop=StopPolicy(3, 20.0, Scope.GROUP),
        limits=(
            Limit("NOFILE", 4096, 4096),
            Limit("CORE", None, None),
            Limit("STACK", 8 * 2**20, None),
            Limit("CPU", 60, 60),
        ),
        oom_score_adj=-500,
        logs=LogPolicy("/var/log/web.log", "stdout", 2**20, 2, compress=False, rate=1024.0),
        criticality="critical",
        autostart=False,
        priority=10,
        groups=("back",),
    )
    assert expected == spec


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        (GiveUp(failures=None), 'give_up = "never"'),
        (GiveUp(failures=None, within=60.0), 'give_up = { failures = "never", within = "1m" }'),
        (GiveUp(failures=3), "max_retries = 3"),
        (GiveUp(failures=0, within=60.0), 'max_retries = 0\ngive_up = { within = "1m" }'),
    ],
)
def test_give_up(tmp_path: Path, expected: GiveUp, keys: str) -> None:
    """`never` switches it off, `max_retries` is short for its failures."""
    assert expected == service(tmp_path, keys).give_up


def test_no_backoff(tmp_path: Path) -> None:
    """`none` is a delay of nothing."""
    assert Backoff(initial=0.0) == service(tmp_path, 'backoff = "none"').backoff


def test_a_list_of_dependencies_means_ready(tmp_path: Path) -> None:
    """A dependency without a condition is one on readiness."""
    spec = service(tmp_path, 'depends_on = ["db"]\n[service.db]\ncommand = "x"')
    assert {"db": Condition.READY} == spec.depends_on


def test_an_oneshot_is_tried_again_on_failure(tmp_path: Path) -> None:
    """What restart means when it is not given depends on the type."""
    assert Restart.ON_FAILURE == service(tmp_path, 'type = "oneshot"').restart
    assert Restart.ALWAYS == service(tmp_path, "").restart


@pytest.mark.parametrize(
    ("expected", "keys"),
    [
        (("/bin/sh", "-c", "a | b"), 'command = "a | b"\nshell = true'),
        (("a", "b c", "d"), "command = \"a 'b c' d\""),
        (("a", "|", "b#c"), 'command = "a | b#c"'),
        (("a", ""), 'command = ["a", ""]'),
    ],
)
def test_commands(tmp_path: Path, expected: tuple[str, ...], keys: str) -> None:
    """A text is split as a shell would, and read by one only where that is asked for."""
    assert expected == service(tmp_path, keys).command


def test_relative_paths_start_at_the_file(tmp_path: Path) -> None:
    """Wherever the daemon runs, a path means the same; the program itself is looked for in the working directory."""
    text = """
        [daemon]
        state_dir = "../state"
        log_target = ["file:log/x.log", "stderr"]
        [http]
        token_file = "token"
        [service.web]
        command = ["./serve"]
        directory = "."
        logs = { stdout = "./out.log" }
    """
    config = loaded(tmp_path / "etc", text)
    spec = config.services["web"]
    assert (f"{tmp_path}/etc", f"{tmp_path}/etc/out.log", ("./serve",)) == (
        spec.directory,
        spec.logs.stdout,
        spec.command,
    )
    assert (f"{tmp_path}/state", f"{tmp_path}/state/run") == (config.daemon.state_dir, config.daemon.runtime_dir)
    assert (f"file:{tmp_path}/etc/log/x.log", "stderr") == config.daemon.log_target
    assert f"{tmp_path}/etc/token" == config.http.token_file


def test_defaults_lie_below_every_service(tmp_path: Path) -> None:
    """Tables of defaults merge key by key, everything else is replaced."""
    text = """
        [defaults]
        environment = { A = "1", B = "1" }
        stop = { timeout = "5s", signal = "INT" }
        success_exit = [1]
        depends_on = ["db"]
        user = "ann"
        give_up = "never"
        [service.web]
        command = "x"
        environment = { B = "2" }
        stop = { timeout = "1s" }
        success_exit = [2]
        [service.db]
        command = "x"
        depends_on = []
        user = "db"
    """
    services = loaded(tmp_path, text).services
    web, db = services["web"], services["db"]
    assert ({"A": "1", "B": "2"}, {"A": "1", "B": "1"}) == (web.environment, db.environment)
    assert (StopPolicy(2, 1.0), StopPolicy(2, 5.0)) == (web.stop, db.stop)
    assert (frozenset({2}), frozenset({1})) == (web.success_exit.codes, db.success_exit.codes)
    assert ({"db": Condition.READY}, {}) == (web.depends_on, db.depends_on)
    assert ("ann", "db") == (web.user, db.user)
    assert web.give_up.failures is None


def test_a_default_restart_does_not_reach_an_oneshot(tmp_path: Path) -> None:
    """`restart = "always"` for all services does not refuse the one that is a oneshot."""
    text = '[defaults]\nrestart = "always"\n[service.job]\ntype = "oneshot"\ncommand = "x"\n'
    assert Restart.ON_FAILURE == loaded(tmp_path, text).services["job"].restart


def test_order_is_that_of_the_file(tmp_path: Path) -> None:
    """Services and the members of groups keep the order in which they are written."""
    text = "".join(f'[service.{name}]\ncommand = "x"\n' for name in "zaqb") + '[group.g]\nservices = ["b", "z"]\n'
    config = loaded(tmp_path, text)
    assert list("zaqb") == list(config.services)
    assert {"g": ("b", "z")} == config.groups
    assert ("g",) == config.services["z"].groups


def test_equal_parts_are_one_object(tmp_path: Path) -> None:
    """A thousand services that say the same thing hold it once."""
    keys = 'command = "x"\nstop = { timeout = "3s" }\nlogs = { keep = 1 }\nuser = "ann"\nenvironment = { A = "1" }\n'
    services = loaded(tmp_path, "".join(f"[service.s{n}]\n{keys}" for n in range(3))).services
    first, *others = services.values()
    for name in ("stop", "logs", "backoff", "give_up", "user", "environment", "depends_on", "success_exit", "limits"):
        assert all(getattr(first, name) is getattr(other, name) for other in others), name


def test_metrics_of_a_service(tmp_path: Path) -> None:
    """Where it exposes its own; a default path and a service's own port are both kept."""
    text = '[defaults]\nmetrics = { path = "/m" }\n[service.web]\ncommand = "x"\nmetrics = { port = 9100 }\n'
    web = loaded(tmp_path, text).services["web"]
    assert (9100, "/m") == (web.metrics_port, web.metrics_path)
    assert (0, "/metrics") == (UnitSpec("web", ("x",)).metrics_port, UnitSpec("web", ("x",)).metrics_path)
    assert not needs_restart(UnitSpec(web.name, web.command), web)


def test_documented_defaults_of_later_keys_are_accepted(tmp_path: Path) -> None:
    """A file that spells out the defaults of keys to come loads today, in whatever unit they are written."""
    text = """
        [daemon.self_restart]
        every = "off"
        on_code_change = false
        max_memory = "off"
        limit = "3/24h"
        [http]
        tls_cert = ""
        tls_key = ""
        [feedback]
        mode = "recommend"
        source = "embedded"
        time_scale = 1.0
        drill = false
        [service.web]
        command = "x"
        schedule = ""
        watchdog = "off"
        stop = { command = [] }
        reload = { signal = "SIGHUP" }
        max_memory = "off"
        max_age = "off"
        rolling = { max_unavailable = 1, order = "stop-first" }
        hooks = { pre_start = [], post_stop = [] }
        timezone = "UTC"
        sockets = []
        tune = {}
        [group.g]
        strategy = "one-for-one"
    """
    assert [] == refused(tmp_path, text)
    assert UnitSpec("web", ("x",)) == loaded(tmp_path, text).services["web"]
