"""Trades and orders in a real Chromium, over a running worker: one row an order, why in words, and our own orders."""

from __future__ import annotations

import csv
import io
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.rig import WALLET, Pilot, Stand, rig, until
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
HOSTILE = '<img src=x onerror="window.hacked=1"><b>=cmd</b>'
TIDE = "Will the tide turn?"
ONE = "0x" + "1" * 64
"""The order that is eaten in fills."""


@dataclass
class Desk:
    """A venue, a worker and a dashboard, with some trades in them."""

    stand: Stand
    pilot: Pilot
    address: str
    browser: Browser
    token: str
    other: str

    def seen(self, width: int = 1440) -> Watched:
        return window(self.browser, self.address, width)

    def file(self, path: str) -> list[dict[str, str]]:
        """A page's file."""
        with urllib.request.urlopen(self.address + path, timeout=10) as answer:
            return list(csv.DictReader(io.StringIO(answer.read().decode())))


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """One BUY order eaten in three fills and copied once, a SELL of some of it, and a BUY that was skipped. Each fill
    makes a block, sixty in a second: their times are delivered, as nobody could ask for so many."""
    with rig(tmp_path_factory.mktemp("trades"), max_spread_bps=1200, polygon_heartbeat_sec=0) as (stand, pilot):
        token, other = stand.market(question=HOSTILE, fee_rate=0.04), stand.market(question=TIDE)
        stand.book(other, bids=[(0.20, 1000)], asks=[(0.60, 1000)])
        pilot.cli("leaders", "add", WALLET, "--label", HOSTILE)
        pilot.start()
        address = pilot.start_web()
        stand.fill(token, "BUY", 100, order_hash=ONE)
        pilot.fills(1)
        stand.fill(token, "BUY", 40, order_hash=ONE)
        stand.fill(token, "BUY", 60, order_hash=ONE)
        pilot.trades(3)
        stand.fill(other, "BUY", 100)
        stand.fill(token, "SELL", 40, 0.49)
        pilot.fills(2)
        pilot.trades(5)
        yield Desk(stand, pilot, address, browser, token, other)


def rows(page: Page) -> Locator:
    """Orders, without what they unfold into."""
    return page.locator("#rows table.feed > tbody > tr:not(.under)")


def test_an_order_is_one_row_that_unfolds_its_fills_by_keyboard_and_stays_so(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/trades")
    expect(rows(page)).to_have_count(3)
    order = rows(page).filter(has_text="in 3 fills")
    expect(order).to_contain_text("BUY")
    expect(order.locator(".size")).to_contain_text("200.00")
    expect(order.locator(".result")).to_contain_text("✓ filled")
    expect(order.locator(".result")).to_contain_text("50.00 at 0.50")
    expect(page.locator("#rows")).not_to_contain_text("same order")
    button = order.get_by_role("button", name="in 3 fills")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    fills = page.locator("table.fills tbody tr")
    expect(fills).to_have_count(3)
    expect(fills.first).to_contain_text("60.00")
    expect(fills.first).to_contain_text("of the order that was copied")
    expect(fills.last).to_contain_text("✓ filled")
    desk.stand.fill(desk.token, "BUY", 30, order_hash=ONE)
    expect(page.get_by_role("button", name="in 4 fills")).to_have_attribute("aria-expanded", "true")
    expect(fills).to_have_count(4)
    expect(fills.first).to_contain_text("30.00")
    expect(page.get_by_role("button", name="in 4 fills")).to_be_focused()
    fills.nth(1).locator("td").first.click()
    expect(page.locator("dialog")).to_contain_text("The leader's order was already copied")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="in 4 fills").press("Enter")
    expect(page.get_by_role("button", name="in 4 fills")).to_have_attribute("aria-expanded", "false")
    expect(fills.first).to_be_hidden()
    seen.clean()


def test_rows_are_orders_or_fills_as_the_address_says_and_filters_stay(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/trades?side=BUY")
    expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="Fills", exact=True).click()
    page.wait_for_url("**side=BUY**by=fills**")
    bought = [t for t in desk.pilot.export("trades") if t["side"] == "BUY"]
    expect(rows(page)).to_have_count(len(bought))
    expect(page.locator("select[name=side]")).to_have_value("BUY")
    expect(rows(page).filter(has_text="same order")).to_have_count(len(bought) - 2)
    page.get_by_label("Reason").select_option("SKIP_SPREAD")
    page.wait_for_url("**reason=SKIP_SPREAD**")
    assert "by=fills" in page.url
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text(TIDE)
    page.get_by_role("link", name="Clear").click()
    expect(rows(page)).to_have_count(len(bought) + 1)
    page.get_by_label("What became of it").select_option("not_filled")
    page.get_by_text("No trade matches.").wait_for()
    page.goto(f"{desk.address}/trades?q=ONERROR")
    expect(rows(page)).to_have_count(2)
    expect(page.locator("#rows")).not_to_contain_text(TIDE)
    assert page.evaluate("window.hacked") is None
    seen.clean()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_every_check_of_a_trace_is_seen_whole_and_help_has_a_box_of_its_size(
    desk: Desk, theme: Literal["light", "dark"]
) -> None:
    seen = window(desk.browser, desk.address, 360, theme=theme)
    page = seen.open("/trades?reason=SKIP_SPREAD")
    rows(page).locator(".when").click()
    trace = page.locator("dialog .trace").first
    trace.wait_for()
    expect(trace.locator("tbody tr").last.locator("td").last).to_have_text("✗ failed")
    cut = trace.evaluate(
        "t => [...t.querySelectorAll('td')].filter(e => e.scrollWidth > e.clientWidth"
        " || e.getBoundingClientRect().right > t.parentElement.getBoundingClientRect().right).map(e => e.textContent)"
    )
    assert cut == []
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    box = page.get_by_label("shortcuts are on").bounding_box()
    assert box is not None
    assert max(box["width"], box["height"]) < 30
    seen.clean()


def test_a_trace_says_the_verdict_first_then_why_in_plain_words_and_the_checks_by_name(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/trades?reason=SKIP_SPREAD")
    rows(page).locator(".when").click()
    drawer = page.locator("dialog")
    verdict = drawer.locator(".verdict")
    expect(verdict.locator("p").first).to_contain_text("– spread")
    expect(verdict).to_contain_text("The spread is too wide. Spread: 10,000 bps, at most 1,200 bps.")
    check = drawer.locator(".trace tbody tr").last
    expect(check.locator("td")).to_have_text(["spread", "10,000 bps", "at most 1,200 bps", "✗ failed"])
    expect(check.locator("td").first).to_have_attribute("title", "spread_bps")
    expect(drawer).not_to_contain_text("_micro")
    size = drawer.locator(".trace tbody tr", has_text="size of the copy")
    expect(size).to_contain_text("25.00 USDC")
    expect(size).to_contain_text("at least 1.00 USDC")
    expect(drawer).to_contain_text("seen by the chain")
    expect(drawer.get_by_role("link", name=re.compile("transaction|profile"))).to_have_count(0)
    assert drawer.locator("code").first.is_hidden(), "identifiers are folded"
    drawer.get_by_text("Identifiers").click()
    for what in ("wallet", "token", "transaction", "order"):
        expect(drawer.get_by_role("button", name=f"Copy the {what}")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    drawer.get_by_role("button", name="Copy the wallet").click()
    expect(drawer.get_by_text("✓ Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == WALLET
    drawer.get_by_text("Raw payload").click()
    expect(drawer.locator("pre")).to_be_visible()
    drawer.get_by_role("link", name="all trades of this market").click()
    page.wait_for_url("**/trades?token=**")
    expect(page.locator(".only")).to_contain_text(TIDE)
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="All markets").click()
    expect(rows(page)).to_have_count(3)
    seen.clean()


def test_a_fill_of_a_copied_order_leads_to_the_trade_that_was_copied(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/trades?by=fills&reason=SKIP_SAME_ORDER")
    link = rows(page).first.locator("a[data-drawer]")
    link.focus()
    page.keyboard.press("Enter")
    first = page.locator("dialog").first
    expect(first.locator(".verdict")).to_contain_text("The leader's order was already copied: see trade 1.")
    first.get_by_role("link", name="trade 1").click()
    second = page.locator("dialog").nth(1)
    expect(second.locator("h1")).to_have_text(HOSTILE)
    expect(second.locator(".verdict p").first).to_contain_text("✓ filled")
    expect(second.locator(".verdict p").first).to_contain_text("50.00 at 0.50")
    expect(second).to_contain_text("Every check was passed.")
    expect(second).to_contain_text("against the leader's price")
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(link).to_be_focused()
    assert page.evaluate("window.hacked") is None
    seen.clean()


def test_the_terminal_says_why_in_the_same_words(desk: Desk) -> None:
    skipped = next(d for d in desk.pilot.export("decisions") if d["reason"] == "SKIP_SPREAD")
    told = " ".join(desk.pilot.cli("trades", "--why", str(skipped["trade_id"])).split())
    assert "The spread is too wide. Spread: 10,000 bps, at most 1,200 bps." in told
    assert "size of the copy" in told
    assert "25.00 USDC" in told
    assert "_micro" not in told
    further = next(d for d in desk.pilot.export("decisions") if d["reason"] == "SKIP_SAME_ORDER")
    told = " ".join(desk.pilot.cli("trades", "--why", str(further["trade_id"])).split())
    assert "The leader's order was already copied: see trade 1." in told


def test_files_hold_what_is_shown_in_plain_units(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/trades?state=filled&side=BUY")
    address = page.get_by_role("link", name="CSV").get_attribute("href")
    assert address is not None
    (order,) = desk.file(address)
    fills = [t for t in desk.pilot.export("trades") if t["token_id"] == desk.token and t["side"] == "BUY"]
    assert int(order["fills"]) == len(fills)
    assert float(order["shares"]) == sum(t["shares_micro"] for t in fills) / 1e6
    assert (order["our_shares"], order["our_price"], order["result"]) == ("50", "0.5", "filled")
    assert order["market"] == HOSTILE
    assert (order["wallet"], order["leader"]) == (WALLET, HOSTILE)
    page = seen.open("/trades?by=fills&reason=SKIP_SPREAD")
    (fill,) = desk.file(page.get_by_role("link", name="CSV").get_attribute("href") or "")
    assert (fill["market"], fill["price"], fill["reason"], fill["our_shares"]) == (TIDE, "0.5", "SKIP_SPREAD", "")
    assert desk.file("/trades.csv?q=nothing+like+it") == []
    page = seen.open("/orders?side=SELL")
    (ours,) = desk.file(page.get_by_role("link", name="CSV").get_attribute("href") or "")
    assert (ours["side"], ours["asked_usdc"], ours["result"]) == ("SELL", "", "filled")
    assert float(ours["our_shares"]) == float(ours["asked_shares"])
    seen.clean()


def test_our_orders_say_what_they_were_for_what_they_got_and_open_their_history(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/orders")
    ours = page.locator("table.ours tbody tr")
    expect(ours).to_have_count(2)
    sold, bought = ours.first, ours.last
    expect(bought.locator(".asked")).to_contain_text("25.00 USDC")
    expect(bought.locator(".asked")).to_contain_text("at most 0.51")
    expect(bought.locator(".filled")).to_contain_text("50.00")
    expect(bought.locator(".fees")).to_have_text("0.50")
    expect(bought.locator(".lag")).to_contain_text(" s")
    expect(sold).to_contain_text("SELL")
    totals = page.locator("#totals")
    expect(totals.locator(".figure", has_text="Orders")).to_contain_text("2")
    expect(totals.locator(".figure", has_text="Spent on BUYs")).to_contain_text("25.00")
    page.locator("select[name=side]").select_option("BUY")
    page.wait_for_url("**side=BUY**")
    expect(ours).to_have_count(1)
    expect(totals.locator(".figure", has_text="Got from SELLs")).to_contain_text("0.00")
    page.get_by_label("What became of it").select_option("not_filled")
    page.get_by_text("No order matches.").wait_for()
    page.get_by_role("link", name="Clear").click()
    link = bought.locator("a[data-drawer]")
    link.focus()
    page.keyboard.press("Enter")
    drawer = page.locator("dialog")
    expect(drawer.locator(".verdict p").first).to_contain_text("✓ filled")
    expect(drawer).to_contain_text("taken from the book: 50.00 at 0.50")
    expect(drawer.locator("tbody tr")).to_contain_text(["shares bought", "fee"])
    drawer.get_by_role("link", name="trade 1").click()
    expect(page.locator("dialog").nth(1)).to_contain_text("Every check was passed.")
    page.keyboard.press("Escape")
    drawer.get_by_role("link", name="our orders in this market").click()
    page.wait_for_url("**/orders?token=**")
    expect(page.locator(".only")).to_contain_text(HOSTILE)
    expect(ours).to_have_count(2)
    seen.clean()


def test_the_overview_tells_what_just_happened_by_the_leaders_orders(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/")
    feed = page.locator("#feed table.feed > tbody > tr:not(.under)")
    expect(feed).to_have_count(3)
    expect(feed.filter(has_text="✓ filled").filter(has_text="BUY")).to_contain_text(re.compile(r"in \d fills"))
    feed.filter(has_text=TIDE).locator(".market a").click()
    page.wait_for_url("**/trades?token=**")
    expect(rows(page)).to_have_count(1)
    seen.clean()


@pytest.mark.parametrize("path", ["/trades", "/trades?by=fills", "/orders"])
def test_it_fits_a_phone_and_is_readable_for_everybody(desk: Desk, path: str) -> None:
    seen = desk.seen(360)
    page = seen.open(path)
    row = page.locator("#rows tbody tr").first
    row.wait_for()
    for cell in row.locator("td").all():
        box = cell.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 360, (path, cell.inner_text())
    fold = page.locator("button.fold").first
    if fold.count():
        fold.click()
        page.locator("table.fills tbody tr").first.wait_for()
    row.locator("a[data-drawer]").click()
    page.locator("dialog .body").wait_for()
    wide = page.evaluate("[...document.querySelectorAll('dialog')].map(d => d.scrollWidth - d.clientWidth)")
    assert wide == [0]
    result = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa"]})
    assert [(v["id"], [n["html"] for n in v["nodes"]][:3]) for v in result.response["violations"]] == []
    page.keyboard.press("Escape")
    seen.clean()


def test_pages_are_continued_by_number_and_stay_filtered(desk: Desk) -> None:
    """More orders than a page shows, each of its own."""
    seen = desk.seen()
    for n in range(60):
        desk.stand.fill(desk.other, "BUY", 1 + n)
    desk.pilot.trades(60)
    page = seen.open("/trades?side=BUY")
    until("a full page", lambda: rows(page).count() == 50)
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**before=**")
    assert "side=BUY" in page.url
    older: list[Any] = rows(page).all()
    assert 0 < len(older) < 50
    expect(page.locator(".pager")).to_contain_text("that is all")
    page.get_by_role("link", name="Newest").click()
    expect(rows(page)).to_have_count(50)
    seen.clean()
