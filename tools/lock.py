"""What the lock installs: checks that need no network, and a bill of materials.

``python tools/lock.py check`` holds the lock against what it promises: every package with its version and hashes, every
dependency of the project in it, every licence known and one that we accept. ``--advisories FOLDER`` compares versions
with a folder of OSV records (a copy of the Python Packaging Advisory Database); without one nothing is said of known
weaknesses, and that is said.

``python tools/lock.py sbom`` prints the bill of materials (CycloneDX 1.6, JSON) of what runs; the same lock gives the
same text.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

PROJECT = Path(__file__).resolve().parent.parent
LOCK = PROJECT / "requirements.lock"
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)(?: ; ([^\\]+?))? \\$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
ACCEPTED = frozenset(
    ("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "LGPL-3.0-only", "MIT", "MPL-2.0",
     "PSF-2.0", "Zlib")
)  # fmt: skip
"""Licences that let everybody use, change and pass on the whole; LGPL and MPL ask it of their own files alone."""
_SPDX = {
    "Apache 2.0": "Apache-2.0", "Apache Software License": "Apache-2.0", "BSD License": "BSD-3-Clause",
    "ISC License": "ISC", "ISC License (ISCL)": "ISC", "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0", "Python Software Foundation License": "PSF-2.0",
}  # fmt: skip
"""What packages call their licence, where that is no SPDX expression."""
ELSEWHERE = {"colorama": "BSD-3-Clause", "tzdata": "Apache-2.0"}
"""Licences of what other systems alone install, from their own metadata."""


class Locked(NamedTuple):
    """A package of the lock; ``marker`` says where it is installed, empty = everywhere."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]


def locked(path: Path = LOCK) -> list[Locked]:
    """The packages of a lock. Raises :class:`ValueError` for a line that is none."""
    found: list[Locked] = []
    for line in path.read_text().splitlines():
        begins = _LINE.match(line)
        if begins is not None:
            found.append(Locked(canonicalize_name(begins[1]), begins[2], begins[3] or "", ()))
            continue
        digest = _HASH.search(line)
        if digest is not None and line.startswith(" "):
            found[-1] = found[-1]._replace(hashes=(*found[-1].hashes, digest[1]))
        elif line.strip() and not line.lstrip().startswith("#"):
            raise ValueError(f"{path.name}: not understood: {line[:80]!r}")
    return found


def licence(name: str) -> str:
    """The SPDX expression of an installed package; empty = not known."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return ELSEWHERE.get(name, "")
    said = [*(told.get_all("License-Expression") or []), *(told.get_all("License") or [])]
    said += [c.rpartition(" :: ")[2] for c in told.get_all("Classifier") or [] if c.startswith("License :: ")]
    for one in map(str, said):
        if "\n" in one:
            continue
        spdx = _SPDX.get(one.strip(), one.strip())
        if spdx and set(re.split(r" AND | OR ", spdx.replace("(", "").replace(")", ""))) <= ACCEPTED:
            return spdx
    return ""


# -- checking ------------------------------------------------------------------------------------------------------


def wrong(packages: Sequence[Locked], project: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a lock, in words."""
    known: dict[str, list[Version]] = {}
    for one in packages:
        known.setdefault(one.name, []).append(Version(one.version))
        if not one.hashes:
            yield f"{one.name} {one.version} has no hash"
        if not licence(one.name):
            yield f"{one.name} {one.version}: its licence is not known, or none of those that we accept"
    for text in [*project["dependencies"], *project["optional-dependencies"]["build"]]:
        wanted = Requirement(text)
        versions = known.get(canonicalize_name(wanted.name), [])
        if not versions:
            yield f"{wanted.name} is a dependency and not in the lock"
        elif not all(wanted.specifier.contains(v, prereleases=True) for v in versions):
            yield f"{wanted.name}: the lock has {', '.join(map(str, versions))}, the project wants {wanted.specifier}"


def weaknesses(packages: Sequence[Locked], folder: Path) -> Iterator[str]:
    """Which packages a folder of OSV records names."""
    names = {one.name: one for one in packages}
    for path in sorted(folder.rglob("*.json")):
        record = json.loads(path.read_text())
        if record.get("withdrawn"):
            continue
        for affected in record.get("affected", []):
            one = names.get(canonicalize_name(affected.get("package", {}).get("name", "")))
            if one is not None and _is_affected(Version(one.version), affected):
                yield f"{one.name} {one.version}: {record['id']} {record.get('summary') or ''}".rstrip()
                break


def _is_affected(version: Version, affected: dict[str, Any]) -> bool:
    if str(version) in affected.get("versions", []):
        return True
    for span in affected.get("ranges", []):
        if span.get("type") != "ECOSYSTEM":
            continue
        inside = False
        for event in span.get("events", []):
            try:
                if "introduced" in event and (event["introduced"] == "0" or version >= Version(event["introduced"])):
                    inside = True
                if "fixed" in event and version >= Version(event["fixed"]):
                    inside = False
                if "last_affected" in event and version > Version(event["last_affected"]):
                    inside = False
            except InvalidVersion:
                continue
        if inside:
            return True
    return False


# -- the bill of materials -----------------------------------------------------------------------------------------


def bill(packages: Sequence[Locked], project: dict[str, Any]) -> dict[str, Any]:
    """CycloneDX 1.6."""
    root = f"pkg:pypi/{project['name']}@{project['version']}"
    components = [_component(one) for one in packages]
    body = {
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": project["name"],
                "version": project["version"],
                "purl": root,
                "licenses": [{"expression": project["license"]}],
            }
        },
        "components": components,
        "dependencies": [{"ref": root, "dependsOn": [c["bom-ref"] for c in components]}],
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1}
    return {**head, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}", **body}


def _component(one: Locked) -> dict[str, Any]:
    url = f"pkg:pypi/{one.name}@{one.version}"
    properties = [{"name": "pilotfish:sha256", "value": digest} for digest in one.hashes]
    if one.marker:
        properties.append({"name": "pilotfish:installed-where", "value": one.marker})
    return {
        "type": "library",
        "bom-ref": url,
        "name": one.name,
        "version": one.version,
        "purl": url,
        "licenses": [{"expression": licence(one.name)}],
        "properties": properties,
    }


def main() -> None:
    """The command line."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=("check", "sbom"))
    words.add_argument("--advisories", type=Path, metavar="FOLDER")
    given = words.parse_args()
    packages, project = locked(), tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    if given.what == "sbom":
        print(json.dumps(bill(packages, project), indent=1))
        return
    found = list(wrong(packages, project))
    if given.advisories is not None:
        found += weaknesses(packages, given.advisories)
    for line in found:
        print(f"wrong: {line}", file=sys.stderr)
    hashes = sum(len(one.hashes) for one in packages)
    licences = ", ".join(sorted({licence(one.name) for one in packages}))
    print(f"{len(packages)} packages with {hashes} hashes, licences: {licences}")
    if given.advisories is None:
        print("known weaknesses were not looked up: say --advisories FOLDER (OSV records), or run pip-audit online")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
