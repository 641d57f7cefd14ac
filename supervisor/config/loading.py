"""From a file name to a Config: the main file, what is set from outside, the includes, and the checks across them.

Rules: problems of the main file refuse the configuration, all of them at once. A problem of an include costs the
services of that include, and those that depend on them; the daemon runs with the rest and says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from attrs import evolve

from supervisor.config.files import check_target, check_trust
from supervisor.config.formats.document import Host, absolute, open_document
from supervisor.config.includes import read_includes
from supervisor.config.overrides import Override, from_environ, from_options, nest
from supervisor.config.parts import Part, read_part, read_tree
from supervisor.config.problem import ConfigError, Problem, Refused, dotted, nearest
from supervisor.config.readers import Source
from supervisor.config.settings import (
    Config,
    DaemonSettings,
    HttpSettings,
    MetricsSettings,
    TracingSettings,
    daemon_settings,
    http_settings,
    tracing_settings,
)
from supervisor.config.survivors import Survivors, memberships
from supervisor.config.units import Builder, merged
from supervisor.core.model import UnitSpec

T = TypeVar("T")


def load(path: str, *, overrides: Sequence[str] = (), environ: Mapping[str, str], euid: int | None = None) -> Config:
    """Load the configuration at `path`; ConfigError with every problem of it.

    `overrides` are the texts of `--set`; they lie above `environ`, which lies above the file. Relative paths start at
    the directory of their file, those from outside at the working directory.
    """
    return _Loading(path, Host(environ, os.geteuid() if euid is None else euid)).load(overrides)


class _Loading:
    """One load, from the first file to the last check; `outside` are problems of what was set from outside."""

    def __init__(self, path: str, host: Host) -> None:
        self.host = host
        self.document = open_document(path, host)
        self.main = read_part(self.document, included=False)
        self.parts = [self.main]
        self.outside: list[Problem] = []
        self.warnings = list(self.document.notes)
        self.specs: dict[str, UnitSpec] = {}

    def load(self, options: Sequence[str]) -> Config:
        """Do everything in order; what is wrong is gathered until the end."""
        from_command, problems = from_options(options)
        self.outside += problems
        settings = [*from_environ(self.host.environ), *from_command]
        for setting in settings:
            if setting.path[0] != "service":
                self._lay(self.main, setting)
        included, notes = read_includes(self.document, self.main.sections.get("include", ()), self.host)
        self.parts += included
        self.warnings += notes
        for setting in settings:
            if setting.path[0] == "service":
                self._lay_service(setting)
        self._declared_once("service", [part.services for part in self.parts])
        self._declared_once("group", [part.groups for part in self.parts])
        survivors = Survivors(self.parts, self._build())
        survivors.settle()
        return self._config(survivors)

    def _lay_service(self, setting: Override) -> None:
        """Lay a value over the service that it names, wherever that is."""
        name = setting.path[1] if len(setting.path) > 1 else ""
        owner = next((part for part in self.parts if name in part.services), None)
        if owner is None:
            close = nearest(name, [name for part in self.parts for name in part.services])
            self.outside.append(Problem(setting.label, dotted(setting.path[:2]), f"no such service{close}"))
        else:
            self._lay(owner, setting)

    def _lay(self, part: Part, setting: Override) -> None:
        """Lay a value from outside over a part: as the first of its readings that the schema takes."""
        readings = [_reading(setting, value) for value in setting.values()]
        best = next((reading for reading in readings if not reading.problems), readings[0])
        self.outside += best.problems
        for name, found in best.sections.items():
            part.sections[name] = merged(part.section(name), found) if isinstance(found, dict) else found
        for name, found in best.services.items():
            part.services[name] = merged(part.services.get(name, {}), found)
        for name, found in best.groups.items():
            part.groups[name] = {**part.groups.get(name, {}), **found}

    def _declared_once(self, section: str, tables: Iterable[Mapping[str, Any]]) -> None:
        """Refuse what a file before has already; within one file the format sees to it."""
        owners: dict[str, str] = {}
        for part, table in zip(self.parts, tables, strict=True):
            for name in table:
                owner = owners.setdefault(name, part.label)
                if owner != part.label:
                    part.problem((section, name), f"is declared twice: {owner} has it too")

    def _build(self) -> dict[str, Mapping[str, Any]]:
        """Build every specification that can be built; return what each service needs."""
        builder = Builder()
        needs: dict[str, Mapping[str, Any]] = {}
        groups = memberships(Survivors(self.parts, {}).groups())
        for part in self.parts:
            defaults = self.main.section("defaults")
            if part.included:
                defaults = merged(defaults, part.section("defaults"))
            for name, given in part.services.items():
                found = merged(defaults, given) if defaults else given
                needs.setdefault(name, found.get("depends_on", {}))
                if name in part.unread:
                    continue
                try:
                    spec = builder.build(name, found, groups.get(name, ()), part.label)
                    self._trust(spec)
                except Refused as refused:
                    _refuse_rest(part, name, refused)
                else:
                    self.specs.setdefault(name, spec)
        return needs

    def _trust(self, spec: UnitSpec) -> None:
        """As root, an environment file is as good as a command."""
        for path in spec.env_files if self.host.euid == 0 else ():
            try:
                check_trust(path, self.host.euid)
            except Refused as refused:
                raise Refused(parts=[(("env_file",), f"{path}: {refused}")]) from None

    def _config(self, survivors: Survivors) -> Config:
        """The configuration, or everything that is wrong with it."""
        daemon = self._settings("daemon", self._daemon)
        http = self._settings("http", self._http)
        tracing = self._settings("tracing", self._tracing)
        if daemon is None or http is None or tracing is None or self.main.problems or self.outside:
            raise ConfigError([*self.main.problems, *self.outside, *survivors.problems])
        groups = survivors.groups()
        member_of = memberships(groups)
        return Config(
            path=absolute(self.document.label),
            daemon=daemon,
            http=http,
            services={name: _in_groups(self.specs[name], member_of.get(name, ())) for name in survivors.alive()},
            groups=groups,
            metrics=MetricsSettings(**self.main.section("metrics")),
            tracing=tracing,
            warnings=tuple(self.warnings),
            broken=survivors.problems,
        )

    def _settings(self, section: str, make: Callable[[Mapping[str, Any]], T]) -> T | None:
        try:
            return make(self.main.section(section))
        except Refused as refused:
            told = {problem.key for problem in self.main.problems}
            for path, reason in refused.parts:
                if dotted((section, *path)) not in told:  # what could not be read is not missing too
                    self.main.problem((section, *path), reason)
            return None

    def _daemon(self, given: Mapping[str, Any]) -> DaemonSettings:
        return daemon_settings(given, self.host.environ, self.host.euid)

    def _http(self, given: Mapping[str, Any]) -> HttpSettings:
        settings = http_settings(given)
        try:
            check_trust(settings.token_file, self.host.euid)
        except Refused as refused:
            raise Refused(parts=refused.below("token_file")) from None
        return settings

    def _tracing(self, given: Mapping[str, Any]) -> TracingSettings:
        settings = tracing_settings(given)
        if settings.exporter == "file":
            try:
                check_target(settings.file, self.host.euid)
            except Refused as refused:
                raise Refused(parts=refused.below("file")) from None
        return settings


def _reading(setting: Override, value: Any) -> Part:
    """What the schema makes of one value from outside."""
    tree: dict[str, Any] = {}
    nest(tree, setting.path, value)
    part = Part(setting.label, included=False)
    read_tree(part, tree, Source(absolute("."), None))
    return part


def _refuse_rest(part: Part, name: str, refused: Refused) -> None:
    """Tell what is wrong with a service as a whole; a key that could not be read was told, and is not missing too."""
    told = tuple(f"{problem.key}." for problem in part.problems)
    for path, reason in refused.parts:
        if not any(key.startswith(f"{dotted(('service', name, *path))}.") for key in told):
            part.problem(("service", name, *path), reason)


def _in_groups(spec: UnitSpec, groups: tuple[str, ...]) -> UnitSpec:
    return spec if spec.groups == groups else evolve(spec, groups=groups)
