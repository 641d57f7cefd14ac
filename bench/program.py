"""Runs parts of the measuring as Python programs of their own, which answer with one line of JSON.

What is measured inside an interpreter must not share it with the harness: its objects, imports and threads would be in
the figure. The programs run the checkout's code on the harness's interpreter, whatever ``--respawnd`` names.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any

from bench.running import Broken

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_PATIENCE = 900.0  # seconds: the library's renderer, many rounds, on a slow machine


@functools.cache
def environment() -> Mapping[str, str]:
    """Give the environment of such a program: its modules are compiled once a run and kept, as installed ones are.

    A checkout that is being edited may have no compiled modules, or be told not to write any.
    """
    cache = tempfile.mkdtemp(prefix="bench-compiled-")
    atexit.register(shutil.rmtree, cache, ignore_errors=True)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": cache}


def run(module: str, *arguments: object) -> dict[str, Any]:
    """Run ``python -m bench.MODULE``; give its answer, or raise Broken with what it wrote."""
    command = [sys.executable, "-m", f"bench.{module}", *map(str, arguments)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment(), timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired as late:
        raise Broken(f"bench.{module}: no answer within {_PATIENCE:g} s") from late
    if done.returncode:
        raise Broken(f"bench.{module}: exit {done.returncode}; it wrote: {done.stderr.strip()[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def answer(figures: Mapping[str, object]) -> None:
    """Print what such a program has found."""
    print(json.dumps(figures), flush=True)
