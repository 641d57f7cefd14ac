"""Procfile: a line `name: command` for each service, the command for a shell, run beside the file.

As foreman does: the working directory is that of the file, and a `.env` beside it is an environment file of every
service.
"""

from __future__ import annotations

import os
import re
from typing import Any

from supervisor.config.formats.document import Document, Place
from supervisor.config.problem import Problem, Refused, quoted
from supervisor.config.readers import Source

_LINE = re.compile(r"([^\s:]+):\s*(\S.*)")


def load(text: str, place: Place) -> Document:
    """The services of a Procfile; every line that is none is told."""
    common: dict[str, Any] = {"shell": True, "directory": place.base}
    dotenv = os.path.join(place.base, ".env")
    if os.path.exists(dotenv):
        common["env_file"] = [dotenv]
    services: dict[str, Any] = {}
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            name, command = _service(line.strip(), services)
        except Refused as refused:
            problems.append(Problem(place.label, "", str(refused), number))
            continue
        if name:
            services[name] = {**common, "command": command}
    return Document(place.label, Source(place.base, None), {"service": services}, tuple(problems))


def _service(line: str, known: dict[str, Any]) -> tuple[str, str]:
    """Name and command of a line, or two empty words for a comment or an empty one."""
    if not line or line.startswith("#"):
        return "", ""
    match = _LINE.fullmatch(line)
    if match is None:
        raise Refused(f"must be a line such as web: command, not {quoted(line)}")
    if match[1] in known:
        raise Refused(f"service {quoted(match[1])} is declared twice")
    return match[1], match[2]
