"""Where the daemon of a file is that cannot be parsed: the two keys that tell, found by their looks.

Somebody who is half way through an edit must still be able to reach the daemon that runs. Rules: this is a guess, so
nothing but `places` may use it; it knows no format, only lines such as `state_dir = "/x"`, `"state_dir": "/x"` and
`state_dir: /x`; the first hit counts, comments do not.
"""

from __future__ import annotations

import re

_KEY = re.compile(r"""(?:^|[\s{,.])["']?(state_dir|runtime_dir)["']?\s*[:=]\s*""")
_PLAIN = re.compile(r"[^\s,;#}]*")


def salvaged(text: str) -> dict[str, str]:
    """The values of state_dir and runtime_dir that stand in `text`, as they are written there."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line.lstrip().startswith(("#", ";")):
            for key in _KEY.finditer(line):
                found.setdefault(key[1], _value(line[key.end() :]))
    return {name: value for name, value in found.items() if value}


def _value(rest: str) -> str:
    """What stands behind the sign: up to the closing quote, or up to a space, comma or comment."""
    if rest[:1] in {'"', "'"}:
        inner, quote, _ = rest[1:].partition(rest[0])
        return inner if quote else ""
    plain = _PLAIN.match(rest)
    return plain[0] if plain else ""
