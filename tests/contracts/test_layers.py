"""The layers and the purity of docs/decisions and CONTRIBUTING.md, held by reading every import of ours.

An import counts wherever it stands: at the top, inside a function, under TYPE_CHECKING.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.contracts.source import PACKAGES, ROOT, Source, sources

if TYPE_CHECKING:
    from collections.abc import Iterator

# The number of a room. Imports go to a lower number, or to the same one inside the package; `supervisor` is no package
# in this sense, its rooms are.
LAYERS = {
    "supervisor.cli": 6,
    "supervisor.app": 5,
    "supervisor.instruments": 5,  # the app's wiring of the metrics page
    "supervisor.telemetry": 5,  # the app's wiring of all that watches
    "supervisor.control": 4,
    "alerts.receive": 4,
    "supervisor.loop": 3,
    "supervisor.host": 3,
    "supervisor.journal": 3,
    "supervisor.handoff": 3,
    "supervisor.narrate": 3,  # an observer, like the recorder: facts to log lines
    "metrics.aside": 3,
    "metrics.pulse": 3,
    "metrics.recorder": 3,
    "metrics.sampler": 3,
    "metrics.exposition": 3,
    "metrics.tracing": 3,
    "dashboards.build": 3,
    "alerts.evaluate": 2,
    "alerts.remedy": 2,
    "supervisor.config": 2,
    "alerts.model": 1,
    "supervisor.core": 0,
    "metrics.catalog": 0,
    # What everyone may read: the version, and the packages' own docstrings.
    "supervisor.version": -1,
    "supervisor": -1,
    "metrics": -1,
    "alerts": -1,
    "dashboards": -1,
}
# Wiring in a file of its own, for its length: it counts as a part of the module that is named here.
ANNEXES = {"supervisor.instruments": "supervisor.app", "supervisor.telemetry": "supervisor.app"}
# Rooms that may enter fewer others than their number allows.
NARROWER = {"supervisor.loop": {"supervisor.core", "supervisor.version"}}

PURE = ("supervisor.core", "metrics.catalog", "alerts.model", "alerts.evaluate", "alerts.remedy")
# Values and the standard library's data types; whatever reads a clock, a file, a socket or chance is not among them.
VALUES = frozenset(
    "__future__ abc attrs bisect collections copy dataclasses decimal enum fractions functools heapq itertools math "
    "operator re string types typing".split()
)
EFFECTS = frozenset("open print input exec eval compile breakpoint __import__".split())

# supervisord's own top-level modules (4.3.0); tests/contracts/test_wheel.py compares them with the real wheel.
SUPERVISORD = frozenset(
    "childutils compat confecho datatypes dispatchers events http http_client loggers medusa options pidproxy poller "
    "process rpcinterface scripts skel socket_manager states supervisorctl supervisord templating tests ui web "
    "xmlrpc".split()
)
OURS = sources(PACKAGES)
NAMES = frozenset(source.name for source in OURS)


def room(module: str) -> str:
    """Return the room a module of ours stands in: the longest known name that it is or lies below."""
    parts = module.split(".")
    known = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next(name for name in known if name in LAYERS)


def house(module: str) -> str:
    """Return what counts as one package: a room of supervisor, or all of metrics, alerts, dashboards."""
    here = room(module) if module.startswith("supervisor") else module.partition(".")[0]
    return ANNEXES.get(here, here)


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Yield the line and the module of every import; `from package import module` names the module."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            for alias in node.names:
                below = f"{base}.{alias.name}"
                yield node.lineno, below if below in NAMES else base


def allowed(importer: str, imported: str) -> bool:
    """Tell whether the one module of ours may import the other."""
    if importer == imported or imported in PACKAGES:
        return True
    here, there = room(importer), room(imported)
    if here in NARROWER:
        return there in NARROWER[here]
    same_house = house(importer) == house(imported)
    return LAYERS[there] < LAYERS[here] or (LAYERS[there] == LAYERS[here] and same_house)


def is_pure(module: str) -> bool:
    """Tell whether a module must do without effects."""
    return any(module == name or module.startswith(f"{name}.") for name in PURE)


@pytest.mark.parametrize("source", OURS, ids=lambda source: source.path)
def test_imports_go_downwards(source: Source) -> None:
    """A room imports only rooms of a lower number, and of its own number only those of its own package."""
    upwards = [
        f"{source.path}:{line} imports {module}"
        for line, module in imports(source)
        if module.partition(".")[0] in PACKAGES and not allowed(source.name, module)
    ]
    assert upwards == []


@pytest.mark.parametrize("source", OURS, ids=lambda source: source.path)
def test_every_module_has_a_room(source: Source) -> None:
    """A module stands in a room of the table, so that it has a number; `supervisor` itself holds only an empty file."""
    assert source.name in PACKAGES or room(source.name) not in PACKAGES
    assert source.name != "supervisor" or source.text == ""


@pytest.mark.parametrize("source", [source for source in OURS if is_pure(source.name)], ids=lambda source: source.path)
def test_pure_rooms_hold_only_values(source: Source) -> None:
    """A pure module imports values and data types, and calls nothing that reaches the world."""
    reaching = [
        f"{source.path}:{line} imports {module}"
        for line, module in imports(source)
        if module.partition(".")[0] not in VALUES and not is_pure(module)
    ]
    calls = [node for node in ast.walk(source.tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    reaching += [
        f"{source.path}:{call.lineno} calls {call.func.id}"
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id in EFFECTS
    ]
    assert reaching == []


def test_no_relative_imports() -> None:
    """An import names the whole path: a path is an import, and the layer can be seen in it."""
    relative = [
        f"{source.path}:{node.lineno}"
        for source in OURS
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert relative == []


def test_no_module_bears_a_name_of_supervisord() -> None:
    """supervisord's package has the same name as ours: the modules below it must differ."""
    ours = {entry.name.removesuffix(".py") for entry in (ROOT / "supervisor").iterdir()}
    assert frozenset() == SUPERVISORD & ours


@pytest.mark.parametrize(
    ("importer", "imported", "verdict"),
    [
        ("supervisor.cli.main", "supervisor.app", True),
        ("supervisor.core.decide", "supervisor.core.model", True),
        ("supervisor.core.decide", "supervisor.loop", False),
        ("supervisor.control.api", "supervisor.app", False),
        ("supervisor.loop", "supervisor.host.launch", False),
        ("supervisor.loop", "supervisor.config.schema", False),
        ("supervisor.loop", "supervisor.core.fleet", True),
        ("supervisor.host.launch", "supervisor.loop", False),
        ("metrics.recorder", "metrics.exposition", True),
        ("metrics.recorder", "supervisor.host.clock", False),
        ("metrics.catalog", "supervisor.core.model", False),
        ("metrics.catalog", "metrics.recorder", False),
    ],
)
def test_the_table_bites(importer: str, imported: str, verdict: bool) -> None:
    """The rule itself tells a good import from a bad one."""
    assert verdict == allowed(importer, imported)
