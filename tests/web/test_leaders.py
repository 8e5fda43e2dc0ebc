"""The pages of leaders in a real Chromium: the list, one leader, and who somebody is before they are followed."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from pilotfish.core.numerals import gain, money, percent
from tests.rig import WALLET, WALLET_2, Pilot, Stand, rig, until
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
HOSTILE = '<img src=x onerror="window.hacked=1"><b>=cmd</b>'
LOOK_UP = "Wallet, profile URL or user name"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}


@dataclass
class Desk:
    """A venue, a worker and a dashboard. Of the first leader one BUY and one SELL were copied and one BUY was skipped;
    of the second one BUY was copied, and they were left again."""

    stand: Stand
    pilot: Pilot
    address: str
    browser: Browser
    token: str

    def seen(self, width: int = 1440, *, admin: bool = True, theme: Literal["light", "dark"] = "light") -> Watched:
        return window(self.browser, self.address, width, TOKEN if admin else "", theme)

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}/api/v1{path}", timeout=10) as answer:
            return json.load(answer)


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with rig(tmp_path_factory.mktemp("leaders"), admin_token=TOKEN, max_spread_bps=1200) as (stand, pilot):
        token, other = stand.market(question=HOSTILE, fee_rate=0.04), stand.market(question="Will the tide turn?")
        stand.book(other, bids=[(0.20, 1000)], asks=[(0.60, 1000)])
        for wallet, label in ((WALLET, HOSTILE), (WALLET_2, "The ebb")):
            pilot.cli("leaders", "add", wallet, "--label", label, "--no-record")
        pilot.start()
        address = pilot.start_web()
        stand.fill(token, "BUY", 100)
        pilot.fills(1)
        stand.fill(other, "BUY", 100)
        stand.fill(token, "SELL", 40, 0.49)
        stand.fill(token, "BUY", 50, wallet=WALLET_2)
        pilot.fills(3)
        until("all is decided", lambda: len(pilot.export("decisions")) == 4)
        pilot.cli("leaders", "remove", WALLET_2)
        yield Desk(stand, pilot, address, browser, token)


def rows(page: Page, group: str = "followed") -> Locator:
    return page.locator(f"table.leaders tbody.{group} tr[data-href]")


def cells(row: Locator) -> dict[str, str]:
    """A row's figures by what stands over them, without what stands under a figure or is put before it."""
    found: dict[str, str] = row.evaluate(
        """e => Object.fromEntries([...e.querySelectorAll('td[data-l]')].map(x => {
             const one = x.cloneNode(true);
             one.querySelectorAll('small, i').forEach(y => y.remove());
             return [x.dataset.l, one.textContent.trim()];
           }))"""
    )
    return found


def number(text: str) -> float:
    return float(re.sub(r"[^\d.\-]", "", text.replace("−", "-")) or 0)


def look_up(page: Page, who: str) -> None:
    page.get_by_label(LOOK_UP).fill(who)
    page.get_by_role("button", name="Look them up").click()


def test_the_list_shows_what_the_report_says_and_a_total_that_adds_up(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/leaders")
    expect(rows(page)).to_have_count(1)
    expect(rows(page, "former")).to_have_count(1)
    expect(rows(page, "former")).to_contain_text("The ebb left")
    report = {line["leader"]: line for line in desk.get("/report")}
    for row, wallet in ((rows(page), WALLET), (rows(page, "former"), WALLET_2)):
        line, shown = report[wallet], cells(row)
        assert row.get_attribute("id") == f"l{wallet}"
        assert (shown["paid"], shown["at their prices"]) == (money(line["paid_micro"]), gain(line["ideal_micro"]))
        assert shown["lost on the way"] == gain(-line["difference_micro"])
        assert shown["return"] == percent(line["actual_micro"], line["paid_micro"], 2, sign=True)
    together = cells(page.locator("#total"))
    for name, field in (("paid", "paid_micro"), ("at their prices", "ideal_micro"), ("we made", "actual_micro")):
        total = sum(line[field] for line in report.values())
        assert together[name] in (money(total), gain(total)), name
        each = [number(cells(row)[name]) for row in (rows(page), rows(page, "former"))]
        assert number(together[name]) == pytest.approx(sum(each), abs=0.011), name
    assert together["trades"] == "4"
    made, paid = (sum(line[field] for line in report.values()) for field in ("actual_micro", "paid_micro"))
    expect(page.locator("#finding")).to_contain_text(f"Copying all 2 leaders: {gain(made)} USDC on {money(paid)} paid")
    expect(rows(page)).to_contain_text("spread 1")
    assert page.evaluate("window.hacked") is None
    seen.clean()


def test_leaders_are_sorted_by_any_figure(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    third = "0x" + "d4" * 20
    desk.pilot.cli("leaders", "add", third, "--label", "zz quiet", "--no-record")
    page = seen.open("/leaders")
    expect(rows(page)).to_have_count(2)
    for name in ("leader", "last", "trades", "copied", "open", "paid", "ideal", "lost", "actual", "return", "passed"):
        for sign in ("-", ""):
            page.goto(f"{desk.address}/leaders?sort={sign}{name}")
            way = "descending" if sign else "ascending"
            expect(page.locator("th[aria-sort]")).to_have_count(1)
            expect(page.locator(f"th[aria-sort={way}]")).to_be_visible()
            expect(rows(page)).to_have_count(2)
            last = "zz quiet" if name != "leader" or not sign else HOSTILE
            if name in ("paid", "ideal", "lost", "actual", "return", "passed") or (name == "leader") or sign:
                expect(rows(page).last).to_contain_text(last)
            else:
                expect(rows(page).first).to_contain_text("zz quiet")
    page.goto(f"{desk.address}/leaders")
    page.get_by_role("link", name="trades", exact=True).click()
    page.wait_for_url("**sort=-trades**")
    expect(rows(page).first).to_contain_text(HOSTILE)
    page.get_by_role("link", name="trades ▼").click()
    page.wait_for_url("**sort=trades**")
    expect(rows(page).first).to_contain_text("zz quiet")
    page.set_viewport_size({"width": 360, "height": 900})
    page.get_by_label("Sort by").select_option("-trades")
    page.wait_for_url("**sort=-trades**")
    expect(rows(page).first).to_contain_text(HOSTILE)
    desk.pilot.cli("leaders", "remove", third)
    expect(rows(page)).to_have_count(1)
    seen.clean()


def test_somebody_is_looked_up_with_their_record_followed_paused_resumed_and_left(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/leaders")
    someone = desk.stand.get("")["leaders"][0]
    wallet, name = someone["wallet"], someone["label"]
    for side, price in (("BUY", 0.5), ("SELL", 0.49)):
        desk.stand.fill(desk.token, side, 60, price, wallet=wallet, api_delay=0)
    card = page.locator("[data-shown]")
    look_up(page, f"https://polymarket.com/@{name}")
    expect(card.get_by_role("heading", name=name)).to_be_visible()
    expect(card.locator(".pairs")).to_contain_text("traded, all time, USDC59")
    expect(card.locator(".pairs")).to_contain_text("positions that made money0 % 0 of 1")
    look_up(page, "nobody at all")
    expect(page.locator("[data-wrong]")).to_contain_text("expected a wallet")
    expect(card).to_be_empty()
    look_up(page, wallet)
    card.get_by_role("button", name="Follow on paper").click()
    expect(page.locator(".toast")).to_contain_text(f"{name} is followed from now on")
    expect(rows(page)).to_have_count(2)
    expect(card).to_be_empty()
    assert page.evaluate("document.activeElement.name") == "wallet"

    row = page.locator(f"#l{wallet}")
    dialog = page.locator("dialog")
    for press, told, then in (
        ("Pause", "none is copied until you resume", "paused"),
        ("Resume", "Trades from now on are copied", None),
    ):
        row.get_by_role("button", name=press).click()
        expect(dialog).to_contain_text(f"{name}")
        expect(dialog).to_contain_text(told)
        dialog.get_by_role("button", name=press, exact=True).click()
        expect(row.get_by_role("button", name="Pause" if press == "Resume" else "Resume")).to_be_visible()
        if then:
            expect(row).to_contain_text(then)
    row.get_by_role("button", name="Leave").click()
    expect(dialog).to_contain_text("0 open positions here) stays")
    dialog.get_by_role("button", name="Cancel").click()
    expect(rows(page)).to_have_count(2)
    row.get_by_role("button", name="Leave").click()
    dialog.get_by_role("button", name="Leave", exact=True).click()
    expect(rows(page)).to_have_count(1)
    expect(page.locator("tbody.former")).to_contain_text(name)
    look_up(page, wallet)
    expect(card).to_contain_text("You followed them until")
    row.get_by_role("button", name=f"Follow {name} again").click()
    dialog.get_by_role("button", name="Follow again", exact=True).click()
    expect(rows(page)).to_have_count(2)
    look_up(page, wallet)
    expect(card).to_contain_text("You follow them already")
    card.get_by_role("link", name="Open their page").click()
    expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    desk.pilot.cli("leaders", "remove", wallet)
    seen.wrong = [w for w in seen.wrong if "400" not in w]
    seen.clean()


def test_a_leaders_page_begins_with_the_verdict_and_splits_their_prices_from_ours(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open(f"/leaders/{WALLET}")
    line = next(x for x in desk.get("/report") if x["leader"] == WALLET)
    expect(page.locator("#finding")).to_contain_text(line["verdict"])
    fall = page.locator("#cost .fall")
    steps = fall.locator(".step")
    shown = steps.evaluate_all(
        "all => all.map(e => [e.querySelector('.name').firstChild.textContent.trim(),"
        " e.querySelector('.num').textContent.replace(/[▲▼]/, '').trim()])"
    )
    assert [name for name, _ in shown] == [
        "At the leader's prices", "Delay", "Spread and impact", "Fees", "Not copied", "Clipped", "We made",
    ]  # fmt: skip
    parts = {"Delay": "delay_micro", "Spread and impact": "spread_micro", "Fees": "fees_micro",
             "Not copied": "skipped_micro", "Clipped": "clipped_micro"}  # fmt: skip
    for name, text in shown[1:-1]:
        assert text == gain(-line["parts"][parts[name]]), name
    assert (shown[0][1], shown[-1][1]) == (gain(line["ideal_micro"]), gain(line["actual_micro"]))
    loss = steps.last.locator("svg")
    assert line["actual_micro"] < 0
    expect(loss).to_have_class("down")
    zero, end = loss.evaluate(
        "e => [+e.querySelector('.zero').getAttribute('x1'),"
        " +e.querySelector('rect').getAttribute('x') + +e.querySelector('rect').getAttribute('width')]"
    )
    assert end <= zero, "a loss stands left of the zero line"
    assert page.locator("#cost .zero").count() == len(shown)
    expect(page.locator("#skips")).to_contain_text("spread")
    page.get_by_role("link", name="spread", exact=True).click()
    page.wait_for_url("**reason=SKIP_SPREAD**")
    assert f"leader={WALLET}" in page.url
    seen.clean()


def test_a_leaders_page_has_results_in_slices_that_add_up_what_they_hold_and_a_curve(desk: Desk) -> None:
    seen = desk.seen(admin=False)
    page = seen.open(f"/leaders/{WALLET}")
    line = next(x for x in desk.get("/report") if x["leader"] == WALLET)
    for name in ("categories", "bands"):
        table = page.locator(f"#{name} table")
        each, together = table.locator("tbody tr"), cells(table.locator("tfoot tr"))
        expect(each).to_have_count(1)
        assert cells(each) == together
        assert (together["PnL"], together["spent"]) == (gain(line["actual_micro"]), money(line["paid_micro"]))
    expect(page.locator("#bands tbody")).to_contain_text("0.30 to 0.70")
    expect(page.locator("#curve canvas")).to_have_count(1)
    options = json.loads(page.locator("#curve-chart").get_attribute("data-chart") or "")
    ends = [series["data"][-1][1] for series in options["series"]]
    assert ends == [round(line["ideal_micro"] / 1e6, 2), round(line["actual_micro"] / 1e6, 2)]
    held = page.locator("#held tbody tr", has_text=HOSTILE)
    assert cells(held)["they"] == "60.00"
    expect(page.locator("#record .pairs")).to_contain_text("markets traded2")
    expect(page.locator("#record")).to_contain_text(HOSTILE)
    assert page.get_by_role("button", name="Pause").count() == 0
    assert page.evaluate("window.hacked") is None
    seen.clean()


def test_a_venue_without_records_costs_the_page_nothing_but_them(desk: Desk) -> None:
    """The second leader's record is asked for the first time while the venue refuses, and again once it does not."""
    for route in ("user-stats", "leaderboard", "value", "positions"):
        desk.stand.post("/faults", service=f"data/v2/{route}", mode="status", status=503)
    seen = desk.seen(admin=False)
    page = seen.open(f"/leaders/{WALLET_2}")
    told = page.locator("#record .untold")
    expect(told).to_contain_text("The venue does not tell: closed positions, open positions, standing")
    expect(told).to_contain_text("HTTP 503")
    expect(page.locator("#finding")).to_contain_text("Copying The ebb: ")
    for route in ("user-stats", "leaderboard", "value", "positions"):
        desk.stand.post("/faults", service=f"data/v2/{route}", mode="off")
    desk.stand.post("/faults", service="data/v2/user-stats", mode="status", status=404)
    expect(told).to_contain_text("statistics. the venue has no such route", timeout=60_000)
    expect(page.locator("#record .pairs")).to_contain_text("rank by profit")
    desk.stand.post("/faults", service="data/v2/user-stats", mode="off")
    seen.clean()


def test_a_leader_is_renamed_while_the_page_goes_on(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open(f"/leaders/{WALLET_2}")
    field = page.get_by_label("Their name here")
    field.fill("The flow")
    desk.stand.fill(desk.token, "BUY", 30)
    until("a trade more", lambda: len(desk.pilot.export("trades")) >= 5)
    expect(field).to_have_value("The flow")
    page.get_by_role("button", name="Rename").click()
    expect(page.locator(".title h1")).to_have_text("The flow")
    desk.pilot.cli("leaders", "rename", WALLET_2, "The ebb")
    expect(page.locator(".title h1")).to_have_text("The ebb")
    seen.clean()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_readable_for_everybody_and_fits_a_phone(desk: Desk, theme: Literal["light", "dark"]) -> None:
    for width in (1440, 360):
        seen = desk.seen(width, theme=theme)
        for path, ready in (("/leaders", "#total"), (f"/leaders/{WALLET}", "#record .pairs"),
                            ("/leaders/nobody", ".empty")):  # fmt: skip
            page = seen.open(path)
            page.locator(ready).first.wait_for()
            if path == "/leaders":
                look_up(page, WALLET)
                page.locator("[data-shown] .pairs").wait_for()
            found = Axe().run(page, options=RULES).response["violations"]
            assert [(v["id"], n["html"][:120]) for v in found for n in v["nodes"]] == [], (theme, width, path)
            cut = page.evaluate(
                "[...document.querySelectorAll('#main td, #main dd, .finding')].filter(e => e.scrollWidth >"
                " e.clientWidth + 1 && e.textContent.trim()).map(e => e.outerHTML.slice(0, 120))"
            )
            assert cut == [], (theme, width, path)
            small = page.evaluate(
                "[...document.querySelectorAll('#main button, #main a.button')].filter(e => e.offsetHeight &&"
                " e.offsetHeight < 24).map(e => e.outerHTML.slice(0, 120))"
            )
            assert small == [], (theme, width, path)
            seen.wrong = [w for w in seen.wrong if "404" not in w]
            seen.clean()


def test_after_somebody_is_followed_the_overview_turns_into_itself(tmp_path: Path, browser: Browser) -> None:
    with rig(tmp_path, admin_token=TOKEN) as (stand, pilot):
        pilot.start()
        address = pilot.start_web()
        seen = window(browser, address, token=TOKEN)
        page = seen.open("/")
        page.get_by_text("Whom would you copy?").wait_for()
        page.evaluate("window.same = true")
        look_up(page, WALLET)
        page.locator("[data-shown]").get_by_role("button", name="Follow on paper").click()
        expect(page.get_by_text("Whom would you copy?")).to_have_count(0)
        expect(page.locator("#feed")).to_contain_text("1 leader followed")
        until("they are polled", pilot.ready)
        token = stand.market(question="Will the tide turn?")
        stand.fill(token, "BUY", 100, 0.50)
        pilot.fills(1)
        (line,) = json.loads(pilot.cli("report", "--json"))
        expect(page.locator("#finding")).to_contain_text(line["verdict"].split(":")[0])
        expect(page.locator("#finding")).to_contain_text("all of it still held")
        assert page.evaluate("window.same"), "the page was not loaded again"
        seen.clean()
