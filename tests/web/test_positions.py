"""Positions in a real Chromium, over a running worker: every figure sorts, sums agree, a row opens its history, and
closing by hand says before what it would bring, and afterwards where it happened what it got."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.rig import WALLET, Pilot, Stand, rig, until
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
HOSTILE = '<img src=x onerror="window.hacked=1"><b>=cmd</b>'
TIDE, RAIN, SNOW = "Will the tide turn?", "Will it rain?", "Will it snow?"
MICRO = 1_000_000


@dataclass
class Desk:
    """A venue, a worker and a dashboard; two positions are held, one was sold twice, one was paid out."""

    stand: Stand
    pilot: Pilot
    address: str
    browser: Browser
    tokens: dict[str, str]

    def seen(self, width: int = 1440, *, admin: bool = True) -> Watched:
        return window(self.browser, self.address, width, TOKEN if admin else "")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=10) as answer:
            return answer.read().decode()

    def hold(self, title: str, shares: float = 100) -> None:
        """Let the leader buy, and wait for the copy."""
        before = len(self.pilot.export("fills"))
        self.stand.fill(self.tokens[title], "BUY", shares)
        self.pilot.fills(before + 1)


@contextmanager
def desk_of(folder: Path, browser: Browser, **settings: object) -> Iterator[Desk]:
    more = {"sell_retry_sec": 2, "mark_interval_ms": 500, "market_refresh_sec": 1, **settings}
    with rig(folder, admin_token=TOKEN, **more) as (stand, pilot):
        fees = {HOSTILE: 0.04, TIDE: 0.0, RAIN: 0.0, SNOW: 0.0}
        tokens = {title: stand.market(question=title, fee_rate=fee) for title, fee in fees.items()}
        pilot.cli("leaders", "add", WALLET, "--label", "The tide")
        pilot.start()
        yield Desk(stand, pilot, pilot.start_web(), browser, tokens)


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with desk_of(tmp_path_factory.mktemp("positions"), browser) as made:
        for _ in range(2):
            made.hold(SNOW)
            before = len(made.pilot.export("fills"))
            made.stand.fill(made.tokens[SNOW], "SELL", 100, 0.49)
            made.pilot.fills(before + 1)
        made.hold(RAIN)
        made.stand.post("/resolve", token_id=made.tokens[RAIN], payouts=[1, 0])
        resolved = "the market is resolved"
        until(resolved, lambda: [p for p in made.pilot.export("positions") if p["status"] == "resolved"])
        made.hold(HOSTILE)
        made.hold(TIDE)
        before = len(made.pilot.export("fills"))
        made.stand.fill(made.tokens[TIDE], "SELL", 40, 0.49)
        made.pilot.fills(before + 1)
        made.stand.book(made.tokens[HOSTILE], bids=[(0.40, 30), (0.30, 1000)], asks=[(0.50, 1000)])
        yield made


def rows(page: Page) -> Locator:
    return page.locator("table.positions tbody tr")


def row(page: Page, title: str) -> Locator:
    return page.locator("table.positions tbody tr", has_text=title)


def cells(row: Locator) -> dict[str, str]:
    """A row's cells by what stands over them, without what stands under a figure, or is put before it."""
    found: dict[str, str] = row.evaluate(
        "e => Object.fromEntries([...e.querySelectorAll('td[data-l]')].map(x => [x.dataset.l,"
        " [...x.childNodes].filter(n => n.nodeName !== 'SMALL').map(n => n.textContent).join('').trim()]))"
    )
    return found


def number(text: str) -> float:
    """A figure as it is shown."""
    return float(re.sub(r"[^\d.\-]", "", text.replace("−", "-")))


def close(page: Page, title: str) -> Locator:
    """Press a row's button; gives the dialog once it knows what it would bring."""
    row(page, title).get_by_role("button", name="Close").click()
    dialog = page.locator("dialog.ask")
    dialog.locator("h2").wait_for()
    return dialog


def test_every_figure_sorts_what_is_held_and_the_totals_are_of_all_of_it(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/positions")
    expect(rows(page)).to_have_count(2)
    expect(row(page, TIDE)).to_contain_text("bids 0.49")
    expect(row(page, HOSTILE)).to_contain_text("bids 0.36")
    heads = page.locator("table.positions thead a").all_inner_texts()
    assert [h.strip(" ▼▲") for h in heads] == [
        "market", "shares", "cost", "worth", "unrealised", "realised", "return", "opened", "ends",
    ]  # fmt: skip
    expect(page.locator("th[aria-sort=descending]")).to_have_text("cost ▼")
    for name in ("shares", "worth", "unrealised", "realised", "return", "market", "opened", "ends"):
        page.locator("thead").get_by_role("link", name=name, exact=True).click()
        expect(page.locator("th[aria-sort=descending]")).to_have_text(f"{name} ▼")
        expect(rows(page)).to_have_count(2)
        down = [r.locator("td.market a").first.inner_text() for r in rows(page).all()]
        figures = [cells(r).get(name, "") for r in rows(page).all()]
        page.locator("thead").get_by_role("link", name=f"{name} ▼").click()
        expect(page.locator("th[aria-sort=ascending]")).to_have_text(f"{name} ▲")
        if name != "ends":  # these markets end together
            expect(rows(page).first.locator("td.market a").first).to_have_text(down[-1])
        if name not in ("market", "opened", "ends"):
            assert [number(x) for x in figures] == sorted((number(x) for x in figures), reverse=True), name
    page = seen.open("/positions")
    every = [cells(r) for r in rows(page).all()]
    total = cells(page.locator("#total"))
    for name in ("cost", "worth", "unrealised", "realised"):
        assert number(total[name]) == pytest.approx(sum(number(r[name]) for r in every), abs=0.011), name
    expect(page.locator("#total")).to_contain_text("2 positions")
    paid = 25 + number(cells(row(page, HOSTILE))["cost"])
    gain = number(total["unrealised"]) + number(total["realised"])
    assert number(total["return"]) == pytest.approx(100 * gain / paid, abs=0.06)
    assert page.evaluate("window.hacked") is None
    seen.clean()


def test_leader_and_market_in_the_address_choose_what_is_shown_and_added_up(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/positions")
    page.get_by_role("searchbox", name="Market").fill("tide")
    page.get_by_role("searchbox", name="Market").press("Enter")
    page.wait_for_url("**q=tide**")
    expect(rows(page)).to_have_count(1)
    expect(page.locator("#total")).to_contain_text("1 position")
    assert cells(page.locator("#total"))["cost"] == cells(row(page, TIDE))["cost"]
    page.get_by_label("Leader").select_option(WALLET)
    page.wait_for_url(f"**leader={WALLET}**")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="Clear").click()
    expect(rows(page)).to_have_count(2)
    page = seen.open(f"/positions?status=all&token={desk.tokens[SNOW]}")
    page.get_by_text(f"Only {SNOW}").wait_for()
    expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="All markets").click()
    expect(rows(page)).to_have_count(5)
    page = seen.open("/positions?q=no+such+words")
    page.get_by_text("No position matches").wait_for()
    seen.clean()


def test_what_was_sold_twice_is_two_round_trips_with_prices_fees_and_how_they_ended(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/positions")
    page.get_by_role("link", name="Closed").click()
    expect(rows(page)).to_have_count(2)
    for one in rows(page).all():
        expect(one).to_contain_text(SNOW)
        told = cells(one)
        assert (told["shares"], told["entry"], told["exit"]) == ("50.00", "0.50", "0.49")
        assert (told["cost"], told["proceeds"], told["fees"]) == ("25.00", "24.50", "0.00")
        assert (told["PnL"], told["return"], told["how it ended"]) == ("▼ −0.50", "−2.0 %", "the leader sold")
        assert number(told["held for"]) > 0
    total = cells(page.locator("#total"))
    assert (total["cost"], total["proceeds"], total["PnL"], total["return"]) == ("50.00", "49.00", "▼ −1.00", "−2.0 %")
    for name in ("market", "opened", "closed", "held for", "shares", "entry", "exit", "cost", "proceeds", "fees",
                 "PnL", "return"):  # fmt: skip
        page.locator("thead").get_by_role("link", name=re.compile(f"^{name}( ▼)?$")).click()
        expect(page.locator("th[aria-sort]")).to_contain_text(name)
        expect(rows(page)).to_have_count(2)
    page.get_by_role("link", name="Resolved").click()
    expect(rows(page)).to_have_count(1)
    told = cells(row(page, RAIN))
    assert (told["exit"], told["proceeds"], told["PnL"], told["return"]) == ("1.00", "50.00", "▲ +25.00", "+100.0 %")
    assert told["how it ended"] == "resolved"
    page.get_by_role("link", name="All", exact=True).click()
    expect(rows(page)).to_have_count(5)
    expect(row(page, SNOW).first).to_contain_text("the leader sold")
    realised = sum(p["realized_pnl_micro"] for p in desk.pilot.export("positions"))
    assert number(cells(page.locator("#total"))["realised"]) == pytest.approx(realised / MICRO, abs=0.006)
    seen.clean()


def test_a_row_opens_its_history_whose_sums_agree_with_it(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/positions?status=closed")
    told = cells(rows(page).first)
    rows(page).first.locator("td.num").first.click()
    drawer = page.locator("dialog.drawer")
    drawer.locator(".sums").wait_for()
    expect(drawer.locator("h1")).to_have_text(SNOW)
    expect(drawer.locator(".order")).to_have_count(2)
    expect(drawer.locator(".order").first).to_contain_text("50.00 at 0.50 for 25.00 USDC")
    expect(drawer.locator(".order").last).to_contain_text("the leader sold")
    expect(drawer.locator(".order").last).to_contain_text("50.00 at 0.49 for 24.50 USDC")
    moves = drawer.locator("table.ledger tbody tr")
    expect(moves).to_have_count(2)
    expect(moves.last).to_contain_text("sold")
    sums = drawer.locator(".sums")
    expect(sums).to_contain_text(f"{told['shares']} shares for {told['cost']} USDC")
    expect(sums).to_contain_text(f"{told['shares']} shares for {told['proceeds']} USDC")
    expect(sums).to_contain_text(f"{told['PnL']} USDC, {told['return']}")
    assert drawer.locator("time").count() >= 6
    drawer.locator(".others a").click()
    expect(page.locator("dialog.drawer")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(page.locator("dialog.drawer")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)

    page = seen.open("/positions")
    told = cells(row(page, TIDE))
    link = row(page, TIDE).locator("td.market a").first
    link.focus()
    page.keyboard.press("Enter")
    sums.wait_for()
    expect(sums).to_contain_text(f"{told['shares']} shares, worth {told['worth']} USDC")
    expect(sums).to_contain_text(f"{told['return']}; of it realised {told['realised']}")
    page.keyboard.press("Escape")
    expect(link).to_be_focused()
    seen.clean()


def test_the_file_has_what_is_shown_in_its_order_in_plain_units_with_titles(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    for query in ("", "?status=closed&sort=opened", "?status=all&q=snow", "?status=resolved"):
        page = seen.open(f"/positions{query}")
        rows(page).first.wait_for()
        link = str(page.get_by_role("link", name="CSV").get_attribute("href"))

        def agree(page: Page = page, link: str = link) -> bool:
            """A mark may come between the one and the other."""
            found = list(csv.DictReader(io.StringIO(desk.get(link))))
            shown = [(r.locator("td.market a").first.inner_text(), cells(r)) for r in rows(page).all()]
            assert {(line["wallet"], line["leader"]) for line in found} == {(WALLET, "The tide")}
            return [r["market"].lstrip("'") for r in found] == [market for market, _ in shown] and all(
                float(line["cost_usdc"]) == pytest.approx(number(told["cost"]), abs=0.005)
                and float(line["return_percent"]) == pytest.approx(number(told["return"]), abs=0.05)
                for line, (_, told) in zip(found, shown, strict=True)
            )

        until(f"file and page agree: {query}", agree)
    raw = json.loads(desk.get("/api/v1/export/positions.json"))
    assert raw and set(raw[0]) >= {"cost_micro", "shares_micro"}
    seen.clean()


def test_who_is_not_signed_in_is_told_nothing_of_closing(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/positions")
    expect(rows(page)).to_have_count(2)
    assert page.get_by_role("button", name="Close").count() == 0
    answer = page.request.get(f"{desk.address}/parts/close?token_id={desk.tokens[TIDE]}&leader={WALLET}")
    assert answer.status == 401
    assert page.request.get(f"{desk.address}/parts/position?leader={WALLET}&token_id=5").status == 404


def test_an_archived_portfolio_sells_nothing_by_hand(tmp_path: Path, browser: Browser) -> None:
    with desk_of(tmp_path, browser) as desk:
        desk.pilot.cli("portfolio", "clone", "main", "second")
        until("taken up", lambda: desk.pilot.logged("portfolio taken up"))
        desk.stand.fill(desk.tokens[TIDE], "BUY", 100)
        desk.pilot.fills(2)
        seen = desk.seen()
        page = seen.open("/positions?portfolio=second")
        expect(page.get_by_role("button", name="Close")).to_have_count(2)
        desk.pilot.cli("portfolio", "archive", "second")
        expect(page.get_by_role("button", name="Close")).to_have_count(0)
        expect(rows(page)).to_have_count(1)
        seen.clean()


def test_before_a_position_is_closed_it_is_said_what_that_would_bring(desk: Desk) -> None:
    """30 shares at 0.40 and 20 at 0.30, less the venue's fee."""
    seen = desk.seen()
    page = seen.open("/positions")
    button = row(page, HOSTILE).get_by_role("button", name="Close")
    dialog = close(page, HOSTILE)
    fees = 0.04 * (30 * 0.40 * 0.60 + 20 * 0.30 * 0.70)
    got = 30 * 0.40 + 20 * 0.30 - fees
    for told in (HOSTILE, "Yes · copied from The tide", "50.00 shares", "about 0.36 a share", f"{got:.2f} USDC"):
        expect(dialog).to_contain_text(told)
    cost = next(p["cost_micro"] for p in desk.pilot.export("positions") if p["token_id"] == desk.tokens[HOSTILE])
    expect(dialog).to_contain_text(f"−{abs(got - cost / MICRO):.2f} USDC on what these shares cost")
    go = dialog.get_by_role("button", name="Sell 50.00 shares")
    expect(go).to_be_focused()
    box, view = dialog.bounding_box(), page.viewport_size
    assert box is not None
    assert view is not None
    assert box["x"] + box["width"] / 2 == pytest.approx(view["width"] / 2, abs=1)
    assert box["y"] + box["height"] / 2 == pytest.approx(view["height"] / 2, abs=1)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(button).to_be_focused()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Cancel").click()
    expect(button).to_be_focused()
    assert len(desk.pilot.held()) == 2, "nothing was sold"
    assert page.evaluate("window.hacked") is None
    seen.clean()


def test_where_the_book_cannot_be_read_it_says_that_it_is_only_the_last_mark(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/positions")
    expect(row(page, TIDE)).to_contain_text("bids 0.49")
    desk.stand.post("/faults", service="clob", mode="status", status=400)
    dialog = close(page, TIDE)
    expect(dialog).to_contain_text("This is only the last mark")
    expect(dialog).to_contain_text("about 0.49 a share")
    page.keyboard.press("Escape")
    desk.stand.post("/faults", service="clob", mode="off")
    seen.clean()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_readable_for_everybody_and_fits_a_phone(desk: Desk, theme: Literal["light", "dark"]) -> None:
    rules = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
    for width in (1440, 360):
        seen = window(desk.browser, desk.address, width, TOKEN, theme)
        for path in ("/positions", "/positions?status=closed", "/positions?status=resolved", "/positions?status=all"):
            page = seen.open(path)
            rows(page).first.wait_for()
            found = Axe().run(page, options=rules).response["violations"]
            assert [(v["id"], n["html"][:120]) for v in found for n in v["nodes"]] == [], (theme, width, path)
            cut = page.evaluate(
                "[...document.querySelectorAll('.positions td')].filter(e => e.scrollWidth > e.clientWidth + 1"
                " && e.textContent.trim()).map(e => e.outerHTML.slice(0, 120))"
            )
            assert cut == [], (theme, width, path)
        for asks in (True, False):
            page = seen.open("/positions")
            if asks:
                close(page, TIDE)
            else:
                row(page, TIDE).locator("td.market a").first.click()
            page.locator("dialog h2, dialog .sums").first.wait_for()
            found = Axe().run(page, options=rules).response["violations"]
            assert [(v["id"], n["html"][:120]) for v in found for n in v["nodes"]] == [], (theme, width)
            seen.clean()


def test_a_phone_sorts_too(desk: Desk) -> None:
    seen = desk.seen(360, admin=False)
    page = seen.open("/positions")
    expect(rows(page)).to_have_count(2)
    page.get_by_label("Sort by").select_option("title")
    page.wait_for_url("**sort=title**")
    expect(rows(page).first).to_contain_text(HOSTILE)
    seen.clean()


def test_closing_by_hand_is_told_in_its_row_from_the_order_to_what_it_got(tmp_path: Path, browser: Browser) -> None:
    with desk_of(tmp_path, browser, order_latency_ms=1500) as desk:
        for title in (TIDE, RAIN, SNOW, HOSTILE):
            desk.hold(title)
        seen = desk.seen()
        page = seen.open("/positions")
        expect(rows(page)).to_have_count(4)

        # the whole is sold: the row says so, and stays where it was
        close(page, TIDE)
        page.keyboard.press("Enter")
        expect(page.locator("dialog")).to_have_count(0)
        expect(row(page, TIDE)).to_contain_text("… selling 50.00")
        expect(row(page, TIDE)).to_contain_text("by hand")
        expect(row(page, TIDE)).to_contain_text("↩ sold")
        expect(row(page, TIDE)).to_contain_text("50.00 at 0.49 for 24.50 USDC")
        assert cells(row(page, TIDE))["realised"] == "▼ −0.50"
        assert row(page, TIDE).get_by_role("button", name="Close").count() == 0
        expect(page.locator("#total")).to_contain_text("3 positions")
        assert page.evaluate("document.activeElement.closest('tr').id").startswith("p0x")
        assert page.locator(".toast").count() == 0

        # nobody bids: it is said before and after, and the position is still held
        desk.stand.book(desk.tokens[RAIN], bids=[], asks=[(0.60, 100)])
        expect(row(page, RAIN)).to_contain_text("nobody bids since")
        expect(page.locator("#total")).to_contain_text("nobody bids for")
        dialog = close(page, RAIN)
        expect(dialog).to_contain_text("nothing: nobody bids now")
        dialog.get_by_role("button", name="Sell 50.00 shares").click()
        expect(row(page, RAIN)).to_contain_text("… selling 50.00")
        expect(row(page, RAIN)).to_contain_text("✗ not sold", timeout=20_000)
        expect(row(page, RAIN)).to_contain_text("nobody bid within the limit")
        expect(row(page, RAIN).get_by_role("button", name="Close")).to_be_visible()

        # only a part finds a bid
        desk.stand.book(desk.tokens[SNOW], bids=[(0.45, 20)], asks=[(0.60, 100)])
        dialog = close(page, SNOW)
        expect(dialog).to_contain_text("Bids are there for 20.00 shares only")
        page.keyboard.press("Enter")
        expect(row(page, SNOW)).to_contain_text("… partly sold", timeout=20_000)
        expect(row(page, SNOW)).to_contain_text("20.00 of 50.00 at 0.45 for 9.00 USDC")

        # all that is left: Enter does nothing until the word is there
        desk.stand.book(desk.tokens[SNOW], bids=[(0.44, 1000)], asks=[(0.60, 100)])
        page.get_by_role("button", name="Close all").click()
        dialog = page.locator("dialog.ask")
        expect(dialog.locator("h2")).to_have_text("Close 3 positions?")
        expect(dialog).to_contain_text("nobody bids for")
        go = dialog.get_by_role("button", name="Sell 3 positions")
        expect(go).to_be_disabled()
        page.keyboard.type("SEL")
        page.keyboard.press("Enter")
        expect(go).to_be_disabled()
        assert len(desk.pilot.held()) == 3
        page.keyboard.type("L")
        page.keyboard.press("Enter")
        expect(row(page, SNOW)).to_contain_text("↩ sold", timeout=20_000)
        expect(row(page, HOSTILE)).to_contain_text("↩ sold", timeout=20_000)
        expect(row(page, RAIN)).to_contain_text("✗ not sold", timeout=20_000)

        # and how they ended is kept
        page.get_by_role("link", name="Closed").click()
        expect(rows(page)).to_have_count(3)
        assert {cells(r)["how it ended"] for r in rows(page).all()} == {"by hand"}
        rows(page).first.locator("td.market a").first.click()
        expect(page.locator("dialog .order").last).to_contain_text("at any price; by hand")
        page.keyboard.press("Escape")

        # without a worker the row waits for one
        desk.pilot.stop()
        page = seen.open("/positions")
        close(page, RAIN)
        page.keyboard.press("Enter")
        expect(row(page, RAIN)).to_contain_text("sold as soon as a worker runs")
        desk.pilot.verify()
        seen.clean()
