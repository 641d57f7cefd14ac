"""What a file in supervisord's dialect is refused for, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.files import refused


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("x.conf:3: program:web.comand: unknown key (did you mean command?)", "[program:web]\ncommand=x\ncomand=y"),
        ("x.conf:1: program:web.command: is missing", "[program:web]\n"),
        ("x.conf:2: program:web.command: must not be empty", "[program:web]\ncommand="),
        ("x.conf:2: program:web.command: cannot split: no closing quotation", "[program:web]\ncommand=a 'b"),
        ('x.conf:3: program:web.startsecs: must be a whole number from 0 to 10000000, not "1.5"',
         "[program:web]\ncommand=x\nstartsecs=1.5"),
        ('x.conf:3: program:web.autorestart: must be true, false or unexpected, not "always"',
         "[program:web]\ncommand=x\nautorestart=always"),
        ('x.conf:3: program:web.autostart: must be true or false, not "maybe"',
         "[program:web]\ncommand=x\nautostart=maybe"),
        ('x.conf:3: program:web.exitcodes: must be a whole number from 0 to 255, not "256"',
         "[program:web]\ncommand=x\nexitcodes=0,256"),
        ('conf:3: program:web.stopsignal: must be a signal such as TERM, SIGHUP or 10, not "TRM" (did you mean TERM?)',
         "[program:web]\ncommand=x\nstopsignal=TRM"),
        ("x.conf:3: program:web.umask: must be a string of octal digits", "[program:web]\ncommand=x\numask=9"),
        ('x.conf:3: program:web.environment: must be pairs such as KEY="value"',
         "[program:web]\ncommand=x\nenvironment=A"),
        ("x.conf:3: program:web.environment: cannot split: no closing quotation",
         "[program:web]\ncommand=x\nenvironment=A='b"),
        ('x.conf:3: program:web.stdout_logfile_maxbytes: must be a size such as 1024, 50MB or 1GB, not "1TB"',
         "[program:web]\ncommand=x\nstdout_logfile_maxbytes=1TB"),
        ("x.conf:4: program:web.killasgroup: cannot be false where stopasgroup is true",
         "[program:web]\ncommand=x\nstopasgroup=true\nkillasgroup=false"),
        ("x.conf:1: program:web.process_name: must have %(process_num) in it where numprocs is above 1",
         "[program:web]\ncommand=x\nnumprocs=2"),
        ('x.conf:3: program:web.numprocs: must be a whole number from 0 to 10000, not "10001"',
         "[program:web]\ncommand=x\nnumprocs=10001"),
        ("x.conf:2: program:web.command: cannot expand %(ENV_NOT_SET)s: no such name",
         "[program:web]\ncommand=%(ENV_NOT_SET)s"),
        ('x.conf:2: program:web.command: cannot expand "%Y": a plain percent sign is written %%',
         "[program:web]\ncommand=date +%Y"),
        ('x.conf:2: program:web.command: cannot expand "%(here)d": it is no number',
         "[program:web]\ncommand=%(program_name)s %(here)d"),
        ("x.conf:1: eventlistener:x: not in this version", "[eventlistener:x]\ncommand=x\nevents=TICK_60"),
        ("x.conf:1: fcgi-program:x: not in this version", "[fcgi-program:x]\ncommand=x"),
        ("x.conf:1: programm:web: unknown section (did you mean program?)", "[programm:web]\ncommand=x"),
        ("x.conf:1: supervisrod: unknown section (did you mean supervisord?)", "[supervisrod]"),
        ("x.conf:3: program:web: is declared twice", "[program:web]\ncommand=x\n[program:web]\n"),
        ("x.conf:3: program:web.command: is given twice", "[program:web]\ncommand=x\ncommand=y\n"),
        ("x.conf:1: cannot parse: no [section] before this line", "command=x"),
        ("x.conf:2: cannot parse: nonsense", "[program:web]\nnonsense\n"),
        ("x.conf:1: group:g.programs: is missing", "[group:g]\n"),
        ("x.conf:3: group:g.program: unknown key (did you mean programs?)", "[group:g]\nprograms=\nprogram=x"),
        ('x.conf: group.g.services: no service "web"', "[group:g]\nprograms=web"),
        ("x.conf:1: include.files: is missing", "[include]\n"),
        ("x.conf:2: include.file: unknown key (did you mean files?)", "[include]\nfile=x\nfiles="),
        ("x.conf:2: supervisord.logfil: unknown key (did you mean logfile?)", "[supervisord]\nlogfil=x"),
        ('x.conf:2: supervisord.loglevel: must be one of critical, error, warn, info, debug, trace, blather, not "lou"',
         "[supervisord]\nloglevel=lou"),
        ('x.conf:2: inet_http_server.port: must be HOST:PORT, not "x:y"', "[inet_http_server]\nport=x:y"),
        ("x.conf:1: inet_http_server.port: is missing", "[inet_http_server]\n"),
        ("x.conf:2: unix_http_server.files: unknown key (did you mean file?)", "[unix_http_server]\nfiles=/x/y"),
        ("x.conf:2: respawnd.log_levl: unknown key (did you mean log_level?)", "[respawnd]\nlog_levl=x"),
        ("x.conf:3: respawnd.daemon.log_level.x: log_level is not a table",
         "[respawnd]\ndaemon.log_level=info\ndaemon.log_level.x=1"),
        ('x.conf: daemon.log_level: must be one of debug, info, warning, error, not "loud"',
         "[respawnd]\nlog_level=loud"),
        ('x.conf:1: program:a b: "a b" is not a name: it must be 1 to 64 of A-Z a-z 0-9 _ . -',
         "[program:a b]\ncommand=x"),
    ],
)  # fmt: skip
def test_refusals(tmp_path: Path, expected: str, text: str) -> None:
    """What supervisord would refuse is refused, and what it would ignore in silence too, each with its line."""
    assert expected in "\n".join(refused(tmp_path, text, "x.conf"))


def test_all_at_once(tmp_path: Path) -> None:
    """Each process of a program says the same, once; the problems of all programs come together."""
    text = "[program:a]\ncommand=x\nnumprocs=3\nprocess_name=a%(process_num)d\nstartsecs=x\n[program:b]\nstopsignal=x\n"
    assert [
        'x.conf:5: program:a.startsecs: must be a whole number from 0 to 10000000, not "x"',
        'x.conf:7: program:b.stopsignal: must be a signal such as TERM, SIGHUP or 10, not "x"',
        "x.conf:6: program:b.command: is missing",
    ] == refused(tmp_path, text, "x.conf")


def test_names_are_unique(tmp_path: Path) -> None:
    """Two programs whose processes would have the same name are refused: here a name is a service's, not a group's."""
    text = "[program:a]\ncommand=x\nprocess_name=w\n[program:b]\ncommand=x\nprocess_name=w\n"
    assert ["x.conf:6: program:b.process_name: service.w is declared twice"] == refused(tmp_path, text, "x.conf")
