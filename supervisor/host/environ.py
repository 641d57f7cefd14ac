"""What a child finds in its environment, and how env files are read.

Rules: later beats earlier, in this order: the daemon's environment less what was meant for the daemon alone, the user's
names, env files, the service's own, RESPAWND_*. Values are text as Python's os.environ has it (surrogateescape).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Mapping

from supervisor.core.model import UnitKey, UnitSpec
from supervisor.host.accounts import Account
from supervisor.host.refusal import Refusal, refuse

LIFE = "RESPAWND_LIFE"
#: Where OpenTelemetry's propagation by environment has the W3C trace context.
TRACE = "TRACEPARENT"
#: Bytes of an env file at most: it is read at each start. An exec takes less (MAX_ARG_STRLEN, execve(2)).
LARGEST = 1 << 20
#: What a program searches where its environment has no PATH, as execvp(3) does.
DEFAULT_PATH = "/bin:/usr/bin"

_DAEMONS_OWN = frozenset({
    "NOTIFY_SOCKET", "FDSTORE", "MAINPID", "JOURNAL_STREAM", "INVOCATION_ID", "CREDENTIALS_DIRECTORY", "TRACEPARENT",
    "TRACESTATE", "BAGGAGE",
})  # fmt: skip
_DAEMONS_OWN_PREFIXES = ("WATCHDOG_", "LISTEN_", "MEMORY_PRESSURE_", "RESPAWND_")
_ESCAPED = {'"': '"', "\\": "\\", "$": "$", "`": "`"}  # what a backslash escapes between double quotes, as in a shell


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """The daemon's environment, less what a service manager or an operator meant for the daemon alone."""
    return {
        name: value
        for name, value in environ.items()
        if name not in _DAEMONS_OWN and not name.startswith(_DAEMONS_OWN_PREFIXES)
    }


def life_tag(instance: str, key: UnitKey, life: int) -> str:
    """The value of RESPAWND_LIFE: which life of which unit of which daemon a process belongs to."""
    return f"{instance}-{key.service}.{key.replica}-{life}"


def compose(base: Mapping[str, str], key: UnitKey, spec: UnitSpec, account: Account | None) -> dict[str, str]:
    """The environment of a unit but for LIFE, and TRACE, which each life adds. `base` is what `inherited` gave.

    Raises Refusal of the stages env_file and environment. Reads the spec's env files.
    """
    environ = dict(base) if spec.inherit_environment else {}
    if account is not None and account.name is not None:
        environ.update(USER=account.name, LOGNAME=account.name, HOME=account.home, SHELL=account.shell)
    for path in spec.env_files:
        environ.update(read(path))
    environ.update(spec.environment)
    environ["RESPAWND_SERVICE"] = key.service
    environ["RESPAWND_REPLICA"] = str(key.replica)
    for name, value in environ.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise Refusal("environment", errno.EINVAL, f"environment {name!r}: cannot be passed to a program")
    return environ


def read(path: str) -> dict[str, str]:
    """The variables of an env file. As root, a file that others own or can write is refused. Raises Refusal."""
    # Only here: the daemon has it loaded, and what launches without env files needs none of it.
    from supervisor.config.files import read_text  # noqa: PLC0415 - see above
    from supervisor.config.problem import Refused  # noqa: PLC0415 - see above

    _bound(path)
    try:
        text = read_text(path, os.geteuid())
    except Refused as refused:
        raise _unreadable(path, str(refused)) from None
    try:
        return dict(_variables(text))
    except ValueError as error:
        raise Refusal("env_file", errno.EINVAL, f"env_file {path}: {error}") from None


def _bound(path: str) -> None:
    """Refuse what is too large before it is read. What cannot be looked at is told by who opens it."""
    try:
        size = os.stat(path).st_size
    except (OSError, ValueError):
        return
    if size > LARGEST:
        raise Refusal("env_file", errno.EFBIG, f"env_file {path}: {size} bytes, more than {LARGEST} that one may have")


def _unreadable(path: str, words: str) -> Refusal:
    """The refusal with the errno that opening the file gives, EPERM where the file is there but not to be trusted."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError as error:
        return refuse("env_file", error.errno or errno.EIO, path)
    return Refusal("env_file", errno.EPERM, f"env_file {path}: {words}")


def _variables(text: str) -> Iterator[tuple[str, str]]:
    """KEY=VALUE, one a line, where `export `, blanks around, comments and quotes are as a shell has them.

    A value in double quotes may span lines and escape with a backslash; in single quotes all is literal. Nothing is
    expanded. Raises ValueError with the line's number.
    """
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        words = line.strip()
        if not words or words[0] in "#;":
            continue
        if words.startswith("export "):
            words = words[7:].lstrip()
        name, equals, value = words.partition("=")
        name = name.rstrip()
        if not equals or not name or not name.replace("_", "a").isalnum() or name[0].isdigit():
            raise ValueError(f"line {number}: expected KEY=VALUE")
        yield name, _value(value.strip(), number, lines)


def _value(text: str, number: int, lines: Iterator[tuple[int, str]]) -> str:
    quote = text[:1]
    if quote not in ("'", '"'):
        cut = text.find(" #")
        return text if cut < 0 else text[:cut].rstrip()
    body = text[1:]
    value, rest = _unquote(body, quote)
    while rest is None:
        _, following = next(lines, (0, None))
        if following is None:
            raise ValueError(f"line {number}: the quote {quote} is not closed")
        body = f"{body}\n{following}"
        value, rest = _unquote(body, quote)
    if rest.strip() and not rest.lstrip().startswith("#"):
        raise ValueError(f"line {number}: {rest.strip()!r} follows the closing quote")
    return value


def _unquote(text: str, quote: str) -> tuple[str, str | None]:
    """The text up to the closing quote, and what follows it; None where the quote is not closed in `text`."""
    value: list[str] = []
    escaped = False
    for at, char in enumerate(text):
        if escaped:
            value.append("" if char == "\n" else _ESCAPED.get(char, f"\\{char}"))
            escaped = False
        elif char == "\\" and quote == '"':
            escaped = True
        elif char == quote:
            return "".join(value), text[at + 1 :]
        else:
            value.append(char)
    return "".join(value), None
