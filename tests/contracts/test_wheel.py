"""The wheel: what is in it, and that it lives beside supervisord, whose package bears the same name.

A fresh virtual environment, the real wheel with its real dependencies, the real supervisor==4.3.0. pip runs from the
development environment with `--python`, which saves installing it into the fresh one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from attrs import frozen

from supervisor.version import VERSION
from tests.contracts.source import PACKAGES, ROOT
from tests.contracts.test_layers import SUPERVISORD

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PEER = "supervisor==4.3.0"
COMMAND = {"respawnd": "respawnd", "supervisor": "supervisord"}  # by the name of the distribution


def run(*argv: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """Run to the end and return what it said; a failure shows all of it."""
    done = subprocess.run(
        argv, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{argv} ended {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout.strip()


@frozen
class Venv:
    """A fresh environment, and the pip of the development environment that fills it."""

    path: Path

    def pip(self, *words: str | Path) -> str:
        """Run one pip command on it."""
        return run(sys.executable, "-m", "pip", "--python", self.path / "bin/python", *words)

    def install(self, wheel: Path) -> None:
        """Install one wheel; its dependencies are there."""
        self.pip("install", "-q", "--no-deps", "--no-index", wheel)

    def remove(self, *names: str) -> None:
        """Uninstall those of these that are there."""
        there = [name for name in names if self.holds(COMMAND[name])]
        if there:
            self.pip("uninstall", "-q", "-y", *there)

    def holds(self, command: str) -> bool:
        """Tell whether a command stands in its bin directory."""
        return (self.path / "bin" / command).exists()

    def ours_works(self, cwd: Path | None = None, **environment: str) -> bool:
        """Run our command."""
        told = run(self.path / "bin/respawnd", "--version", cwd=cwd, **environment)
        return told == f"respawnd {VERSION}"

    def theirs_works(self, scratch: Path) -> bool:
        """Run supervisord for real: it starts a program, supervisorctl sees it and shuts it down."""
        conf = scratch / "supervisord.conf"
        conf.write_text(SUPERVISORD_CONF.format(here=scratch))
        assert run(self.path / "bin/supervisord", "--version") == "4.3.0"
        daemon = subprocess.Popen([self.path / "bin/supervisord", "-n", "-c", conf], stdout=subprocess.DEVNULL)
        try:
            wait_for_line(scratch / "events")
            told = run(self.path / "bin/supervisorctl", "-c", conf, "status", "one")
            run(self.path / "bin/supervisorctl", "-c", conf, "shutdown")
        finally:
            daemon.terminate()
            daemon.wait(timeout=20)
        return "RUNNING" in told


SUPERVISORD_CONF = """
[supervisord]
nodaemon = true
logfile = {here}/supervisord.log
pidfile = {here}/supervisord.pid
[unix_http_server]
file = {here}/s.sock
[supervisorctl]
serverurl = unix://{here}/s.sock
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[program:one]
command = /bin/sh -c "echo up > {here}/events; exec sleep 600"
startsecs = 0
"""


def wait_for_line(fifo: Path) -> None:
    """Block until something is written to the named pipe; pytest's timeout bounds it."""
    assert fifo.read_text().strip() == "up"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built without isolation by the pinned backend of the development environment."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "-q", "--no-isolation", "--wheel", "-o", out, ROOT)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """supervisord's wheel, fetched once."""
    out = tmp_path_factory.mktemp("peer")
    run(sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", out, PEER)
    (fetched,) = out.iterdir()
    return fetched


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Venv:
    """A fresh environment in which the wheel's dependencies were installed as pip resolves them, and nothing else."""
    path = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", path)
    fresh = Venv(path)
    fresh.pip("install", "-q", "-c", ROOT / "constraints.txt", wheel)
    assert fresh.ours_works()
    return fresh


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """A directory with the named pipe by which the program of supervisord says that it runs."""
    os.mkfifo(tmp_path / "events")
    return tmp_path


def test_the_wheel_holds_our_packages_the_script_and_the_license(wheel: Path) -> None:
    """The wheel holds the four packages, the command and the licence; neither tests, bench nor examples."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    data, info = f"respawnd-{VERSION}.data", f"respawnd-{VERSION}.dist-info"
    assert {*PACKAGES, data, info} == tops
    assert [f"{data}/scripts/respawnd"] == [name for name in names if name.startswith(data)]
    assert f"{info}/licenses/LICENSE" in names
    assert "supervisor/cli/respawnd" not in names
    assert "supervisor/__init__.py" in names


def test_every_module_of_the_checkout_is_in_the_wheel(wheel: Path) -> None:
    """What the tests import is what is shipped, data files included."""
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.partition("/")[0] in PACKAGES}
    tracked = run("git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", *PACKAGES).splitlines()
    assert set(tracked) - {"supervisor/cli/respawnd"} == names


def test_paths_shared_with_supervisord(wheel: Path, peer: Path) -> None:
    """The two wheels share supervisor/__init__.py and no other path, and the list of forbidden names is complete."""
    theirs = {name for name in zipfile.ZipFile(peer).namelist() if name.startswith("supervisor/")}
    assert {"supervisor/__init__.py"} == theirs & set(zipfile.ZipFile(wheel).namelist())
    tops = {name.split("/")[1].removesuffix(".py") for name in theirs if name.endswith(".py") or name.count("/") > 1}
    assert {"__init__"} == tops - SUPERVISORD


@pytest.mark.parametrize("first", ["ours", "theirs"])
@pytest.mark.parametrize("leaver", ["ours", "theirs"])
def test_beside_supervisord(venv: Venv, wheel: Path, peer: Path, scratch: Path, first: str, leaver: str) -> None:
    """Installed in either order both commands work; when either is uninstalled, the other still does."""
    venv.remove("respawnd", "supervisor")
    for package in (wheel, peer) if first == "ours" else (peer, wheel):
        venv.install(package)
    assert venv.ours_works()
    assert venv.theirs_works(scratch)

    venv.remove("respawnd" if leaver == "ours" else "supervisor")
    assert venv.holds("respawnd") is (leaver == "theirs")
    assert venv.holds("supervisord") is (leaver == "ours")
    assert venv.theirs_works(scratch) if leaver == "ours" else venv.ours_works()


def decoys(where: Path) -> Path:
    """Fill a directory with packages of our names that end the program when they are imported."""
    for package in PACKAGES:
        (where / package).mkdir(parents=True)
        (where / package / "__init__.py").write_text(f"raise SystemExit('decoy {package}')\n")
    return where


def test_decoys_never_win(venv: Venv, wheel: Path, tmp_path: Path) -> None:
    """Packages of our names on PYTHONPATH, in the working directory or on a .pth line are not imported."""
    venv.remove("respawnd", "supervisor")
    venv.install(wheel)
    there = decoys(tmp_path / "there")
    here = decoys(tmp_path / "here")
    assert venv.ours_works(cwd=here)
    assert venv.ours_works(cwd=here, PYTHONPATH=str(there))
    assert venv.ours_works(cwd=here, PYTHONPATH=f":{there}:")
    assert venv.ours_works(cwd=here, PYTHONSAFEPATH="1", PYTHONPATH=f"{there}:{venv.path}/lib")
    (venv.path / f"lib/python3.{sys.version_info.minor}/site-packages/decoy.pth").write_text(f"{there}\n")
    assert venv.ours_works(cwd=here)


def test_the_environment_is_left_alone(venv: Venv, wheel: Path, tmp_path: Path) -> None:
    """PYTHONPATH is taken from our own import path only: the process environment, which children get, keeps it."""
    venv.remove("respawnd", "supervisor")
    venv.install(wheel)
    script = venv.path / "bin/respawnd"
    there = decoys(tmp_path / "there")
    look = "import os, runpy, sys; runpy.run_path(sys.argv[1], run_name='looked')"
    told = run(
        venv.path / "bin/python",
        "-c",
        f"{look}; print(os.environ['PYTHONPATH'], {str(there)!r} in sys.path)",
        script,
        cwd=tmp_path,
        PYTHONPATH=str(there),
    )
    assert f"{there} False" == told


def test_the_editable_install_of_this_checkout(tmp_path: Path) -> None:
    """The development environment's command runs the checkout, also where PYTHONPATH names the checkout itself."""
    command = Path(sys.executable).with_name("respawnd")
    here = decoys(tmp_path / "here")
    for path in ("", str(here), str(ROOT), f"{ROOT}:{here}", f"{here}:{ROOT}"):
        assert run(command, "--version", cwd=here, PYTHONPATH=path) == f"respawnd {VERSION}"
