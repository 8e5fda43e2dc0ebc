"""Every page in a real Chromium, over a running worker: content, actions, hostile text, 360 px."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect

from pilotfish.core.settings import Value
from pilotfish.store import leaders_store
from pilotfish.web import server
from tests.fresh import fresh_database
from tests.rig import PATIENCE, WALLET, Pilot, Stand, rig, until
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
HOSTILE = '<img src=x onerror="window.hacked=1"><b>=cmd</b>'
MICRO = 1_000_000


@dataclass
class Desk:
    """A venue, a worker and a dashboard, with some trades in them."""

    stand: Stand
    pilot: Pilot
    address: str
    browser: Browser
    token: str
    other: str

    def seen(self, width: int = 1440, *, admin: bool = True) -> Watched:
        return window(self.browser, self.address, width, TOKEN if admin else "")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}/api/v1{path}", timeout=10) as answer:
            return json.load(answer)


@contextmanager
def traded(folder: Path, browser: Browser) -> Iterator[Desk]:
    """A desk on which one BUY and one SELL were copied, and one BUY was skipped."""
    with rig(folder, admin_token=TOKEN, max_spread_bps=1200) as (stand, pilot):
        token, other = stand.market(question=HOSTILE, fee_rate=0.04), stand.market(question="Will the tide turn?")
        stand.book(other, bids=[(0.20, 1000)], asks=[(0.60, 1000)])
        pilot.cli("leaders", "add", WALLET, "--label", HOSTILE)
        pilot.start()
        address = pilot.start_web()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        stand.fill(other, "BUY", 100)
        stand.fill(token, "SELL", 40, 0.49)
        pilot.fills(2)
        yield Desk(stand, pilot, address, browser, token, other)


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with traded(tmp_path_factory.mktemp("pages"), browser) as made:
        yield made


def test_settings_explain_take_effect_at_once_and_are_audited(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/settings")
    fixed = page.locator("form[data-setting=fixed_usdc]")
    fixed.get_by_role("textbox").fill("0.2")
    fixed.get_by_role("textbox").press("Tab")
    expect(fixed.locator("[data-wrong]")).to_contain_text("must be between 1 and 1000000 USDC")
    fixed.get_by_role("textbox").fill("10")
    fixed.get_by_role("textbox").press("Enter")
    expect(fixed.locator("[data-source]")).to_have_text("dashboard")
    spread = page.locator("form[data-setting=max_spread_bps]")
    expect(spread.locator("[data-source]")).to_have_text("environment")
    spread.get_by_role("textbox").fill("900")
    spread.get_by_role("textbox").press("Tab")
    expect(spread.locator("[data-source]")).to_have_text("dashboard, overrides environment 1200")
    until("the worker has them", lambda: len(desk.pilot.logged("settings taken up")) >= 1)
    before = len(desk.pilot.export("fills"))
    desk.stand.fill(desk.token, "BUY", 100)
    assert desk.pilot.fills(before + 1)[-1]["usdc_micro"] == 10 * MICRO
    spread.get_by_role("button", name="Undo").click()
    expect(spread.locator("[data-source]")).to_have_text("environment")
    fixed.get_by_role("button", name="Undo").click()
    expect(fixed.locator("[data-source]")).to_have_text("default")
    mode = page.locator("form[data-setting=trigger_mode]")
    mode.get_by_role("combobox").select_option("api")
    expect(mode.locator("[data-source]")).to_have_text("dashboard")
    until("the mode has changed", lambda: desk.pilot.logged("trigger mode changed"))
    mode.get_by_role("button", name="Undo").click()
    audit = page.locator("#audit tbody tr", has_text="fixed_usdc")
    expect(audit.first).to_contain_text("web")
    expect(page.locator("#audit tbody tr", has_text="followed").first).to_contain_text("terminal")
    sent = len(desk.get("/settings/audit"))
    fixed.get_by_role("textbox").fill("11")
    fixed.get_by_role("textbox").press("Enter")
    expect(fixed.locator("[data-source]")).to_have_text("dashboard")
    fixed.get_by_role("textbox").press("Tab")
    fixed.get_by_role("button", name="Undo").click()
    expect(fixed.locator("[data-source]")).to_have_text("default")
    assert len(desk.get("/settings/audit")) == sent + 2, "Enter, and leaving the field, save the same value once"
    seen.wrong = [w for w in seen.wrong if "400" not in w]
    seen.clean()
    until("both again", lambda: desk.pilot.status()["worker"]["polygon"]["healthy"])


def test_who_is_not_signed_in_changes_nothing(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/settings")
    assert page.locator("form[data-setting]").count() == 0
    assert page.get_by_role("button", name="Reset paper state").count() == 0
    expect(page.locator("#first")).to_contain_text("Spent once per leader order")
    expect(page.locator("#first .setting", has_text="Largest BUY").locator(".ctl")).to_have_text("no limit")
    expect(page.locator("#first .setting", has_text="How a BUY is sized")).to_contain_text("leader_ratio")
    page.get_by_role("link", name="Sign in").first.click()
    page.get_by_label("Token").fill("guess")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("That token is not right")


CHANGES = (
    ("/leaders", "follow somebody here, or to pause, resume or leave them"),
    (f"/leaders/{WALLET}", "pause, resume or leave them, to name them otherwise"),
    ("/look-backs", "look back at somebody from here, or to cancel it"),
    ("/positions?sort=title", "close a position by hand, or all of them"),
    ("/portfolios", "duplicate a portfolio, to choose whom it copies, or to archive it"),
    ("/settings", "change a setting, to send a test alert, or to reset the paper state"),
)
"""Pages on which something can be done, and what."""


@pytest.mark.parametrize(("path", "what"), CHANGES)
def test_who_is_not_signed_in_is_told_what_could_be_done_and_comes_back_able_to(
    desk: Desk, path: str, what: str
) -> None:
    seen = desk.seen(admin=False)
    page = seen.open(path)
    told = page.locator("#main p.could")
    expect(told).to_contain_text(f"Sign in to {what}")
    told.get_by_role("link", name="Sign in").click()
    page.get_by_label("Token").fill(TOKEN)
    page.get_by_label("Token").press("Enter")
    page.wait_for_url(desk.address + path)
    page.get_by_role("button", name="Sign out").wait_for()
    expect(told).to_have_count(0)
    seen.clean()


def test_without_an_admin_token_each_page_says_that_one_has_to_be_set(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "x.db")
    with database.begin() as c:
        leaders_store.add(c, WALLET, "The tide", 1, by="test")
    nowhere: dict[str, Value] = dict.fromkeys(("data_api_url", "gamma_api_url"), "http://127.0.0.1:9")
    with TestClient(server.build(database, nowhere), base_url="http://127.0.0.1:8080") as client:
        for path, what in CHANGES:
            assert f"To {what}" in client.get(path).text, path
        assert "ADMIN_TOKEN" in client.get("/settings").text
    database.dispose()


def test_a_portfolio_is_duplicated_and_compared(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/portfolios")
    page.get_by_label("Its name").fill("careful")
    page.get_by_role("button", name="Duplicate").click()
    expect(page.locator("#table th", has_text="careful")).to_be_visible()
    until("taken up", lambda: desk.pilot.logged("portfolio taken up"))
    page.goto(f"{desk.address}/settings?portfolio=careful")
    fixed = page.locator("form[data-setting=fixed_usdc]")
    fixed.get_by_role("textbox").fill("5")
    fixed.get_by_role("textbox").press("Tab")
    expect(fixed.locator("[data-source]")).to_have_text("portfolio")
    page.goto(f"{desk.address}/portfolios")
    differ = page.locator(".card", has_text="Settings that differ").locator("tbody tr")
    expect(differ).to_have_count(1)
    expect(differ).to_contain_text("Fixed amount for each order")
    page.get_by_text("careful copies all leaders").click()
    whom = page.locator("form[data-send$='/careful']")
    whom.get_by_label(HOSTILE).uncheck()
    expect(whom.get_by_label("all, also those to come")).not_to_be_checked()
    whom.get_by_role("button", name="Save").click()
    page.get_by_text("careful copies 0 leaders").wait_for()
    until("nobody is copied", lambda: desk.pilot.logged("portfolio copies others"))
    before = len(desk.pilot.export("decisions"))
    desk.stand.fill(desk.token, "BUY", 61)
    until("main alone has decided", lambda: len(desk.pilot.export("decisions")) > before)
    assert [d["portfolio"] for d in desk.pilot.export("decisions")[before:]] == ["main"]
    page.goto(f"{desk.address}/?portfolio=careful")
    page.get_by_text("Nothing is held").wait_for()
    page.goto(f"{desk.address}/portfolios")
    expect(page.locator("#table")).to_contain_text("profit since all run")
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("dialog")).to_contain_text("0 open positions")
    page.get_by_role("button", name="Archive careful").click()
    page.get_by_text("1 archived portfolio").click()
    expect(page.locator("#archived th", has_text="careful")).to_be_visible()
    seen.clean()


def test_a_position_is_closed_by_hand_and_the_state_is_reset(tmp_path: Path, browser: Browser) -> None:
    with traded(tmp_path, browser) as desk:
        _close_and_reset(desk)


def test_a_leader_is_renamed_and_all_that_was_copied_from_him_sold(tmp_path: Path, browser: Browser) -> None:
    with traded(tmp_path, browser) as desk:
        seen = desk.seen()
        page = seen.open(f"/leaders/{WALLET}")
        page.get_by_label("Their name here").fill("The tide")
        page.get_by_role("button", name="Rename").click()
        expect(page.locator(".title h1")).to_have_text("The tide")
        page = seen.open(f"/positions?leader={WALLET}")
        page.get_by_role("button", name="Close all").click()
        page.get_by_label("Type SELL to go on").fill("SELL")
        page.get_by_role("button", name="Sell 1 position").click()
        expect(page.locator("table.positions tbody tr")).to_contain_text("↩ sold")
        desk.pilot.verify()
        seen.clean()


def _close_and_reset(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/positions")
    expect(page.locator("table.rows tbody tr")).to_have_count(1)
    page.locator("table.rows").get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Sell 30.00 shares").click()
    expect(page.locator("table.rows tbody tr")).to_contain_text("↩ sold")
    page.get_by_role("link", name="Closed").click()
    expect(page.locator("table.rows tbody tr")).to_contain_text(HOSTILE)
    page.goto(f"{desk.address}/")
    expect(page.locator(".feed tbody tr").first).to_contain_text("sold: by hand")
    page.locator(".feed a[data-drawer]").first.click()
    expect(page.locator("dialog")).to_contain_text("an exit of our own")
    page.goto(f"{desk.address}/settings")
    page.get_by_role("button", name="Reset paper state").click()
    go = page.get_by_role("button", name="Wipe the paper state")
    expect(go).to_be_disabled()
    page.get_by_label("Type RESET to go on").fill("RESET")
    go.click()
    expect(page.locator(".toast")).to_contain_text("The paper state is reset")
    assert desk.pilot.export("fills") == []
    assert desk.pilot.export("positions") == []
    desk.pilot.verify()
    seen.clean()


@pytest.mark.parametrize("path", ["/", "/leaders", f"/leaders/{WALLET}", "/trades", "/positions", "/latency",
                                  "/portfolios", "/settings", "/orders",
                                  f"/leaders/{WALLET}?portfolio=main"])  # fmt: skip
def test_every_page_fits_a_phone_can_be_reached_by_keyboard_and_names_its_parts(desk: Desk, path: str) -> None:
    seen = desk.seen(360)
    page = seen.open(path)
    page.wait_for_load_state("load")
    seen.clean()
    assert _nameless(page) == []
    assert _small(page) == []
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    for _ in range(3):
        page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches('a, button')")


def _nameless(page: Page) -> list[str]:
    """Things to press or fill that have no name for who cannot see them."""
    found: list[str] = page.evaluate(
        """[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select')].filter(e =>
           !(e.getAttribute('aria-label') || e.textContent.trim() || (e.labels && e.labels.length)
             || e.title || e.placeholder)).map(e => e.outerHTML.slice(0, 120))"""
    )
    return found


def _small(page: Page) -> list[str]:
    """Things to press that a finger misses: smaller than 24 px, and no words within a sentence."""
    found: list[str] = page.evaluate(
        """[...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, summary')].filter(e => {
             const of = (e.type === 'checkbox' && e.closest('label')) || e;
             const {width, height} = of.getBoundingClientRect();
             return e.checkVisibility() && !e.matches('.skip') && (width < 24 || height < 24);
           }).map(e => e.outerHTML.slice(0, 120) + ' ' + JSON.stringify(e.getBoundingClientRect()))"""
    )
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_is_readable_for_everybody(desk: Desk, theme: Any) -> None:
    """axe-core: contrast AA, names, roles, order of headings, for who looks, listens or uses keys only."""
    seen = window(desk.browser, desk.address, token=TOKEN, theme=theme)
    paths = ("/", "/leaders", f"/leaders/{WALLET}", "/trades", "/positions", "/positions?status=closed", "/latency",
             "/portfolios", "/settings", "/orders", "/login", "/api/docs", "/nowhere")  # fmt: skip
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
    for path in paths:
        seen.page.goto(desk.address + path)
        seen.page.wait_for_load_state("load")
        if path == "/trades":
            seen.page.locator("[data-drawer]").first.click()
            seen.page.locator("dialog .trace").first.wait_for()
        found = Axe().run(seen.page, options=rules).response["violations"]
        assert [(v["id"], n["html"][:120]) for v in found for n in v["nodes"]] == [], (theme, path)


def test_a_setting_is_found_by_a_word_and_what_is_changed_is_shown_alone(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/settings")
    page.get_by_label("Find a setting").fill("stale")
    shown = page.locator(".setting:visible div > b")
    expect(shown).to_have_text(["API is down after", "Polygon is down after", "Kept books are stale after"])
    page.get_by_label("Find a setting").fill("no such thing")
    page.get_by_text("No setting has these words.").wait_for()
    page.get_by_label("Find a setting").fill("spread")
    page.get_by_label("changed only").check()
    expect(shown).to_have_text(["Widest spread"])
    page.get_by_label("Find a setting").fill("")
    page.get_by_label("changed only").uncheck()
    page.locator("#alerts summary").click()
    page.get_by_role("button", name="Send a test alert").click()
    expect(page.locator(".toast")).to_contain_text("alert_urls is empty")
    seen.wrong = [w for w in seen.wrong if "400" not in w]
    seen.clean()


def test_what_could_not_be_used_and_when_a_source_was_down_are_shown(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    desk.stand.post("/rpc", action="raw", value='{"<b>cut off')
    page = seen.open("/")
    page.get_by_role("link", name="1 input could not be used").click()
    expect(page.locator("dialog")).to_contain_text("frame is not JSON")
    page.get_by_text("what came", exact=True).click()
    expect(page.locator("dialog pre")).to_have_text('{"<b>cut off')
    assert desk.get("/bad-inputs")[0]["source"] == "polygon"
    assert "frame is not JSON" in desk.pilot.cli("status", code=None)
    desk.stand.post("/rpc", action="refuse", seconds=1)
    until("it is down and back", lambda: [o for o in desk.get("/outages") if o["to"]])
    page = seen.open("/latency")
    row = page.locator(".card", has_text="When a source was down").last.locator("tbody tr").first
    expect(row).to_contain_text("Polygon")
    expect(row).to_contain_text("s")
    seen.clean()


def test_ten_tabs_all_show_what_happens(desk: Desk) -> None:
    """Each open tab shows a new decision; ``test_shared`` shows that all tabs together read once."""
    tabs = [desk.seen(admin=False) for _ in range(10)]
    for tab in tabs:
        tab.open("/").locator(".feed tbody tr").first.wait_for()
    before = desk.get("/trades?limit=1")["data"][0]["id"]
    trade = desk.stand.fill(desk.token, "BUY", 77)
    for tab in tabs:
        tab.page.locator(".feed tbody tr", has_text="77.00").first.wait_for()
        tab.clean()
    (newest,) = desk.get("/trades?limit=1")["data"]
    assert newest["id"] > before
    assert newest["tx_hash"] == trade["tx_hash"]
    assert newest["decision"]["action"] in ("copy", "skip")
    for tab in tabs:
        tab.page.context.close()


def test_a_lost_connection_shows_and_recovers(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/")
    page.locator(".lights").wait_for()
    assert desk.pilot.web is not None
    desk.pilot.web.terminate()
    desk.pilot.web.wait(PATIENCE)
    page.get_by_text("The dashboard does not answer.").wait_for(timeout=20_000)
    desk.pilot.start_web(int(desk.address.rsplit(":", 1)[1]))
    page.get_by_text("The dashboard does not answer.").wait_for(state="hidden", timeout=30_000)
    page.locator(".lights").wait_for(timeout=20_000)
