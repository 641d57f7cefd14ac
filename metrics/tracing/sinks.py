"""Where spans go, by the words of the configuration; what each needs is imported when it is made, not before.

The exporter is the configuration's choice alone: hosts set OTEL_* for their services, and a supervisor that began to
export because of OTEL_TRACES_EXPORTER in its environment would surprise everybody. How it exports is as OTEL_* say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from metrics.tracing.pipeline import Exporter


class Settings(Protocol):
    """The table [tracing] of the configuration."""

    @property
    def exporter(self) -> str:
        """The word off, file or otlp."""

    @property
    def endpoint(self) -> str:
        """Base address of an OTLP/HTTP collector."""

    @property
    def file(self) -> str:
        """Path of the file."""

    @property
    def child_context(self) -> str:
        """Whose environment gets TRACEPARENT: jobs, all or off."""


class Identity(NamedTuple):
    """Who the daemon is: its version, and the state directory, which with the machine makes it the one it is."""

    version: str
    state_dir: str


def disabled(environ: Mapping[str, str]) -> bool:
    """Whether OTEL_SDK_DISABLED switches tracing off."""
    return environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def maker(settings: Settings, identity: Identity, environ: Mapping[str, str]) -> Callable[[], Exporter]:
    """What makes the exporter, in the thread that is to use it."""

    def file() -> Exporter:
        from metrics.tracing.jsonl import opened  # noqa: PLC0415 - it imports the SDK

        return opened(settings.file, identity)

    def otlp() -> Exporter:
        from metrics.tracing.otlp import opened  # noqa: PLC0415 - it imports the SDK, requests and protobuf

        return opened(settings.endpoint, identity, environ)

    return file if settings.exporter == "file" else otlp
