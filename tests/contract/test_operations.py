"""What is written for those who keep it running says what the code does: metrics, dashboards, alerts, the runbook."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import insert
from starlette.testclient import TestClient

from pilotfish.core.exit_codes import ExitCode
from pilotfish.core.setting_values import words_of
from pilotfish.core.settings import BY_NAME
from pilotfish.core.units import SECOND
from pilotfish.store import tables as t
from pilotfish.store.worker_state import ApiState, ChainState, ProviderState, WorkerState
from pilotfish.web.server import build
from tests.conftest import PROJECT
from tests.fresh import fresh_database
from tests.story import make

DOCS, DEPLOY = PROJECT / "docs", PROJECT / "deploy"
NAMED = re.compile(r"\bpilotfish_[a-z_]+\b")


def table(document: str, heading: str) -> dict[str, list[str]]:
    """The rows of the table below a heading by their first cells: names in it, and the other cells."""
    part = document.split(f"\n{heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return {name.strip("` "): row[1:] for row in rows[2:] for name in row[0].split(",")}


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, set[str]]]:
    """What ``/metrics`` has while everything is there: the name of each sample, its type and its labels."""
    database = fresh_database(tmp_path_factory.mktemp("metrics") / "x.db")
    make(3, 6, 60, database).play()
    worker = WorkerState(
        api=ApiState(serving_lag_seconds=3, round_s=5.0, oldest_poll_s=4.0),
        polygon=ChainState(filtered_a_day=1, unfiltered_a_day=2),
        provider=ProviderState(units=4, of_units=5),
        counts={"polls": 1},
    )
    with database.begin() as c:
        c.execute(insert(t.worker_status).values(name="worker", at=1_800_000_000 * SECOND, data=worker.as_json()))
    with TestClient(build(database, {}), base_url="http://127.0.0.1") as client:
        text = client.get("/metrics").text
    database.dispose()
    found: dict[str, tuple[str, set[str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, (family.type, set()))[1].update(sample.labels)
    return found


def test_every_metric_is_documented_with_its_type_labels_and_unit(exposed: dict[str, tuple[str, set[str]]]) -> None:
    document = (DOCS / "metrics.md").read_text()
    told = table("\n" + document, "# Metrics")
    assert set(told) == set(exposed)
    for name, (kind, labels) in exposed.items():
        assert told[name][0] == kind, name
        assert set(re.findall(r"`(\w+)`", told[name][1])) == labels, name
        assert told[name][2], name


def test_the_grafana_dashboard_asks_for_metrics_that_there_are(exposed: dict[str, tuple[str, set[str]]]) -> None:
    board = json.loads((DEPLOY / "grafana" / "pilotfish.json").read_text())
    panels: list[dict[str, Any]] = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 8
    asked: set[str] = set()
    for panel in panels:
        assert panel["targets"], panel["title"]
        for one in panel["targets"]:
            names = set(NAMED.findall(one["expr"]))
            assert names <= set(exposed), panel["title"]
            labels = set().union(*(exposed[name][1] for name in names)) | {"instance"}
            used = set(re.findall(r"\{\{(\w+)\}\}", one["legendFormat"]))
            used |= {label for by in re.findall(r"by \(([^)]*)\)", one["expr"]) for label in re.findall(r"\w+", by)}
            assert used <= labels, panel["title"]
            assert one["expr"].count("(") == one["expr"].count(")")
            asked |= names
    assert {"pilotfish_worker_up", "pilotfish_source_healthy", "pilotfish_equity_usdc"} <= asked
    boxes = [panel["gridPos"] for panel in panels]
    cells = [(x, y) for b in boxes for x in range(b["x"], b["x"] + b["w"]) for y in range(b["y"], b["y"] + b["h"])]
    assert len(cells) == len(set(cells))  # none lies over another
    assert max(x for x, _ in cells) < 24


def test_prometheus_alerts_by_metrics_that_there_are_and_the_runbook_has_each(
    exposed: dict[str, tuple[str, set[str]]],
) -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    for rule in rules:
        assert set(NAMED.findall(rule["expr"])) <= set(exposed), rule["alert"]
        assert rule["annotations"]["summary"]
    assert set(table((DOCS / "runbook.md").read_text(), "## Prometheus")) == {rule["alert"] for rule in rules}


def test_the_runbook_has_every_light_alert_and_exit_code() -> None:
    runbook = (DOCS / "runbook.md").read_text()
    lights = table(runbook, "## Lights")
    assert set(WorkerState().sources()) | {"worker", "dashboard", "journal"} <= set(lights)
    assert set(table(runbook, "## Alerts")) == set(BY_NAME["alert_on"].choices)
    assert {str(int(code)) for code in ExitCode} <= set(table(runbook, "## Exit codes"))
    for part in (lights, table(runbook, "## Alerts"), table(runbook, "## Exit codes")):
        assert all(row[-1] for row in part.values())


def test_settings_and_commands_that_documents_name_exist() -> None:
    """Words in code type that look like settings are some."""
    for name in ("runbook.md", "metrics.md", "backup.md", "data.md"):
        text = (DOCS / name).read_text()
        for setting in re.findall(
            r"`((?!pilotfish_)[a-z]+_(?:[a-z]+_)*(?:sec|ms|bps|hour|mb|gib|usdc|daily|units|topic))`", text
        ):
            assert setting in BY_NAME, (name, setting)
    assert set(words_of(str(BY_NAME["alert_on"].default))) <= set(BY_NAME["alert_on"].choices)
