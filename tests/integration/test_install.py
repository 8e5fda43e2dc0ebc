"""What is installed from the wheel works where nothing else of the project is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from pilotfish import __version__
from pilotfish.cli.session import clean_environment
from tests.conftest import PROJECT

pytestmark = pytest.mark.slow
UV = Path(sys.executable).with_name("uv")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
KNOWN = ("3.11", "3.12", "3.13")
"""What the project says that it was tried with."""
NEWER = ("3.14",)
"""Tried where it is installed; not promised before that."""


class Interpreter(NamedTuple):
    """A Python that is installed on this machine."""

    version: str
    path: str


def interpreters() -> list[Interpreter]:
    """Every Python from 3.11 on that is installed: the tests' own, those on the path, and pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = {HERE: sys.executable}
    for version in (*KNOWN, *NEWER):
        candidates = [*sorted(pyenv.glob(f"{version}.*/bin/python")), Path(f"/usr/bin/python{version}")]
        candidates += [Path(folder) / f"python{version}" for folder in ("/usr/local/bin", "/opt/homebrew/bin")]
        there = next((str(path) for path in candidates if path.exists()), None)
        if there is not None:
            found.setdefault(version, there)
    return [Interpreter(version, path) for version, path in sorted(found.items())]


def uv(*words: object, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """uv, without a network: what it needs is in its cache, or is not to be had."""
    return subprocess.run(
        [UV, "--offline", "--no-config", *map(str, words)], capture_output=True, text=True, env=env, timeout=300
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the build back end that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(words, cwd=PROJECT, check=True, capture_output=True, timeout=120)
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_has_every_file_of_the_program_and_nothing_else(wheel: Path) -> None:
    source = PROJECT / "src"
    files = {str(p.relative_to(source)) for p in source.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    with zipfile.ZipFile(wheel) as whole:
        names = set(whole.namelist())
        about = whole.read(f"pilotfish-{__version__}.dist-info/METADATA").decode()
    assert {name for name in names if ".dist-info/" not in name} == files
    assert f"pilotfish-{__version__}.dist-info/licenses/LICENSE" in names
    assert "Requires-Python: >=3.11" in about
    told = set(re.findall(r"Programming Language :: Python :: (3\.\d+)", about))
    assert told == set(KNOWN)


@pytest.mark.parametrize("python", interpreters(), ids=lambda one: one.version)
def test_it_runs_from_the_wheel_in_a_clean_environment(wheel: Path, tmp_path: Path, python: Interpreter) -> None:
    venv = tmp_path / "venv"
    made = uv("venv", "--python", python.path, venv)
    assert made.returncode == 0, made.stderr
    inside = venv / "bin" / "python"
    packages = uv("pip", "install", "--python", inside, "--require-hashes", "-r", PROJECT / "requirements.lock")
    if packages.returncode != 0 and python.version != HERE:
        pytest.skip(f"the packages for Python {python.version} are not in uv's cache, and no network is used")
    if packages.returncode != 0:  # no cache: the tests' own packages, without the project itself
        (site,) = (venv / "lib").glob("python*/site-packages")
        (own,) = (Path(sys.prefix) / "lib").glob(f"python{HERE}/site-packages")
        (site / "locked.pth").write_text(f"{own}\n")
    installed = uv("pip", "install", "--python", inside, "--no-deps", wheel)
    assert installed.returncode == 0, installed.stderr
    works(venv / "bin" / "pilotfish", tmp_path)


def test_it_is_a_tool_of_uv(wheel: Path, tmp_path: Path) -> None:
    env = {**os.environ, "UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin")}
    words = ("tool", "install", "--python", sys.executable, "--constraints", PROJECT / "requirements.lock", wheel)
    done = uv(*words, env=env)
    if done.returncode != 0 and re.search("offline|cache|network", done.stderr):
        pytest.skip("the packages are not in uv's cache, and no network is used")
    assert done.returncode == 0, done.stderr
    starts(tmp_path / "bin" / "pilotfish", tmp_path)


def test_it_is_a_tool_of_pipx(wheel: Path, tmp_path: Path) -> None:
    here = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "UV_OFFLINE": "1"}
    here |= {
        "UV_CONSTRAINT": str(PROJECT / "requirements.lock"),
        "PATH": f"{UV.parent}{os.pathsep}{os.environ['PATH']}",
    }
    words = [sys.executable, "-m", "pipx", "install", "--backend", "uv", "--python", sys.executable, str(wheel)]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, **here}, cwd=tmp_path, timeout=300)
    if done.returncode != 0 and re.search("offline|cache|network", done.stderr):
        pytest.skip("the packages are not in uv's cache, and no network is used")
    assert done.returncode == 0, done.stderr
    starts(tmp_path / "bin" / "pilotfish", tmp_path)


def starts(program: Path, folder: Path) -> Callable[..., str]:
    """The program that was installed starts, and makes its database; with what runs its other commands."""
    home = folder / "home"
    home.mkdir()
    env = {k: v for k, v in clean_environment().items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    env |= {"XDG_DATA_HOME": str(home), "HOME": str(home)}

    def run(*words: str) -> str:
        done = subprocess.run([program, *words], capture_output=True, text=True, env=env, cwd=home, timeout=180)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    assert run("--version") == f"pilotfish {__version__}\n"
    run("leaders", "add", "0x" + "a1" * 20, "--label", "Ann")
    assert "Ann" in run("config", "export")
    return run


def works(program: Path, folder: Path) -> None:
    """It does its main job as well: the demo, with pages, to books that agree."""
    run = starts(program, folder)
    told = json.loads(run("demo", "--for", "4", "--seed", "3", "--port", "0", "--json"))
    assert told["verify"] == "ok"
    assert told["trades"] > 0
    run("backup", "x.backup")
    assert json.loads(run("sql", "select count(*) as n from trades", "--json")) == [{"n": 0}]
