"""`${VAR}` and `${VAR:-default}` from the daemon's environment.

Rules: `$${` gives a plain `${`, and no other dollar means anything; what a shell will read is left to the shell; a
variable that is not set and has no default is a refusal, as is any other form that begins with `${`, because a shell
would mean something by it that we do not.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from supervisor.config.problem import Refused, quoted

_REFERENCE = re.compile(r"\$\$\{|\$\{([^}]*)(\})?")
_INSIDE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_SHELLS = frozenset({"sh", "ash", "bash", "dash", "ksh", "mksh", "zsh"})


def expand(text: str, environ: Mapping[str, str]) -> str:
    """`text` with its references replaced; as in a shell, an empty variable takes the default too."""

    def replace(match: re.Match[str]) -> str:
        return "${" if match[0] == "$${" else _value(match, environ)

    return _REFERENCE.sub(replace, text)


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    inside = _INSIDE.fullmatch(match[1])
    if inside is None or match[2] is None or "${" in match[1]:
        raise Refused(f"cannot expand {quoted(match[0])}: it must be ${{VAR}} or ${{VAR:-default}}; $${{ gives ${{")
    name, default = inside.groups()
    value = environ.get(name, "")
    if value or (default is None and name in environ):
        return value
    if default is None:
        raise Refused(f"cannot expand ${{{name}}}: it is not set and has no default")
    return default


def escape(text: str) -> str:
    """`text` such that `expand` gives it back."""
    return text.replace("${", "$${")


def read_by_shell(argv: Sequence[str]) -> bool:
    """Whether a shell gets one of the arguments to read: `sh -c`, also behind `env` or `nice`, also as `bash -ec`."""
    return any(os.path.basename(word) in _SHELLS and _has_command(argv[index + 1 :]) for index, word in enumerate(argv))


def _has_command(options: Sequence[str]) -> bool:
    for option in options:
        if not option.startswith(("-", "+")):
            return False
        if "c" in option and not option.startswith("--"):
            return True
    return False
