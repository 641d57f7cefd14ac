"""TOML, YAML, JSON, the array and Procfile: the same services from each, and what each refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.core.model import LogPolicy, UnitSpec
from tests.config.files import ENVIRON, loaded, refused

TOML = """
[service.web]
command = ["serve", "${PORT}"]
umask = "022"
logs = { rate = "off", compress = false }
[service.job]
command = "x"
"""
JSON = """{"service": {
    "web": {"command": ["serve", "${PORT}"], "umask": "022", "logs": {"rate": "off", "compress": false}},
    "job": {"command": "x"}}}"""


YAML = """
service:
  web:
    command: [serve, '${PORT}']
    umask: '022'
    logs: {rate: off, compress: false}
  job: {command: x}
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("respawnd.toml", TOML),
        ("RESPAWND.TOML", "\ufeff" + TOML),
        ("respawnd.json", JSON),
        ("respawnd.yaml", YAML),
        ("respawnd.yml", YAML),
    ],
)
def test_the_same_in_every_format(tmp_path: Path, name: str, text: str) -> None:
    """TOML, YAML and JSON hold the same keys and mean the same."""
    assert {
        "web": UnitSpec("web", ("serve", "8080"), umask=0o022, logs=LogPolicy(compress=False)),
        "job": UnitSpec("job", ("x",)),
    } == loaded(tmp_path, text, name).services


def test_yaml_merges(tmp_path: Path) -> None:
    """Anchors and merge keys work, and what is merged in may be overridden."""
    text = """
        defaults: &d {nice: 1}
        service:
          a: &a {command: x, user: ann, nice: 2}
          b:
            <<: *a
            user: bob
    """
    services = loaded(tmp_path, text, "respawnd.yaml").services
    assert ("bob", 2) == (services["b"].user, services["b"].nice)


@pytest.mark.parametrize("name", ["respawnd.toml", "respawnd.yaml"])
def test_an_empty_file_is_an_empty_configuration(tmp_path: Path, name: str) -> None:
    """A daemon may have nothing to do."""
    assert {} == loaded(tmp_path, "\n# nothing yet\n", name).services


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ('respawnd.yaml:3: cannot parse: key "a" is given twice', "service:\n  a: {command: x}\n  a: {command: y}\n"),
        ("respawnd.yaml:2: cannot parse: ", "service:\n\ta: 1\n"),
        ("respawnd.yaml:2: cannot parse: ", "a: [1\n"),
        ("respawnd.yaml:1: cannot parse: ", "!!python/object/apply:os.system ['true']"),
        ("respawnd.yaml: cannot parse: ", "a: !!int x"),
        ("respawnd.yaml: cannot parse: ", "a: 2024-13-45"),
        ("respawnd.yaml: cannot parse: nested too deeply", "[" * 200_000),
        ("respawnd.yaml: must be a mapping, not a list", "[1, 2]"),
        ("respawnd.yaml: must be a mapping, not text", "just text"),
        ("respawnd.yaml: 1: unknown key", "1: 2"),
        ("respawnd.yaml: service.1: must be a table, not nothing", "service: {1: }"),
        ("respawnd.yaml: service.a.umask: must be a string of octal digits, not a number",
         "service: {a: {command: x, umask: 022}}"),
        ('respawnd.yaml: service.a.autostart: must be true or false, not "yes"',
         "service: {a: {command: x, autostart: yes}}"),
        ("respawnd.yaml: service.a.environment: must have names that are text, not a number",
         "service: {a: {command: x, environment: {1: x}}}"),
        ("respawnd.yaml: service.a.directory: must be text, not a date",
         "service: {a: {command: x, directory: 2024-01-01}}"),
        ("respawnd.yaml: service.a.directory: must be text, not a bytes",
         "service: {a: {command: x, directory: !!binary eA==}}"),
        ("respawnd.yaml: service.a.command.0: must be text, not a list", "service: {a: {command: &a [*a]}}"),
    ],
)  # fmt: skip
def test_yaml_refusals(tmp_path: Path, expected: str, text: str) -> None:
    """YAML's surprises are refusals: duplicate keys, tags, dates, octal numbers, yes for true, loops."""
    (line,) = refused(tmp_path, text, "respawnd.yaml")
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ('respawnd.json: cannot parse: key "a" is given twice in one object', '{"a": 1, "a": 2}'),
        ("respawnd.json:2: cannot parse: ", '{\n"a": }'),
        ("respawnd.json:1: cannot parse: ", ""),
        ("respawnd.json: cannot parse: NaN is not a number", '{"a": NaN}'),
        ("respawnd.json: cannot parse: ", '{"a": ' + "9" * 5000 + "}"),
        ("respawnd.json: cannot parse: nested too deeply", "[" * 100000),
        ("respawnd.json: must be an object or an array of services, not text", '"x"'),
        ("respawnd.json: service.a.directory: must be valid Unicode text",
         '{"service": {"a": {"command": "x", "directory": "\\ud800"}}}'),
    ],
)  # fmt: skip
def test_json_refusals(tmp_path: Path, expected: str, text: str) -> None:
    """What Python's parser would let pass is refused: duplicate keys, NaN, half a character."""
    (line,) = refused(tmp_path, text, "respawnd.json")
    assert line.startswith(expected)


def test_the_array_runs_as_it_is(tmp_path: Path) -> None:
    """Two shell commands in an array are two services; nothing in them is expanded."""
    text = '[{"name": "api", "command": "cd /srv && exec ./api ${PORT} $HOME"}, {"name": "w", "command": "w | tee x"}]'
    assert {
        "api": UnitSpec("api", ("/bin/sh", "-c", "cd /srv && exec ./api ${PORT} $HOME")),
        "w": UnitSpec("w", ("/bin/sh", "-c", "w | tee x")),
    } == loaded(tmp_path, text, "services_config.json").services


def test_array_refusals(tmp_path: Path) -> None:
    """Each item that is none is told with its place."""
    text = """[1, {"name": "a"}, {"name": "b", "comand": "x", "command": "x"}, {"name": "", "command": 1},
               {"name": "c", "command": "x"}, {"name": "c", "command": "y"}, {"name": "a b", "command": "x"}]"""
    assert [
        "x.json: [0]: must be an object with name and command, not a number",
        "x.json: [1].command: is missing",
        "x.json: [2].comand: unknown key (did you mean command?)",
        "x.json: [3].name: must be text that is not empty, not text",
        "x.json: [3].command: must be text that is not empty, not a number",
        'x.json: [5].name: service "c" is declared twice',
        'x.json: service."a b": "a b" is not a name: it must be 1 to 64 of A-Z a-z 0-9 _ . -',
    ] == refused(tmp_path, text, "x.json")


def test_procfile(tmp_path: Path) -> None:
    """Each line is a service for a shell, beside the file, with the .env that is there."""
    (tmp_path / ".env").write_text("A=1\n")
    text = "# a comment\n\nweb: bundle exec puma -p ${PORT:-5000}\r\nworker:  sidekiq -q a:b  \n"
    common = {"directory": str(tmp_path), "env_files": (f"{tmp_path}/.env",)}
    assert {
        "web": UnitSpec("web", ("/bin/sh", "-c", "bundle exec puma -p ${PORT:-5000}"), **common),  # type: ignore[arg-type]
        "worker": UnitSpec("worker", ("/bin/sh", "-c", "sidekiq -q a:b"), **common),  # type: ignore[arg-type]
    } == loaded(tmp_path, text, "Procfile").services


def test_procfile_without_an_env(tmp_path: Path) -> None:
    """No .env, no environment file; a Procfile for development is one too."""
    assert () == loaded(tmp_path, "web: x", "Procfile.dev").services["web"].env_files


def test_procfile_refusals(tmp_path: Path) -> None:
    """Each line that is no service is told with its number."""
    assert [
        'Procfile:2: must be a line such as web: command, not "nonsense"',
        'Procfile:3: service "web" is declared twice',
        'Procfile:4: must be a line such as web: command, not "empty:"',
    ] == refused(tmp_path, "web: x\nnonsense\nweb: y\nempty:\n", "Procfile")


def test_nothing_expands_without_a_wish(tmp_path: Path) -> None:
    """The formats of other tools keep their dollars."""
    assert "PORT" in ENVIRON
    spec = loaded(tmp_path, "[program:web]\ncommand=echo ${PORT} $$ $1\n", "web.conf").services["web"]
    assert ("echo", "${PORT}", "$$", "$1") == spec.command
