"""Mode api, and a mode that wants a chain nobody configured: pages and commands say what is off, and show the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.rig import rig, until
from tests.web.chromium import window


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "configured", "why"),
    [
        ("api", True, "mode api"),
        ("api", False, "mode api, and no POLYGON_WS_URL"),
        ("both", False, "no POLYGON_WS_URL"),
    ],
)
def test_mode_api_says_what_is_off_and_shows_what_can_be_measured(
    tmp_path: Path, browser: Browser, mode: str, configured: bool, why: str
) -> None:
    with rig(tmp_path, trigger_mode=mode) as (stand, pilot):
        if not configured:
            pilot.environment.pop("POLYGON_WS_URL")
        token = stand.market(question="Will it rain?")
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        address = pilot.start_web()
        seen = window(browser, address)

        def get(path: str) -> Any:
            return seen.page.request.get(f"{address}/api/v1{path}").json()

        told = get("/latency")
        assert told["off"] == {"polygon": why}
        assert [told[n] for n in ("chain_first", "api_first", "only_api", "only_polygon")] == [None] * 4
        assert told["seen_after_match_ms"]["api"]["p50"] is not None
        assert {k: v for k, v in told.items() if k != "pace_ms"} == json.loads(pilot.cli("latency", "--json"))
        assert f"Polygon is off: {why}" in pilot.cli("latency")
        assert why in pilot.cli("status", code=None)
        assert [r["polygon_on"] for r in pilot.export("latency")] == [False]

        page = seen.open("/latency")
        page.get_by_text(f"Polygon is off: {why}.").wait_for()
        page.get_by_text("match → visible in the API").wait_for()
        assert "Chain first" not in page.locator("#main").inner_text()
        page = seen.open("/")
        page.get_by_text(f"Polygon is off: {why}.").wait_for()
        expect(page.locator(".light.off", has_text="Polygon")).to_contain_text(why)
        assert "Data API first" not in page.locator("#main").inner_text()
        page.locator(".feed [data-drawer]").click()
        expect(page.locator("dialog")).to_contain_text("chain off")
        seen.clean()


@pytest.mark.slow
def test_after_a_change_of_mode_only_what_the_chain_could_have_shown_counts(tmp_path: Path) -> None:
    with rig(tmp_path, trigger_mode="api") as (stand, pilot):
        token = stand.market()
        pilot.start()
        pilot.follow()
        stand.fill(token, "BUY", 101)
        pilot.trades(1)
        pilot.stop()
        pilot.environment["TRIGGER_MODE"] = "both"
        pilot.start()
        stand.fill(token, "BUY", 102)
        until("both have seen it", lambda: pilot.status()["counts"]["seen_by_both"] == 1)
        told = json.loads(pilot.cli("latency", "--json"))
        assert told["off"] == {}
        assert (told["seen_by_both"], told["only_api"]) == (1, 0)
        assert told["chain_first"] + told["api_first"] == 1
