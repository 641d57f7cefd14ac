"""Planting a bug: the core and its tests are loaded anew, in this process, with one text of one module replaced.

What was loaded before is put back afterwards: nobody else sees the bug.
"""

from __future__ import annotations

import importlib
import sys
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.util import find_spec, spec_from_loader
from typing import TYPE_CHECKING

import supervisor
import tests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

ANEW = ("supervisor.core", "tests.core")


def source_of(module: str) -> str:
    """Return the text of a module."""
    found = find_spec(module)
    assert found is not None
    assert found.origin is not None
    with open(found.origin, encoding="utf-8") as file:
        return file.read()


class Planter(MetaPathFinder, Loader):
    """Finds one module, and loads it from another text."""

    def __init__(self, module: str, text: str) -> None:
        """Load `text` in place of `module`."""
        self._module, self._text = module, text

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return a specification for the one module, for others none."""
        return spec_from_loader(fullname, self) if fullname == self._module else None

    def exec_module(self, module: ModuleType) -> None:
        """Run the other text."""
        exec(compile(self._text, f"<planted {self._module}>", "exec"), module.__dict__)  # that is the planting


@contextmanager
def planted(module: str, text: str) -> Iterator[None]:
    """Let everything of the core and its tests that is imported inside be loaded anew, `module` from `text`."""
    mine = sys._getframe().f_globals["__name__"]
    before = {name: one for name, one in sys.modules.items() if name.startswith(ANEW) and name != mine}
    for name in before:
        del sys.modules[name]
    finder = Planter(module, text)
    sys.meta_path.insert(0, finder)
    try:
        importlib.invalidate_caches()
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in [name for name in sys.modules if name.startswith(ANEW) and name != mine]:
            del sys.modules[name]
        sys.modules.update(before)
        supervisor.core = before["supervisor.core"]  # type: ignore[attr-defined]  # packages know their parts
        tests.core = before["tests.core"]  # type: ignore[attr-defined]  # as above
