"""A supervisord.conf in the shape of our schema: programs, groups, `[supervisord]`, the servers, and our own keys.

Rules: a program with numprocs becomes one service a process, named by process_name, in a group with the program's
name; what supervisord would ignore stays ignored; what it would do and we do not is a warning, or a refusal where
services would be missing (event listeners, FastCGI programs).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from supervisor.config.formats import ini_text as ini
from supervisor.config.formats.document import Document, Place
from supervisor.config.formats.ini_program import KEYS, service
from supervisor.config.formats.ini_servers import servers, supervisord
from supervisor.config.overrides import loose, nest
from supervisor.config.problem import LATER, Refused, dotted, nearest
from supervisor.config.readers import Source, unknown
from supervisor.config.schema import DAEMON, HTTP
from supervisor.config.service_values import check_name

SECTIONS = ("supervisord", "unix_http_server", "inet_http_server", "respawnd", "include", "supervisorctl")
_KINDS = ("program", "group", "rpcinterface", "ctlplugin", "eventlistener", "fcgi-program")
_REFUSED = frozenset({"eventlistener", "fcgi-program"})
_GROUP_KEYS = frozenset({"programs", "priority"})


def load(text: str, place: Place) -> Document:
    """A document of supervisord's dialect."""
    sections = ini.parse(text, place.label, place.base)
    findings = ini.Findings(place.label, text)
    tree: dict[str, Any] = {}
    names: dict[str, Any] = {"here": place.base, "host_node_name": os.uname().nodename}
    names |= {f"ENV_{name}": value for name, value in place.host.environ.items()}
    _known(sections, findings)
    common = ini.Values("supervisord", sections.get("supervisord", {}), names, findings)
    shared = supervisord(common, place, tree)
    names |= {f"ENV_{name}": value for name, value in shared.items()}
    servers(sections, names, findings, tree)
    _own(sections, findings, tree)
    _include(sections, names, findings, tree)
    _Programs(sections, names, findings, place.base).add_to(tree)
    return Document(
        label=place.label,
        source=Source(place.base, None),
        tree=tree,
        problems=tuple(dict.fromkeys(findings.problems)),
        notes=tuple(dict.fromkeys(findings.notes)),
        include_loader="ini_file",
        include_environ=shared,
    )


def _known(sections: Mapping[str, Mapping[str, str]], findings: ini.Findings) -> None:
    """Refuse sections that hold services we do not have; what no part of supervisord knows is a warning, or a slip."""
    for name in sections:
        kind, colon, _ = name.partition(":")
        if colon and kind in _REFUSED:
            findings.problem(name, "", LATER)
        elif not (kind in _KINDS if colon else name in SECTIONS):
            close = nearest(kind, _KINDS if colon else SECTIONS)
            (findings.problem if close else findings.note)(name, "", f"unknown section{close or ' is ignored'}")


def _own(sections: Mapping[str, Mapping[str, str]], findings: ini.Findings, tree: dict[str, Any]) -> None:
    """`[respawnd]`: our keys of the daemon and of HTTP, as `daemon.log_level` or plainly `log_level`."""
    for key, text in sections.get("respawnd", {}).items():
        path = key.split(".")
        if len(path) == 1:
            table = next((name for name, keys in (("daemon", DAEMON), ("http", HTTP)) if key in keys.keys), None)
            if table is None:
                findings.problem("respawnd", key, unknown(key, [*DAEMON.keys, *HTTP.keys]))
                continue
            path = [table, key]
        try:
            nest(tree, tuple(path), loose(text))
        except Refused as refused:
            findings.problem("respawnd", key, str(refused))


def _include(
    sections: Mapping[str, Mapping[str, str]], names: Mapping[str, Any], findings: ini.Findings, tree: dict[str, Any]
) -> None:
    if "include" not in sections:
        return
    values = ini.Values("include", sections["include"], names, findings)
    for key in values.values:
        if key != "files":
            findings.problem("include", key, unknown(key, ["files"]))
    if not values.given("files"):
        findings.problem("include", "files", "is missing")
    patterns: list[str] = values.get("files", _patterns, [])
    tree["include"] = patterns


def _patterns(text: str) -> list[str]:
    return text.split()


class _Programs:
    """Programs and groups of one file, process by process."""

    def __init__(
        self, sections: Mapping[str, dict[str, str]], names: Mapping[str, Any], findings: ini.Findings, base: str
    ) -> None:
        self.names = names
        self.findings = findings
        self.base = base
        self.programs = self._of("program", sections, KEYS)
        self.groups = self._of("group", sections, _GROUP_KEYS)
        self.members = {name: self._members(name) for name in self.groups}
        self.services: dict[str, Any] = {}

    def _of(self, kind: str, sections: Mapping[str, dict[str, str]], keys: frozenset[str]) -> dict[str, dict[str, str]]:
        """The sections of one kind by name, after their keys were looked at."""
        found = {}
        for section, values in sections.items():
            prefix, colon, name = section.partition(":")
            if prefix == kind and colon:
                found[name.strip()] = values
                for key in values.keys() - keys:
                    self.findings.problem(section, key, unknown(key, keys))
        return found

    def _members(self, group: str) -> list[str]:
        values = ini.Values(f"group:{group}", self.groups[group], self.names, self.findings)
        if values.given("priority"):
            values.note("priority", "groups have no priority here: that of each program holds")
        if not values.given("programs"):
            self.findings.problem(f"group:{group}", "programs", "is missing")
        return values.get("programs", ini.names, [])

    def add_to(self, tree: dict[str, Any]) -> None:
        """Put all services and groups into the tree; a program that is in a group makes none of its own."""
        groups: dict[str, Any] = {}
        grouped = {member for members in self.members.values() for member in members}
        processes = {name: self._processes(name) for name in self.programs}
        for name, found in processes.items():
            if found != [name] and name not in grouped:
                groups[name] = {"services": found}
        for group, members in self.members.items():
            groups[group] = {"services": [name for member in members for name in processes.get(member, [member])]}
        tree.update(service=self.services, group=groups)

    def _processes(self, program: str) -> list[str]:
        """Add a service for each process of a program; return their names."""
        section = f"program:{program}"
        group = next((name for name, members in self.members.items() if program in members), program)
        names = {**self.names, "program_name": program, "group_name": group}
        values = ini.Values(section, self.programs[program], names, self.findings)
        count = values.get("numprocs", ini.integer(0, 10_000), 1)
        first = values.get("numprocs_start", ini.integer(-(10**6), 10**6), 0)
        if count > 1 and "%(process_num)" not in values.values.get("process_name", ""):
            self.findings.problem(section, "process_name", "must have %(process_num) in it where numprocs is above 1")
            count = 1
        added = []
        for number in range(first, first + count):
            names |= {"process_num": number, "numprocs": count}
            added.append(
                self._process(ini.Values(section, self.programs[program], names, self.findings), program, group)
            )
        return added

    def _process(self, values: ini.Values, program: str, group: str) -> str:
        findings, section = self.findings, values.section
        name = values.get("process_name", str.strip, program)
        try:
            check_name(name)
        except Refused as refused:
            findings.problem(section, "process_name" if values.given("process_name") else "", str(refused))
        if name in self.services:
            findings.problem(section, "process_name", f"{dotted(['service', name])} is declared twice")
        own: dict[str, str] = values.get("environment", ini.environment, {})
        names = {**values.names, **{f"ENV_{key}": value for key, value in own.items()}}
        told = {"SUPERVISOR_ENABLED": "1", "SUPERVISOR_PROCESS_NAME": name, "SUPERVISOR_GROUP_NAME": group}
        self.services[name] = service(ini.Values(section, values.values, names, findings), self.base, {**told, **own})
        return name
