"""The lock keeps what it promises, and what it installs is listed whole."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.conftest import PROJECT

TOOL = spec_from_file_location("lock", PROJECT / "tools" / "lock.py")
assert TOOL is not None
assert TOOL.loader is not None
lock: Any = module_from_spec(TOOL)
TOOL.loader.exec_module(lock)
PROJECT_SAYS: dict[str, Any] = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def test_every_package_has_hashes_a_known_licence_and_a_version_that_the_project_wants() -> None:
    packages = lock.locked()
    assert len(packages) > 60
    assert list(lock.wrong(packages, PROJECT_SAYS)) == []
    dev = {one.name for one in lock.locked(PROJECT / "requirements-dev.lock")}
    assert {one.name for one in packages} <= dev
    wanted = {canonicalize_name(Requirement(text).name) for text in PROJECT_SAYS["optional-dependencies"]["dev"]}
    assert wanted <= dev


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hashes": ()}, "has no hash"),
        ({"name": "nobody-knows-this"}, "its licence is not known"),
        ({"version": "0.1"}, "the project wants"),
        ({"name": "click"}, "is a dependency and not in the lock"),
    ],
)
def test_what_is_wrong_with_a_lock_is_named(change: dict[str, Any], told: str) -> None:
    packages = lock.locked()
    place = next(n for n, one in enumerate(packages) if one.name == "aiohttp")
    packages[place] = packages[place]._replace(**change)
    assert any(told in line for line in lock.wrong(packages, PROJECT_SAYS))


def test_a_line_that_is_not_understood_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text("aiohttp>=3\n")
    with pytest.raises(ValueError, match="not understood"):
        lock.locked(tmp_path / "x.lock")


@pytest.mark.parametrize(
    ("events", "hit"),
    [
        ([{"introduced": "0"}], True),
        ([{"introduced": "0"}, {"fixed": "3.0"}], False),
        ([{"introduced": "3.0"}, {"fixed": "99"}], True),
        ([{"introduced": "98"}, {"fixed": "99"}], False),
        ([{"introduced": "0"}, {"last_affected": "99"}], True),
        ([{"introduced": "0"}, {"fixed": "2"}, {"introduced": "3"}], True),
        ([{"introduced": "not a version"}], False),
    ],
)
def test_a_known_weakness_is_found_in_a_folder_of_records(
    tmp_path: Path, events: list[dict[str, str]], hit: bool
) -> None:
    record = {"id": "X-1", "summary": "bad", "affected": [
        {"package": {"name": "AioHTTP", "ecosystem": "PyPI"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
    ]}  # fmt: skip
    (tmp_path / "X-1.json").write_text(json.dumps(record))
    (tmp_path / "X-2.json").write_text(json.dumps({**record, "id": "X-2", "withdrawn": "2026-01-01T00:00:00Z"}))
    found = list(lock.weaknesses(lock.locked(), tmp_path))
    assert [line.split()[2] for line in found] == (["X-1"] if hit else [])


def test_the_bill_of_materials_has_every_package_once_and_is_the_same_again() -> None:
    told = [
        subprocess.run(
            [sys.executable, "tools/lock.py", "sbom"], cwd=PROJECT, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert told[0] == told[1]
    bill = json.loads(told[0])
    assert (bill["bomFormat"], bill["specVersion"], bill["version"]) == ("CycloneDX", "1.6", 1)
    parts = bill["components"]
    assert {(p["name"], p["version"]) for p in parts} == {(one.name, one.version) for one in lock.locked()}
    assert len({p["bom-ref"] for p in parts}) == len(parts) == len(bill["dependencies"][0]["dependsOn"])
    for part in parts:
        assert part["purl"] == f"pkg:pypi/{part['name']}@{part['version']}"
        assert part["licenses"][0]["expression"]
        assert any(p["name"] == "pilotfish:sha256" and len(p["value"]) == 64 for p in part["properties"])
