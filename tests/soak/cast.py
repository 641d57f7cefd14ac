"""The fleet of the story, as the configuration file that a user would write: who plays which part."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

ACTOR = Path(__file__).with_name("actor.py")

HEAD = """
[daemon]
log_level = "debug"
[metrics]
sample_interval = "1s"
[tracing]
exporter = "file"
file = "{directory}/traces.jsonl"
[defaults]
environment = {{ SOAK_STAGE = "{directory}/stage", SOAK_DOOM = "{directory}/doom-" }}
backoff = "none"
give_up = "never"
stop = {{ timeout = "10s" }}
"""

#: Seconds: the stop timeout of the hung and the deaf, a start grace, the cooler's cooldown.
PATIENCE, GRACE, COOLDOWN = 0.7, 0.4, 2.0
#: Of those who back off: the first delay, by what it grows, to what, its jitter, and when all is forgiven.
FIRST_DELAY, FACTOR, LONGEST, JITTER, FORGIVEN = 0.3, 2.0, 1.5, 0.1, 2.0
#: Seconds between the phantom's tries.
RETRY = 0.8
#: Failures that the quitter and the phantom are allowed.
ALLOWED = 3
_BACKOFF = (
    f"backoff = {{ initial = '{FIRST_DELAY}s', factor = {FACTOR}, max = '{LONGEST}s', jitter = {JITTER},"
    f" reset_after = '{FORGIVEN}s' }}"
)
_GIVE_UP = f"give_up = {{ failures = {ALLOWED}, within = '1m', then = 'stay' }}"


@frozen
class Part:
    """One service: its name, what its program is told, further keys in TOML, its replicas, and `program` if another."""

    name: str
    arguments: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    replicas: int = 1
    program: str = ""

    def toml(self) -> str:
        """Its section of the file."""
        command = [self.program] if self.program else [sys.executable, "-I", "-S", str(ACTOR)]
        replicas = [f"replicas = {self.replicas}"] if self.replicas != 1 else []
        return "\n".join((f"[service.{self.name}]", f"command = {[*command, *self.arguments]}", *replicas, *self.keys))


def _parts(directory: Path) -> Iterable[Part]:
    """Everybody who is there from the start."""
    yield from (Part(f"web{number}") for number in range(1, 6))
    yield Part("pair", replicas=2)
    yield from (Part(f"managed{number}") for number in range(1, 4))
    yield Part("slow", ("slow",))
    yield Part("hung", keys=(f"stop = {{ timeout = '{PATIENCE}s' }}",))
    yield Part("deaf", ("deaf",), (f"stop = {{ timeout = '{PATIENCE}s' }}",))
    yield Part("starved", keys=("nice = 19",))
    yield from (Part(name) for name in ("burner", "eater", "threader", "forker", "writer", "storer", "litter"))
    yield Part("opener", keys=("limits = { open_files = 256 }",))
    yield Part("polite", keys=("restart = 'on-failure'",))
    yield Part("looper", keys=(_BACKOFF,))
    yield Part("graced", keys=(f"start_grace = '{GRACE}s'",))
    yield Part("quitter", keys=(_GIVE_UP,))
    yield Part(
        "cooler", keys=(f"give_up = {{ failures = 0, within = '10m', then = 'cooldown', cooldown = '{COOLDOWN}s' }}",)
    )
    yield Part("phantom", keys=(_GIVE_UP, f"backoff = {{ initial = '{RETRY}s', factor = 1.0, jitter = 0 }}"),
               program=str(directory / "phantom"))  # fmt: skip
    yield Part("job", ("", "0"), ("type = 'oneshot'",))
    yield Part("failing", ("", "4"), ("type = 'oneshot'", "restart = 'never'"))
    yield Part("base")
    yield Part("upon", keys=("depends_on = { base = 'ready' }", "on_dependency_failure = 'restart'"))
    yield Part("idle", keys=("autostart = false",))
    yield Part("nobody", replicas=0)


#: Services that come and go by reload.
GUESTS = tuple(f"guest{number}" for number in range(1, 4))
#: In these words a line of the file is, and is not, TOML.
BROKEN = "[service.broken\n"


class Cast:
    """The parts as they stand, and the file that says so."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.parts = {part.name: part for part in _parts(directory)}
        self.phantom = directory / "phantom"
        self.conjure()

    def conjure(self) -> None:
        """Put the phantom's program where it belongs."""
        self.phantom.write_text(f"#!/bin/sh\nexec {sys.executable} -I -S {ACTOR}\n")
        self.phantom.chmod(0o755)

    def text(self) -> str:
        """The whole file."""
        return "\n".join((HEAD.format(directory=self.directory), *(part.toml() for part in self.parts.values()), ""))

    def doom(self, service: str, lives: int) -> None:
        """Let so many lives of a service fail at once, with status 7."""
        (self.directory / f"doom-{service}").write_text(str(lives))
