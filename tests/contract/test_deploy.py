"""The container, the composition and the unit of systemd: linted without a daemon, and what they call exists."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pilotfish import cli
from pilotfish.core.settings import ALL, BY_NAME
from pilotfish.web.auth import OPEN_PATHS
from tests.conftest import PROJECT

DEPLOY = PROJECT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((PROJECT / "compose.yaml").read_text())
OURS = ("worker", "standby", "pages")


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = re.sub(r"\\\n", " ", (PROJECT / "Dockerfile").read_text())
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines)]


def runs(words: list[str]) -> None:
    """A command of ours with its options is one that there is."""
    command = cli.command(words[0])
    with command.make_context(words[0], words[1:], resilient_parsing=False) as context:
        assert context is not None


def test_the_image_is_small_unprivileged_and_installs_only_what_is_locked() -> None:
    steps = instructions()
    names = [name for name, _ in steps]
    known = {"FROM", "WORKDIR", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
             "ENTRYPOINT", "CMD"}  # fmt: skip
    assert set(names) <= known
    last = max(n for n, name in enumerate(names) if name == "FROM")
    final = dict(steps[last:])
    assert final["USER"] not in ("root", "0", "0:0")
    assert re.fullmatch(r"\d+:\d+", final["USER"])  # Kubernetes can tell that it is not root
    assert names.index("FROM") != last  # what builds is not in what runs
    for name, rest in steps:
        if name == "FROM":
            assert re.search(r":\d", rest), "a base without a version"
        if name == "RUN" and "pip install" in rest:
            for part in rest.split("&&"):
                assert "pip install" not in part or "--require-hashes" in part or "--no-deps" in part
                assert "pip install" not in part or "--no-cache-dir" in part
        if name == "COPY" and "--from" not in rest:
            for given in rest.split()[:-1]:
                assert (PROJECT / given).exists(), given
        assert name != "ADD"
    for name in ("ENTRYPOINT", "CMD"):
        assert isinstance(json.loads(final[name]), list)  # no shell in between: signals reach the program
    assert json.loads(final["ENTRYPOINT"]) == ["pilotfish"]
    runs(json.loads(final["CMD"]))
    checked = json.loads(final["HEALTHCHECK"].partition("CMD ")[2])
    assert checked[0] == "pilotfish"
    runs(checked[1:])


def test_what_the_image_copies_is_not_ignored() -> None:
    allowed = [line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name, rest in instructions():
        if name == "COPY" and "--from" not in rest:
            for given in rest.split()[:-1]:
                assert given.removeprefix("./") in allowed, given


def test_variables_of_the_image_the_composition_and_the_unit_are_settings() -> None:
    settings, others = {s.env_name for s in ALL}, {"PATH", "PYTHONDONTWRITEBYTECODE", "XDG_DATA_HOME"}
    env = " ".join(rest for name, rest in instructions() if name == "ENV")
    assert set(re.findall(r"(\w+)=", env)) <= settings | others
    for name in OURS:
        assert set(COMPOSE["services"][name]["environment"]) <= settings | others
    unit = (DEPLOY / "pilotfish.service").read_text()
    assert set(re.findall(r"^Environment=(\w+)=", unit, re.M)) <= settings | others
    assert BY_NAME["web_host"].env_name == "WEB_HOST"


@pytest.mark.parametrize("name", OURS)
def test_a_service_of_ours_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]
    assert service["depends_on"]["db"]["condition"] == "service_healthy"
    runs(list(service["command"]))
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
    seconds = int(service["stop_grace_period"].rstrip("s"))
    assert seconds > 5  # it ends within five by itself


def test_the_composition_holds_together() -> None:
    services = COMPOSE["services"]
    assert set(services) == {*OURS, "db", "prometheus", "grafana"}
    volumes = set(COMPOSE["volumes"])
    for name, service in services.items():
        assert re.search(r":\S*\d", service.get("image", "")) or service["image"] == "pilotfish", name
        for mounted in service.get("volumes", []):
            source = mounted.split(":")[0]
            assert source in volumes or (source.startswith("./") and (PROJECT / source).exists()), mounted
        for needed in service.get("depends_on", {}):
            assert needed in services
        for secret in service.get("secrets", []):
            assert secret["source"] in COMPOSE["secrets"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
    data = {s: [m for m in services[s]["volumes"] if m.endswith(":/data")] for s in OURS}
    assert len({m for mounts in data.values() for m in mounts}) == len(OURS)  # each keeps its own journal
    text = (PROJECT / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", text)) == set(re.findall(r"\$\{(\w+)", text))  # none is empty unseen
    probe = " ".join(services["pages"]["healthcheck"]["test"])
    assert "/healthz" in probe
    assert "/healthz" in OPEN_PATHS


def test_prometheus_and_grafana_find_each_other_and_the_pages() -> None:
    services = COMPOSE["services"]
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    job = scraped["scrape_configs"][0]
    host, port = job["static_configs"][0]["targets"][0].split(":")
    assert host in services
    assert int(port) == BY_NAME["web_port"].default
    secret = services["prometheus"]["secrets"][0]["target"]
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    mounted = {m.split(":")[1] for m in services["prometheus"]["volumes"]}
    assert set(scraped["rule_files"]) <= mounted
    source = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    boards = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/pilotfish.yml").read_text())["providers"][0]
    inside = [m.split(":")[1] for m in services["grafana"]["volumes"]]
    assert any(path.startswith(boards["options"]["path"] + "/") for path in inside)


def test_the_unit_of_systemd_is_right_and_shuts_off_what_it_does_not_need(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = (DEPLOY / "pilotfish.service").read_text()
    words = shlex.split(re.search(r"^ExecStart=(.*)$", unit, re.M)[1])  # type: ignore[index]
    runs(words[1:])
    there = tmp_path / "pilotfish.service"
    there.write_text(unit.replace(words[0], shutil.which("true") or "/bin/true"))
    verified = subprocess.run(["systemd-analyze", "verify", str(there)], capture_output=True, text=True, timeout=60)
    assert (verified.returncode, verified.stderr) == (0, "")
    secure = ["systemd-analyze", "security", "--offline=yes", "--threshold=30", str(there)]
    assert subprocess.run(secure, capture_output=True, text=True, timeout=60).returncode == 0
