"""A leader who was left stays reachable everywhere, and can be followed again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.rig import WALLET, rig, until
from tests.web.chromium import window

TOKEN = "the-admin-token"


@pytest.mark.slow
def test_a_formerly_followed_leader_stays_reachable_everywhere(tmp_path: Path, browser: Browser) -> None:
    with rig(tmp_path, admin_token=TOKEN) as (stand, pilot):
        token = stand.market(question="Will it rain?")
        pilot.cli("leaders", "add", WALLET, "--label", "The tide")
        pilot.start()
        address = pilot.start_web()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        seen = window(browser, address, token=TOKEN)

        def get(path: str) -> Any:
            return seen.page.request.get(f"{address}/api/v1{path}").json()

        page = seen.open("/leaders")
        page.get_by_role("button", name="Leave The tide").click()
        page.get_by_role("dialog").get_by_role("button", name="Leave", exact=True).click()
        page.get_by_text("Nobody is followed yet").wait_for()
        expect(page.locator("tbody.former")).to_contain_text("The tide")

        # REST and commands
        assert get("/leaders") == []
        assert [(x["wallet"], x["status"]) for x in get("/leaders?status=former")] == [(WALLET, "removed")]
        assert [x["wallet"] for x in get("/leaders?status=all")] == [WALLET]
        figure = get(f"/leaders/{WALLET}")
        assert (figure["copied"], figure["filled"]) == (1, 1)
        assert get(f"/report?leader={WALLET}")[0]["copied"] == 1
        assert json.loads(pilot.cli("leaders", "list", "--json")) == []
        assert [x["wallet"] for x in json.loads(pilot.cli("leaders", "list", "--all", "--json"))] == [WALLET]
        assert "1 formerly followed" in pilot.cli("leaders", "list")
        assert json.loads(pilot.cli("leaders", "show", WALLET, "--json"))["copied"] == 1
        assert "formerly followed" in pilot.cli("leaders", "show", WALLET)

        # filters, their page, another name
        for path in ("/trades", "/positions"):
            page = seen.open(path)
            page.locator("select[name=leader]").select_option(WALLET)
            page.wait_for_url(f"**leader={WALLET}**")
            expect(page.locator("table tbody tr")).to_have_count(1)
            assert "The tide (formerly followed)" in page.locator("select[name=leader]").inner_text()
        page = seen.open(f"/leaders/{WALLET}")
        page.get_by_text("formerly followed, from").wait_for()
        page.get_by_text("Their prices → ours").wait_for()
        assert page.get_by_role("button", name="Pause").count() == 0
        page.get_by_label("Their name here").fill("The ebb")
        page.get_by_role("button", name="Rename").click()
        expect(page.locator(".title h1")).to_have_text("The ebb")
        pilot.cli("leaders", "rename", WALLET, "The flow")
        expect(page.locator(".title h1")).to_have_text("The flow")
        before = get("/leaders?status=former")[0]["left_at"]
        assert before <= page.evaluate("new Date().toISOString()"), "a new name is no new leaving"

        # what was copied from them can be sold
        page.get_by_role("link", name="Their positions").click()
        page.get_by_role("button", name="Close all").click()
        page.get_by_label("Type SELL to go on").fill("SELL")
        page.get_by_role("button", name="Sell 1 position").click()
        expect(page.locator("table.positions tbody tr")).to_contain_text("↩ sold")

        # and they can be followed again
        page = seen.open(f"/leaders/{WALLET}")
        page.get_by_role("button", name="again").click()
        page.get_by_role("dialog").get_by_role("button", name="Follow again").click()
        page.get_by_role("button", name="Pause").wait_for()
        until("followed again", pilot.ready)
        stand.fill(token, "BUY", 60)
        pilot.fills(3)
        pilot.verify()
        seen.clean()
