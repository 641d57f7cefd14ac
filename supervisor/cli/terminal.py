"""What stdout can show: colours and a width on a terminal, neither where it goes to a program or a file."""

from __future__ import annotations

import os
import shutil
import sys


def on_terminal() -> bool:
    """Whether a person reads stdout."""
    return sys.stdout is not None and sys.stdout.isatty()


def in_colour() -> bool:
    """Whether colours are welcome: on a terminal that has them, unless NO_COLOR says otherwise (no-color.org)."""
    return on_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def width() -> int | None:
    """Columns of the terminal; None where nothing limits a line."""
    return shutil.get_terminal_size().columns if on_terminal() else None
