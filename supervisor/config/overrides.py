"""What is set from outside a file: environment variables, and above them `--set KEY=VALUE`.

Rules: each is a small document of its own, with its own name in messages and its paths relative to the working
directory; a value is taken as TOML where it is TOML, and as plain text where that fits better.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from supervisor.config.problem import Problem, Refused

_VARIABLES = {
    "RESPAWND_STATE_DIR": ("daemon", "state_dir"),
    "RESPAWND_RUNTIME_DIR": ("daemon", "runtime_dir"),
    "RESPAWND_HTTP_LISTEN": ("http", "listen"),
}
_SCALARS = (bool, int, float, str, list, dict)


class Override(NamedTuple):
    """One value from outside: who gave it, the path of its key, and its text."""

    label: str
    path: tuple[str, ...]
    text: str

    def values(self) -> tuple[Any, ...]:
        """What the text may stand for, the likelier first."""
        found = loose(self.text)
        return (found,) if isinstance(found, str) else (found, self.text)


def from_environ(environ: Mapping[str, str]) -> list[Override]:
    """The variables of the contract that are set and not empty."""
    return [Override(name, path, environ[name]) for name, path in _VARIABLES.items() if environ.get(name)]


def from_options(options: Iterable[str]) -> tuple[list[Override], list[Problem]]:
    """The `--set` options, in their order, and what is wrong with their form."""
    found, problems = [], []
    for option in options:
        try:
            key, text = _split(option)
            found.append(Override("--set", _path(key), text))
        except Refused as refused:
            problems.append(Problem("--set", option, str(refused)))
    return found, problems


def _split(option: str) -> tuple[str, str]:
    key, sign, text = option.partition("=")
    if not sign or not key.strip():
        raise Refused("must be KEY=VALUE, such as daemon.log_level=debug")
    return key.strip(), text.strip()


def _path(key: str) -> tuple[str, ...]:
    """The parts of a dotted key, in which TOML's quotes keep dots together."""
    try:
        tree: Any = tomllib.loads(f"{key} = 0") if "\n" not in key else {}
    except (ValueError, RecursionError):
        tree = {}
    path: list[str] = []
    while isinstance(tree, dict) and len(tree) == 1:
        ((name, tree),) = tree.items()
        path.append(name)
    if not path or tree != 0:
        raise Refused("must begin with a key such as daemon.log_level")
    return tuple(path)


def loose(text: str) -> Any:
    """`text` as a TOML value, or as it is where it is none."""
    try:
        found = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = found.pop("value", text)
    return value if not found and isinstance(value, _SCALARS) else text


def nest(tree: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put `value` at `path` of a tree; Refused where something else than a table is in the way."""
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise Refused(f"{part} is not a table")
    tree[path[-1]] = value
