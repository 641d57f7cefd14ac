"""The list of planted bugs, read from mutants.txt, whose head says how it is written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

LIST = Path(__file__).with_name("mutants.txt")
_BLOCK = re.compile(r"^\* (.+)\n  (\w+), caught by ([\w.]+)\n((?:- .*\n|-\n)+)((?:\+ .*\n|\+\n)*)", re.MULTILINE)


class Mutant(NamedTuple):
    """One planted bug: in `module` of the core, `old` is replaced by `new`."""

    words: str
    module: str
    catcher: str
    old: str
    new: str


def mutants() -> tuple[Mutant, ...]:
    """Return the list."""
    text = LIST.read_text(encoding="utf-8")
    found = [
        Mutant(words, module, catcher, _text(old), _text(new))
        for words, module, catcher, old, new in _BLOCK.findall(text)
    ]
    assert len(found) == len(re.findall(r"^\* ", text, re.MULTILINE)), "every block is well formed"
    return tuple(found)


def _text(lines: str) -> str:
    """Return what the marked lines say."""
    return "\n".join(line[2:] for line in lines.splitlines())
