"""Compile the two C programs on demand.

A program is compiled when it is missing or older than its source; bench/bin is not under version control.
"""

from __future__ import annotations

import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
_FLAGS = {
    "child": ["-ffreestanding", "-fno-stack-protector", "-nostdlib", "-static", "-s"],
    "reference": [],
}


class CannotBuild(Exception):
    """The C compiler is missing or refused a program."""


def program(name: str) -> str:
    """Give the path of the compiled program ``name`` (child or reference), compiling it if need be."""
    source = os.path.join(HERE, "src", f"{name}.c")
    target = os.path.join(HERE, "bin", name)
    if not os.path.exists(target) or os.stat(target).st_mtime < os.stat(source).st_mtime:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _compile(source, target, _FLAGS[name])
    return target


def _compile(source: str, target: str, flags: list[str]) -> None:
    """Compile into a file beside the target and rename it: two runs at once never see half a program."""
    fresh = f"{target}.{os.getpid()}"
    command = ["cc", "-std=gnu17", "-O2", "-Wall", "-Wextra", *flags, "-o", fresh, source]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise CannotBuild("cannot compile bench/src: no cc on PATH (Debian: apt-get install gcc libc6-dev)") from error
    if done.returncode:
        raise CannotBuild(f"cannot compile {source}: {done.stderr.strip()}")
    os.rename(fresh, target)
