"""Includes: what they add, and that a broken one costs its own services and those that depend on them."""

from __future__ import annotations

from pathlib import Path

import pytest

from supervisor.config import Config, load
from tests.config.files import loaded, refused, write

MAIN = 'include = ["conf.d/*.toml"]\n[service.web]\ncommand = "x"\n'
DB = '[service.db]\ncommand = "x"\n'


def lines(config: Config, directory: Path) -> list[str]:
    """What is broken, without the directory."""
    return [str(problem).removeprefix(f"{directory}/") for problem in config.broken]


def test_files_of_any_format(tmp_path: Path) -> None:
    """Patterns are read in their order, files of one pattern by name, each as its name says, each once."""
    write(tmp_path / "conf.d/b.toml", "[service.b]\ncommand = 'x'\ndirectory = '.'\n")
    write(tmp_path / "conf.d/a.yaml", "service: {a: {command: x}}\n")
    write(tmp_path / "conf.d/c.json", '[{"name": "c", "command": "x"}]')
    write(tmp_path / "conf.d/d.conf", "[program:d]\ncommand=x\n")
    write(tmp_path / "conf.d/Procfile", "e: x\n")
    (tmp_path / "conf.d/f.toml").mkdir()
    patterns = '["conf.d/b.toml", "conf.d/*.toml", "conf.d/*", "respawnd.toml"]'
    config = loaded(tmp_path, f'include = {patterns}\n[service.web]\ncommand = "x"\n')
    assert ((), ()) == (config.broken, config.warnings)
    assert ["web", "b", "e", "a", "c", "d"] == list(config.services)
    assert f"{tmp_path}/conf.d" == config.services["b"].directory
    assert f"{tmp_path}/conf.d/b.toml" == config.services["b"].source


def test_defaults_reach_into_includes(tmp_path: Path) -> None:
    """Defaults of the main file lie below those of an include, which hold for its own services alone."""
    write(tmp_path / "conf.d/b.toml", f'[defaults]\nnice = 2\nenvironment = {{ B = "1" }}\n{DB}')
    config = loaded(tmp_path, MAIN + '[defaults]\nnice = 1\nuser = "ann"\nenvironment = { A = "1" }\n')
    db, web = config.services["db"], config.services["web"]
    assert (2, "ann", {"A": "1", "B": "1"}) == (db.nice, db.user, db.environment)
    assert (1, {"A": "1"}) == (web.nice, web.environment)


def test_nothing_matches(tmp_path: Path) -> None:
    """A pattern that matches nothing is a warning; a file that is named and not there is a broken include."""
    config = loaded(tmp_path, 'include = ["conf.d/*.toml", "db.toml"]\n')
    assert ["include: no file matches " in str(warning) for warning in config.warnings] == [True]
    assert ["db.toml: cannot read: no such file or directory"] == lines(config, tmp_path)


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("db.toml: service.db.comand: unknown key (did you mean command?)", f'{DB}comand = "x"'),
        ("db.toml: daemon: belongs in the main configuration", f'{DB}[daemon]\nlog_level = "debug"'),
        ("db.toml: include: belongs in the main configuration", f'include = ["x"]\n{DB}'),
        ("db.toml:3: service.db: is declared twice", f"{DB}[service.db]"),
        ("db.toml: service.web: is declared twice: respawnd.toml has it too", f'{DB}[service.web]\ncommand = "x"'),
        ("db.toml: service.db.depends_on.nothing: no such service", f'{DB}depends_on = ["nothing"]'),
        ("db.toml: service.db.depends_on: dependency cycle: db -> x -> db",
         f'{DB}depends_on = ["x"]\n[service.x]\ncommand = "x"\ndepends_on = ["db"]'),
        ('db.toml: group.g.services: no service "nothing"', f'{DB}[group.g]\nservices = ["nothing"]'),
        ("db.toml: group.back: is declared twice: respawnd.toml has it too", f"{DB}[group.back]"),
    ],
)  # fmt: skip
def test_a_broken_include_costs_its_own_services(tmp_path: Path, expected: str, text: str) -> None:
    """The services of a file with a problem are left out, all others run, and it is told why."""
    write(tmp_path / "conf.d/db.toml", text)
    write(tmp_path / "conf.d/ok.toml", '[service.ok]\ncommand = "x"\n')
    config = loaded(tmp_path, MAIN + "[group.back]\nservices = ['web']\n")
    assert ["web", "ok"] == list(config.services)
    (line,) = lines(config, tmp_path)
    assert f"conf.d/{expected}".replace("respawnd.toml", f"{tmp_path}/respawnd.toml") == line


def test_dependents_of_what_is_left_out(tmp_path: Path) -> None:
    """Who depends on a service that is left out is left out too, wherever it is, and so on, each with the reason."""
    write(tmp_path / "conf.d/db.toml", f"{DB}nice = 99\n")
    text = MAIN + (
        'depends_on = ["db"]\n'
        '[service.front]\ncommand = "x"\ndepends_on = { web = "started" }\n'
        '[service.alone]\ncommand = "x"\n'
        '[group.back]\nservices = ["alone", "db", "web"]\n'
    )
    config = loaded(tmp_path, text)
    assert ["alone"] == list(config.services)
    assert {"back": ("alone",)} == config.groups
    away = f"db is not there, and {tmp_path}/conf.d/db.toml is broken"
    assert [
        "conf.d/db.toml: service.db.nice: must be a whole number from -20 to 19, not 99",
        f"respawnd.toml: service.web.depends_on.db: web is left out: {away}",
        "respawnd.toml: service.front.depends_on.web: front is left out: web is left out",
        f"respawnd.toml: group.back.services: {away}",
        "respawnd.toml: group.back.services: web is left out",
    ] == lines(config, tmp_path)


def test_what_an_unreadable_include_might_have_had(tmp_path: Path) -> None:
    """A service that is nowhere may have been in a file that cannot be parsed: its dependents are left out, no more."""
    write(tmp_path / "conf.d/db.toml", "[service.db\n")
    config = loaded(tmp_path, MAIN + 'depends_on = ["db"]\n[service.alone]\ncommand = "x"\n')
    assert ["alone"] == list(config.services)
    assert "conf.d/db.toml:1: cannot parse: " in lines(config, tmp_path)[0]


def test_an_include_that_misses_a_broken_one_is_not_broken(tmp_path: Path) -> None:
    """One file's slip does not take the other services of a file that depends on it."""
    write(tmp_path / "conf.d/db.toml", f"{DB}nice = 99\n")
    write(
        tmp_path / "conf.d/web.toml", '[service.api]\ncommand = "x"\ndepends_on = ["db"]\n[service.b]\ncommand = "x"\n'
    )
    assert ["web", "b"] == list(loaded(tmp_path, MAIN).services)


def test_a_refused_main_file_tells_the_includes_too(tmp_path: Path) -> None:
    """All problems are told at once, those of includes after those that refuse."""
    write(tmp_path / "conf.d/db.toml", f"{DB}nice = 99\n")
    assert [
        "respawnd.toml: service.web.nice: must be a whole number from -20 to 19, not 98",
        "conf.d/db.toml: service.db.nice: must be a whole number from -20 to 19, not 99",
    ] == refused(tmp_path, MAIN + "nice = 98\n")


def test_a_cycle_through_an_include(tmp_path: Path) -> None:
    """A cycle is the fault of the include in it: without that, the main file's part of it only lacks a dependency."""
    write(tmp_path / "conf.d/db.toml", f'{DB}depends_on = ["web"]\n')
    config = loaded(tmp_path, MAIN + 'depends_on = ["db"]\n[service.alone]\ncommand = "x"\n')
    assert ["alone"] == list(config.services)
    assert "conf.d/db.toml: service.web.depends_on: dependency cycle: web -> db -> web" == lines(config, tmp_path)[0]


def test_labels_are_as_the_operator_named_the_main_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative main file gives its includes relative names, an include from elsewhere keeps its own."""
    write(tmp_path / "x/conf.d/db.toml", DB)
    write(tmp_path / "y.toml", '[service.y]\ncommand = "x"\n')
    write(tmp_path / "x/main.toml", f'include = ["conf.d/*.toml", "{tmp_path}/y.toml"]\n')
    monkeypatch.chdir(tmp_path)
    config = load("x/main.toml", environ={"HOME": "/"}, euid=1000)
    assert ["x/conf.d/db.toml", f"{tmp_path}/y.toml"] == [spec.source for spec in config.services.values()]
    assert f"{tmp_path}/x/main.toml" == config.path
