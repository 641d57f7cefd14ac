"""`respawnd metrics`: what it prints, what it writes for others, and how it ends."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve

from supervisor.cli.handout import publish, textfile
from tests.cli.rig import respawnd
from tests.control.fakes import FakeDaemon, Site, daemon, serving, spec

PAGE = """# HELP respawnd_service_up Whether it runs
# TYPE respawnd_service_up gauge
respawnd_service_up{replica="0",service="web"} 1.0
# HELP process_cpu_seconds_total Total user and system CPU time
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 1.5
# HELP python_info Python platform information
# TYPE python_info gauge
python_info{version="3.11"} 1.0
# HELP target_info Target
# TYPE target_info gauge
target_info{a="b"} 1.0
"""
OURS = PAGE[: PAGE.index("# HELP process")]


@pytest.fixture
def fake() -> FakeDaemon:
    """A daemon with a page of its own and one of its runtime."""
    one = daemon(spec("web", metrics_port=9100))
    one.page = PAGE.encode()
    return one


@pytest.fixture
def site(fake: FakeDaemon, tmp_path: Path) -> Iterator[Site]:
    """The daemon, answering."""
    with serving(fake, tmp_path) as one:
        yield one


# --- stdout -----------------------------------------------------------------------------------------------------------


def test_a_page_on_stdout(fake: FakeDaemon, site: Site) -> None:
    """Byte for byte as the daemon has it, whole or the families that are named, in either format."""
    ran = respawnd("metrics", "--socket", site.socket)
    assert (0, PAGE, "") == (ran.code, ran.out, ran.err)
    assert 0 == respawnd("metrics", "--openmetrics", "--name", "a", "--name", "b_total", "--socket", site.socket).code
    plain, other = (accept for accept, *_ in fake.pages)
    assert ("text/plain; version=0.0.4", "application/openmetrics-text; version=1.0.0") == (plain, other)
    assert [(), ("a", "b_total")] == [names for _, _, names, _ in fake.pages]


def test_a_name_that_nothing_bears(fake: FakeDaemon, site: Site) -> None:
    """It is said, and is a failure: a script must not take a slip of the pen for a silent service."""
    fake.page = b""
    ran = respawnd("metrics", "--name", "respawnd_sevrice_up", "--socket", site.socket)
    assert (1, "") == (ran.code, ran.out)
    assert "cannot show respawnd_sevrice_up: no such metric" in ran.err


def test_as_json(fake: FakeDaemon, site: Site) -> None:
    """Families with their samples; what no number of JSON can say is null."""
    fake.page = b'# HELP x Words\n# TYPE x gauge\nx{a="b\\"c"} 1.5\nx{a="d"} +Inf\nx{a="e"} NaN\n'
    (family,) = respawnd("metrics", "--json", "--socket", site.socket).json()["families"]
    assert ("x", "gauge", "Words") == (family["name"], family["type"], family["help"])
    assert [({"a": 'b"c'}, 1.5), ({"a": "d"}, None), ({"a": "e"}, None)] == [
        (one["labels"], one["value"]) for one in family["samples"]
    ]


def test_what_makes_no_sense_together(tmp_path: Path, site: Site) -> None:
    """A file has its own format; two formats are one too many."""
    for options in (
        ("--textfile", tmp_path, "--openmetrics"),
        ("--textfile", tmp_path, "--json"),
        ("--file-sd", tmp_path / "x.json", "--openmetrics"),
        ("--openmetrics", "--json"),
        ("--textfile", ""),
        ("--file-sd", ""),
    ):
        assert 2 == respawnd("metrics", *options, "--socket", site.socket).code
    assert not (tmp_path / "respawnd.prom").exists()


def test_without_a_daemon(tmp_path: Path) -> None:
    """Exit status 3; what the last daemon left in a file stays."""
    (tmp_path / "respawnd.prom").write_text("old")
    ran = respawnd("metrics", "--textfile", tmp_path, "--socket", tmp_path / "missing.sock")
    assert (3, "") == (ran.code, ran.out)
    assert "no daemon" in ran.err
    assert ["old", ["home", "respawnd.prom"]] == [
        (tmp_path / "respawnd.prom").read_text(),
        sorted(os.listdir(tmp_path)),
    ]


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_textfile(tmp_path: Path, site: Site) -> None:
    """What is ours alone, under the promised name, readable for everybody whatever the umask; nothing is printed."""
    directory = tmp_path / "textfile"
    directory.mkdir()
    before = os.umask(0o077)
    try:
        for _ in range(2):
            ran = respawnd("metrics", "--textfile", directory, "--socket", site.socket)
            assert (0, "", "") == (ran.code, ran.out, ran.err)
    finally:
        os.umask(before)
    assert ["respawnd.prom"] == os.listdir(directory)
    assert OURS == (directory / "respawnd.prom").read_text()
    assert 0o644 == stat.S_IMODE((directory / "respawnd.prom").stat().st_mode)


def test_lines_of_a_textfile() -> None:
    """No timestamps, no families of others; braces, spaces and line separators in labels stay what they are."""
    page = (
        "# HELP a Says } and 1 2\n# TYPE a gauge\n"
        'a{b="} 1 2"} 3.0 1700000000000\na{b="\u2028"} NaN\na 4.0 1700000000000\na 5.0\n'
        '# HELP go_x Not ours\n# TYPE go_x gauge\ngo_x 1\nnode_y{a="b"} 1\npromhttp_z 1\n# HELP e \n# a comment\n'
    )
    kept = (
        "# HELP a Says } and 1 2\n# TYPE a gauge\n"
        'a{b="} 1 2"} 3.0\na{b="\u2028"} NaN\na 4.0\na 5.0\n# HELP e \n# a comment\n'
    )
    assert kept == textfile(page.encode()).decode()
    assert b"" == textfile(b"")


@pytest.mark.parametrize(("where", "why"), [("missing", "no such file or directory"), ("file", "not a directory")])
def test_a_directory_that_is_none(tmp_path: Path, site: Site, where: str, why: str) -> None:
    """Exit status 1, with the file and the reason."""
    (tmp_path / "file").touch()
    ran = respawnd("metrics", "--textfile", tmp_path / where, "--socket", site.socket)
    assert (1, f"respawnd: cannot write {tmp_path}/{where}/respawnd.prom: {why}\n") == (ran.code, ran.err)


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        ("fchmod", OSError(28, "No space left on device")),
        ("replace", PermissionError(1, "Operation not permitted")),
        ("replace", KeyboardInterrupt()),
    ],
)
def test_a_write_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, problem: BaseException) -> None:
    """The old file stays, and nothing lies beside it: a disk that is full, a rename that fails, a Ctrl-C."""
    (tmp_path / "x.prom").write_text("old")

    def fail(*_: object) -> None:
        raise problem

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(type(problem)):
        publish(str(tmp_path / "x.prom"), b"new")
    monkeypatch.undo()
    assert ["home", "x.prom"] == sorted(os.listdir(tmp_path))
    assert "old" == (tmp_path / "x.prom").read_text()


def test_what_is_no_file_is_not_replaced(tmp_path: Path, site: Site) -> None:
    """A link or a device at the place of the file is left alone; the directory may be a link."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "link", tmp_path / "home", "/dev/stdout"):
        ran = respawnd("metrics", "--file-sd", path, "--socket", site.socket)
        said = f"respawnd: cannot write {path}: something else than a regular file is there\n"
        assert (1, said) == (ran.code, ran.err)
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "there").symlink_to(tmp_path / "home")
    assert 0 == respawnd("metrics", "--file-sd", tmp_path / "there" / "x.json", "--socket", site.socket).code


def test_a_list_of_targets(tmp_path: Path, site: Site) -> None:
    """The daemon itself, then each service with metrics of its own, all by the address that the daemon listens on."""
    path = tmp_path / "targets.json"
    ran = respawnd("metrics", "--file-sd", path, "--textfile", tmp_path, "--socket", site.socket)
    assert (0, "", "") == (ran.code, ran.out, ran.err)
    own, web = json.loads(path.read_text())
    assert (["127.0.0.1:9747"], {"__metrics_path__": "/metrics"}) == (own["targets"], own["labels"])
    assert (["127.0.0.1:9100"], "web") == (web["targets"], web["labels"]["respawnd_service"])
    assert OURS == (tmp_path / "respawnd.prom").read_text()


def test_a_list_of_targets_without_http(tmp_path: Path, fake: FakeDaemon, site: Site) -> None:
    """The daemon cannot be scraped then, and says so; its services can."""
    fake.about = evolve(fake.about, http=None)
    ran = respawnd("metrics", "--file-sd", tmp_path / "targets.json", "--socket", site.socket)
    said = "respawnd: http.listen is off: the daemon itself is not among the targets\n"
    assert (0, said) == (ran.code, ran.err)
    assert [f"{socket.gethostname()}:9100"] == json.loads((tmp_path / "targets.json").read_text())[0]["targets"]


def test_a_name_without_a_directory(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path starts where one stands."""
    monkeypatch.chdir(tmp_path)
    assert 0 == respawnd("metrics", "--file-sd", "targets.json", "--socket", site.socket).code
    assert 2 == len(json.loads((tmp_path / "targets.json").read_text()))
