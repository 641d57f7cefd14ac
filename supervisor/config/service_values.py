"""The values that only services have: commands, conditions, exits, limits, streams, each by its reader."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from supervisor.config import quantity
from supervisor.config.problem import Refused, nearest, quoted
from supervisor.config.readers import (
    Reader,
    Source,
    account,
    boolean,
    choice,
    duration,
    integer,
    kind,
    list_of,
    mapping_of,
    or_word,
    parsed,
    path,
    signal_number,
    size,
    text,
    word,
)
from supervisor.config.table import UNSET, Key, Table
from supervisor.core.model import Condition, ExitAction, ExitRule, ExitSet, Limit

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Command(NamedTuple):
    """A command as given, and where it stands; what becomes of it is known once the defaults are merged in."""

    words: str | tuple[str, ...]
    source: Source


def check_name(name: str) -> None:
    """Refuse what cannot name a service or group: names become directories, labels and words of a command line."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise Refused(f"{quoted(name)} is not a name: it must be 1 to 64 of A-Z a-z 0-9 _ . -")


def _variable(name: str) -> None:
    """Refuse what environ(7) cannot hold as a name."""
    if not name or "=" in name or not name.isprintable():
        raise Refused(f"{quoted(name)} cannot name a variable")


def _command(value: Any, source: Source) -> Command:
    """Text, or a list of it, as it stands: nothing is expanded here, since a shell may be meant to."""
    raw = Source(source.base, None)
    if isinstance(value, str):
        if not text(value, raw).strip():
            raise Refused("must not be empty")
        return Command(value, source)
    if not isinstance(value, list):
        raise Refused(f"must be text or a list of text, not {kind(value)}")
    words = list_of(TEXT).read(value, raw)
    if not words or not words[0]:
        raise Refused("must not be empty")
    return Command(words, source)


def _name(value: Any, source: Source) -> str:
    found = text(value, source)
    check_name(found)
    return found


def _depends_on(value: Any, source: Source) -> dict[str, Condition]:
    """A table of conditions; a list asks for ready."""
    if isinstance(value, list):
        return dict.fromkeys(list_of(NAME).read(value, source), Condition.READY)
    if not isinstance(value, dict):
        raise Refused(f"must be a list of services or a table of conditions, not {kind(value)}")
    found: dict[str, Condition] = mapping_of(choice(Condition), check_name).read(value, source)
    return found


def _exit(value: Any, source: Source) -> tuple[str, int]:
    """One code or signal, told apart by its type: 15 is a code, "TERM" a signal."""
    if isinstance(value, str) and not value.startswith("${"):
        return ("signal", signal_number(value, source))
    return ("code", integer(0, 255).read(value, source))


def _exits(value: Any, source: Source) -> ExitSet:
    found = list_of(Reader(_exit, ""), single=True).read([value] if type(value) is int else value, source)
    codes, signals = (frozenset(n for what, n in found if what == which) for which in ("code", "signal"))
    return ExitSet(codes, signals)


def _rule(found: dict[str, Any]) -> dict[str, Any]:
    missing = [(name,) for name in ("codes", "action") if name not in found]
    if missing:
        raise Refused(parts=[(name, "is missing") for name in missing])
    return {"rule": ExitRule(found["codes"], found["action"])}


def _rules(value: Any, source: Source) -> tuple[ExitRule, ...]:
    return tuple(found["rule"] for found in list_of(Reader(RULE.read, "")).read(value, source))


def stream(*words: str) -> Reader:
    """Where one output goes: a word, or a path, which has a slash in it."""

    def read(value: Any, source: Source) -> str:
        found = text(value, source)
        if found in words:
            return found
        if "/" not in found:
            close = nearest(found, words)
            raise Refused(f"must be {', '.join(words)} or a path with a slash, not {quoted(found)}{close}")
        return path(found, Source(source.base, None))

    return Reader(read, ", ".join(f'"{word}"' for word in words) + " or path")


def _url_path(value: Any, source: Source) -> str:
    """A path for `__metrics_path__`; Prometheus escapes the sign of a query or fragment, and finds nothing then."""
    found = text(value, source)
    if not found.startswith("/") or not found.isprintable() or any(sign in found for sign in " ?#"):
        raise Refused(f"must be a path such as /metrics, without spaces, ? and #, not {quoted(found)}")
    return found


def _flow(value: Any, source: Source) -> float:
    if isinstance(value, str):
        return float(_PER_SECOND.read(value, source))
    return float(integer(1, quantity.LARGEST).read(value, source))


def limit(name: str, resource: str, reader: Reader, says: str) -> Key:
    """One resource limit: a value for soft and hard, or a table of both, each perhaps "unlimited"."""
    one = or_word(reader, "unlimited", None)
    both = Table(Key("soft", one, UNSET, ""), Key("hard", one, UNSET, ""), finish=_pair)

    def read(value: Any, source: Source) -> Limit:
        if isinstance(value, dict):
            return Limit(resource, **both.read(value, source))
        found = one.read(value, source)
        return Limit(resource, found, found)

    return Key(name, Reader(read, f"{one.says}, or {{soft, hard}}"), UNSET, says)


def _pair(found: dict[str, Any]) -> dict[str, Any]:
    """setrlimit(2): both are set at once, and soft may not be above hard."""
    if found.keys() != {"soft", "hard"}:
        raise Refused("must have both soft and hard")
    soft, hard = found["soft"], found["hard"]
    if hard is not None and (soft is None or soft > hard):
        raise Refused("soft must not be above hard")
    return found


def _whole_seconds(value: Any, source: Source) -> int:
    seconds = duration(1.0).read(value, source)
    if seconds != int(seconds):
        raise Refused("must be whole seconds")
    return int(seconds)


TEXT = Reader(text, "text")
WORD = Reader(word, "text")
PATH = Reader(path, "path")
FLAG = Reader(boolean, "true or false")
SIZE = Reader(size, "size")
SIGNAL = Reader(signal_number, "signal")
ACCOUNT = Reader(account, "name or number")
NAME = Reader(_name, "name")
URL_PATH = Reader(_url_path, "path of a URL")
UMASK = parsed(quantity.parse_umask, "string of octal digits")
COUNT = integer(0, 1_000_000)
SECONDS = Reader(_whole_seconds, "duration in whole seconds")
ANYTHING = Reader(lambda value, _: value, "table")
_PER_SECOND = parsed(quantity.parse_flow, "rate such as 1MiB/s")
FLOW = Reader(_flow, _PER_SECOND.says)

COMMAND = Reader(_command, "list of text, or text")
ENVIRONMENT = mapping_of(TEXT, _variable)
DEPENDS_ON = Reader(_depends_on, "list of services, or table of conditions")
EXITS = Reader(_exits, "list of codes and signal names")
RULE = Table(
    Key("codes", EXITS, UNSET, "the codes and signals that the rule holds for"),
    Key("action", choice(ExitAction), UNSET, "restart, stop, fail for good, or shut the daemon down"),
    finish=_rule,
)
RULES = Reader(_rules, "list of {codes, action}")
