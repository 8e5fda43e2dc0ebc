"""Look backs in a real Chromium: from a form to a verdict, cancelled, compared, before
following, with hostile text, on a phone."""

from __future__ import annotations

import csv
import io
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from fastapi.testclient import TestClient
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import Engine, create_engine

from pilotfish.core.settings import Value
from pilotfish.sim.story import cast
from pilotfish.store import look_backs_store
from pilotfish.web import server
from tests.fresh import fresh_database
from tests.rig import Pilot, Stand
from tests.web.chromium import Watched, window

pytestmark = pytest.mark.slow
TOKEN = "the-admin-token"
HOSTILE = '<img src=x onerror="window.hacked=1"><b>=cmd</b>'
WHALE, SCALPER, HOLDER, STEPPER = (person.wallet for person in cast(7))
ASK = "Wallet, name or profile URL"
LOOK_UP = "Wallet, profile URL or user name"
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "best-practice"]}
TAPE = "data/v2/trades"
LONG = 300_000
"""Milliseconds that a look back may take on a busy machine."""


@dataclass
class Desk:
    """A venue whose four leaders have a past, and a dashboard."""

    stand: Stand
    pilot: Pilot
    address: str
    browser: Browser
    database: Engine

    def seen(self, width: int = 1440, *, admin: bool = True) -> Watched:
        return window(self.browser, self.address, width, TOKEN if admin else "")

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.address}{path}", timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture(scope="module")
def desk(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("look-backs")
    stand = Stand(folder, "--past", "90", "--paused", "--seed", "7")
    pilot = Pilot(folder, stand.urls, admin_token=TOKEN)
    try:
        address = pilot.start_web()
        database = create_engine(pilot.environment["DATABASE_URL"])
        yield Desk(stand, pilot, address, browser, database)
        database.dispose()
    finally:
        pilot.close()
        stand.close()


@pytest.fixture(scope="module")
def known(desk: Desk) -> int:
    """The number of a look back that is done."""
    desk.pilot.cli("backtest", STEPPER, "--days", "99", "--json")
    rows = json.loads(desk.get("/api/v1/look-backs"))["data"]
    return next(int(row["id"]) for row in rows if row["wallet"] == STEPPER)


def test_where_nobody_was_looked_back_at_the_page_says_what_to_do(tmp_path: Path) -> None:
    database = fresh_database(tmp_path / "x.db")
    nowhere: dict[str, Value] = dict.fromkeys(("data_api_url", "gamma_api_url"), "http://127.0.0.1:9")
    with TestClient(server.build(database, nowhere), base_url="http://127.0.0.1:8080") as client:
        shown = client.get("/look-backs").text
    assert "Nobody was looked back at yet" in shown
    assert "pilotfish backtest WALLET" in shown
    database.dispose()


def ask(page: Page, who: str, days: str = "100", size: str = "") -> None:
    form = page.locator("#ask form")
    form.get_by_label(ASK).fill(who)
    form.get_by_label("Days").fill(days)
    form.get_by_label("USDC for an order").fill(size)
    form.get_by_role("button", name="Look back").click()


def test_from_the_form_to_the_verdict_with_its_progress_its_figures_and_its_doubts(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/look-backs")
    ask(page, "nobody at all")
    expect(page.locator("#ask [data-wrong]")).to_contain_text("expected a wallet")
    row = page.locator("table.looks tbody tr").first
    with desk.stand.holding(TAPE):
        ask(page, SCALPER)
        expect(row.locator("progress")).to_be_visible()
        expect(row).to_contain_text("step 3 of 7: reading all trades of those markets around theirs", timeout=LONG)
    expect(row.locator(".chip")).to_have_text("✗", timeout=LONG)
    expect(row.locator("td.answer")).to_contain_text("✗ Not copyable at")
    row.locator("td.who-col a").click()
    page.wait_for_url("**/look-backs/*")
    answer = json.loads(desk.get(f"/api/v1{page.url.removeprefix(desk.address)}"))["result"]
    expect(page.locator("#answer .finding")).to_have_text(f"✗ {answer['why']}")
    expect(page.locator("#answer .finding [aria-hidden=true]")).to_have_text("✗")
    assert page.locator("#answer").inner_text().count("Not copyable") == 1, "the verdict's word is read once"
    expect(page.locator("#answer .banner")).to_have_count(0)
    expect(page.locator("#sure")).to_contain_text(f"If the same {answer['events']} events were drawn again and again")
    expect(page.locator("#sure")).to_contain_text("Even the upper end is a loss.")
    expect(page.locator("#flags li")).to_have_count(len(answer["flags"]))
    expect(page.locator("#cost .step")).to_have_count(7)
    expect(page.locator("#cost .step").first).to_contain_text("At the leader's prices")
    for key, rows in (("delay", len(answer["by_delay"])), ("size", len(answer["by_size"]))):
        expect(page.locator(f"#by-{key} tbody tr")).to_have_count(rows)
        expect(page.locator(f"#by-{key} canvas")).to_be_visible()
    for by in ("price", "category", "holding"):
        parts = [part for part in answer["parts"] if part["by"] == by]
        expect(page.locator(f"#by-{by} tbody tr")).to_have_count(len(parts))
        expect(page.locator(f"#by-{by} tbody tr").first).to_contain_text(parts[0]["name"])
    expect(page.locator("#equity canvas")).to_be_visible()
    expect(page.locator("#open")).to_contain_text("Nothing: all that was copied has ended.")
    link = page.get_by_role("link", name="CSV").get_attribute("href")
    lines = list(csv.DictReader(io.StringIO(desk.get(link or ""))))
    assert [line["what"] for line in lines].count("size") == len(answer["by_size"])
    assert float(lines[0]["result"]) * 1e6 == pytest.approx(answer["by_delay"][0]["result_micro"])
    seen.wrong = [w for w in seen.wrong if "400" not in w]
    seen.clean()


def test_one_is_cancelled_where_it_is_shown(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/look-backs")
    row = page.locator("table.looks tbody tr").first
    with desk.stand.holding(TAPE):
        ask(page, HOLDER)
        expect(row).to_contain_text("step 3 of 7", timeout=LONG)
        row.get_by_role("button", name="Cancel look back").click()
        expect(row.locator(".chip")).to_have_text("– cancelled")
    row.locator("td.who-col a").click()
    expect(page.locator("#answer")).to_contain_text("looking back again goes on from there")
    expect(page.get_by_role("button", name="Look back again")).to_be_visible()
    seen.clean()


def test_before_following_the_look_back_is_shown_asked_for_and_watched(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/leaders")
    page.get_by_label(LOOK_UP).fill(WHALE)
    page.get_by_role("button", name="Look them up").click()
    card = page.locator("[data-shown]")
    expect(card.locator(".looked")).to_contain_text("Nobody has looked back yet")
    order = card.evaluate("e => [...e.querySelectorAll('button')].map(b => b.textContent)")
    assert order.index("Look back first") < order.index("Follow on paper")
    card.get_by_role("button", name="Look back first").click()
    expect(card.locator(".looked .chip")).to_have_text("?", timeout=LONG)
    expect(card.locator(".looked")).to_contain_text("Cannot tell: 12 independent events, at least 30 are needed")
    card.get_by_role("button", name="Follow on paper").click()
    expect(page.locator("table.leaders tbody.followed tr")).to_have_count(1)
    page.locator("table.leaders tbody.followed tr a").first.click()
    looked = page.locator("#looked")
    expect(looked.locator(".chip")).to_have_text("?")
    with desk.stand.holding("data/v2/positions"):
        looked.get_by_role("button", name="Look back again").click()
        expect(looked.locator("progress")).to_be_visible()
    expect(looked.locator(".chip")).to_have_text("?", timeout=LONG)
    looked.get_by_role("link", name="Open the answer").click()
    expect(page.get_by_role("link", name="Their page")).to_be_visible()
    seen.clean()


def test_several_stand_side_by_side_with_the_settings_that_differ(desk: Desk) -> None:
    seen = desk.seen()
    page = seen.open("/look-backs")
    done = page.locator("table.looks tbody tr:has(input[type=checkbox])")
    before = done.count()
    for n, size in enumerate(("5", "50"), start=1):
        ask(page, WHALE, "95", size)
        expect(done).to_have_count(before + n, timeout=LONG)
    for n in (0, 1):
        page.locator("table.looks input[type=checkbox]").nth(n).check()
    page.get_by_role("button", name="Compare what is ticked").click()
    page.wait_for_url("**/look-backs/compare?id=*")
    expect(page.locator("#compared thead th")).to_have_count(2)
    differing = page.locator("#compared tr", has_text="Fixed amount for each order")
    expect(differing.locator("td")).to_have_text(["50", "5"])
    expect(page.locator("#c-size td")).to_have_text(["50.00", "5.00"])
    expect(page.locator("#curve canvas")).to_be_visible()
    page.goto(f"{desk.address}/look-backs/compare")
    expect(page.locator("#main")).to_contain_text("Tick two or more that are done")
    seen.clean()


def hostile(desk: Desk, known: int) -> int:
    """A look back all of whose texts are hostile, and whose history is incomplete."""
    result = json.loads(desk.get(f"/api/v1/look-backs/{known}"))["result"]
    result |= {
        "open": {HOSTILE: 5_000_000, "77": 1_000_000}, "titles": {"77": HOSTILE}, "books": [HOSTILE],
        "history": f"Incomplete: 2 {HOSTILE}.", "complete": [{"kind": HOSTILE}], "tiers": {HOSTILE: 1.0},
        "skipped": {HOSTILE: 3}, "flags": [{"kind": HOSTILE, "text": HOSTILE, "figures": {}}],
        "steps": [{"cause": HOSTILE, "amount_micro": -7_000_000}],
        "parts": [{**result["parts"][0], "name": HOSTILE, "by": "category"}],
    }  # fmt: skip
    with desk.database.begin() as c:
        return look_backs_store.keep(
            c, "0x" + "ee" * 20, name=HOSTILE, days=9, values={}, at=1_790_000_000_000_000, by=HOSTILE,
            verdict=HOSTILE[:16], why=HOSTILE, result=json.loads(json.dumps(result)),
        )  # fmt: skip


def test_other_peoples_text_stays_text_and_an_incomplete_history_is_said_first(desk: Desk, known: int) -> None:
    number = hostile(desk, known)
    seen = desk.seen()
    for path in ("/look-backs", f"/look-backs/{number}", f"/look-backs/compare?id={number}&id={known}"):
        page = seen.open(path)
        expect(page.locator("#main")).to_contain_text(HOSTILE)
        assert page.evaluate("window.hacked") is None
        assert page.locator("#main img").count() == 0
    page = seen.open(f"/look-backs/{number}")
    assert page.locator("#answer").inner_text().startswith(f"Incomplete: 2 {HOSTILE}.")
    expect(page.locator("#open tbody tr")).to_have_count(2)
    assert HOSTILE in [
        line["name"] for line in csv.DictReader(io.StringIO(desk.get(f"/look-backs/{number}/figures.csv")))
    ]
    seen.clean()


def test_what_another_version_wrote_is_said_and_breaks_no_page(desk: Desk) -> None:
    with desk.database.begin() as c:
        number = look_backs_store.keep(
            c, "0x" + "ef" * 20, name="", days=9, values={"later": 1}, at=1_790_000_000_000_000, by="test",
            verdict="undecided", why="It is undecided.", result={"of": "a later version"},
        )  # fmt: skip
    seen = desk.seen(admin=False)
    page = seen.open(f"/look-backs/{number}")
    expect(page.locator("#answer")).to_contain_text("another version of pilotfish wrote it")
    expect(page.locator("#answer .finding")).to_contain_text("It is undecided.")
    seen.clean()
    page.goto(f"{desk.address}/look-backs/9999")
    expect(page.locator("#main")).to_contain_text("there is no look back 9999")


def test_who_is_not_signed_in_is_told_what_could_be_done(desk: Desk, known: int) -> None:
    seen = desk.seen(admin=False)
    page = seen.open("/look-backs")
    expect(page.locator("#ask")).to_contain_text("pilotfish backtest WALLET")
    expect(page.locator("p.could")).to_contain_text("Sign in to look back at somebody from here")
    for path in ("/look-backs", f"/look-backs/{known}"):
        seen.open(path)
        for name in ("Look back again", "Cancel", "Again", "Follow on paper"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)
    seen.clean()


@pytest.mark.parametrize("width", [360, 1440])
def test_the_pages_fit_a_phone_and_are_accessible(desk: Desk, known: int, width: int) -> None:
    seen = desk.seen(width)
    for path in ("/look-backs", f"/look-backs/{known}", f"/look-backs/compare?id={known}"):
        page = seen.open(path)
        seen.clean()
        found = Axe().run(page, options=RULES).response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == [], path
