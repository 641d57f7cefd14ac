"""Whatever a file holds, a load gives a Config or a ConfigError, and what loads can be written out and loads equal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervisor.config import Config, ConfigError, effective, load, preflight
from supervisor.config.overrides import nest
from supervisor.config.schema import TOP
from supervisor.config.table import Table
from tests.config.files import ENVIRON, USER, write

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([10**400, -(10**400)])
words = st.sampled_from(
    [
        "off",
        "never",
        "none",
        "unlimited",
        "10s",
        "1MiB",
        "100/s",
        "1KiB/s",
        "TERM",
        "a",
        "x",
        "${PORT}",
        "${",
        "\0",
        "\ud800",
    ]
)
values = st.recursive(
    scalars | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | words, inner, max_size=3),
    max_leaves=6,
)


def paths(table: Table, prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of the schema, as a path; a name stands where one is free."""
    found = []
    for key in table.keys.values():
        path = (*prefix, key.name, *(["x"] if prefix == () and key.name in {"service", "group"} else []))
        found.append(path)
        if key.table is not None and len(path) < 6:
            found += paths(key.table, path)
    return found


PATHS = paths(TOP)


def taken(path: Path, tree: Any) -> Config | None:
    """The configuration of a tree, or nothing where it is refused."""
    try:
        return load(write(path / "respawnd.json", json.dumps(tree)), environ=ENVIRON, euid=USER)
    except ConfigError as error:
        lines = [str(problem) for problem in error.problems]
    assert lines
    assert not any("\n" in line for line in lines)
    return None


def same_again(path: Path, config: Config) -> None:
    """What a configuration amounts to loads again, with nothing of the environment, to the same."""
    text = effective(config)
    again = load(write(path / "again.toml", text), environ={}, euid=USER)
    assert config == again
    assert text == effective(again)


shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@pytest.mark.slow
@shared
@given(path=st.sampled_from(PATHS), value=values)
def test_any_value_for_any_key(tmp_path: Path, path: tuple[str, ...], value: Any) -> None:
    """No value of any key raises anything but a ConfigError, and what is taken is sound."""
    tree: dict[str, Any] = {"service": {"x": {"command": "true"}, "a": {"command": ["true"]}}}
    nest(tree, path, value)
    config = taken(tmp_path, tree)
    if config is not None:
        same_again(tmp_path, config)
        preflight(config)


@pytest.mark.slow
@shared
@given(tree=values | st.dictionaries(st.sampled_from(sorted(TOP.keys)), values, max_size=4))
def test_any_tree(tmp_path: Path, tree: Any) -> None:
    """No file of JSON raises anything but a ConfigError."""
    config = taken(tmp_path, tree)
    assert config is None or isinstance(config, Config)


durations = st.integers(1, 10**9).map(lambda ms: f"{ms}ms") | st.floats(0.001, 10**6)
texts = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = st.from_regex(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,9}", fullmatch=True)
sizes = st.integers(0, 2**62)
services = st.fixed_dictionaries(
    {
        "command": st.lists(texts.filter(bool), min_size=1, max_size=3).map(
            lambda argv: [w.replace("${", "$${") for w in argv]
        )
    },
    optional={
        "directory": texts.map(lambda text: "/" + text.replace("${", "")),
        "environment": st.dictionaries(names, texts.map(lambda text: text.replace("${", "$${")), max_size=2),
        "umask": st.integers(0, 0o777).map(lambda mask: f"{mask:03o}"),
        "start_grace": durations,
        "success_exit": st.lists(st.integers(0, 255) | st.sampled_from(["TERM", "SIGHUP", "RTMIN+2"]), max_size=3),
        "backoff": st.fixed_dictionaries(
            {"initial": durations, "factor": st.floats(1, 100), "jitter": st.floats(0, 1)}
        ),
        "give_up": st.just("never") | st.fixed_dictionaries({"failures": st.integers(0, 99), "within": durations}),
        "stop": st.fixed_dictionaries({"timeout": durations, "signal": st.integers(1, 64)}),
        "limits": st.dictionaries(
            st.sampled_from(["stack", "data", "core_size"]), sizes | st.just("unlimited"), max_size=2
        ),
        "logs": st.fixed_dictionaries({"max_size": sizes, "rate": st.integers(1, 2**60) | st.just("off")}),
        "shell": st.just(value=False),
        "metrics": st.fixed_dictionaries({"port": st.integers(0, 65535)}, optional={"path": st.just("/m$${x}")}),
    },
)


@pytest.mark.slow
@shared
@given(tree=st.dictionaries(names, services, min_size=1, max_size=3))
def test_what_it_amounts_to_loads_equal(tmp_path: Path, tree: dict[str, Any]) -> None:
    """`check --show` prints a file that means exactly what the first one meant."""
    config = taken(tmp_path, {"service": tree})
    assert config is not None
    same_again(tmp_path, config)


fragments = st.sampled_from(
    [
        *(
            "[program:x]\n",
            "[group:g]\n",
            "[supervisord]\n",
            "[include]\n",
            "[inet_http_server]\n",
            "[respawnd]\n",
            "[DEFAULT]\n",
        ),
        *(
            "command=",
            "programs=",
            "numprocs=",
            "process_name=",
            "environment=",
            "files=",
            "port=",
            "startretries=",
            "logfile=",
        ),
        *(
            "%(process_num)d",
            "%(ENV_PORT)s",
            "%(here)s",
            "%%",
            "%",
            "%(x",
            "'",
            '"',
            ";",
            " ;",
            "#",
            "\n",
            "\n ",
            ",",
            "=",
            ":",
        ),
        *(
            "service:",
            "x:",
            "- ",
            "  ",
            "&a ",
            "*a",
            "<<: ",
            "!!int ",
            "{",
            "}",
            "[",
            "]",
            "? ",
            "|",
            ">",
            "\t",
            "\r",
            "\ufeff",
        ),
        *("[service.x]\n", "command = ", '"""', "0", "1", "-1", "9" * 30, "true", "off", "é", "\u2028", "\x85", "\x00"),
    ]
)


@pytest.mark.slow
@shared
@given(
    name=st.sampled_from(["x.conf", "x.yaml", "x.toml", "Procfile"]), text=st.lists(fragments, max_size=12).map("".join)
)
def test_any_text(tmp_path: Path, name: str, text: str) -> None:
    """No file of any format raises anything but a ConfigError, each on one line."""
    try:
        config = load(write(tmp_path / name, text), environ=ENVIRON, euid=USER)
    except ConfigError as error:
        lines = [str(problem) for problem in error.problems]
    else:
        lines = ["taken"]
        same_again(tmp_path, config)
    assert lines
    assert not any("\n" in line for line in lines)
